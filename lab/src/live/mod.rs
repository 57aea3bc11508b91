//! `tripoll lab`: watch, step and break a live reactor in the browser.

pub mod page;
