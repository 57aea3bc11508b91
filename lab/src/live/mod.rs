//! `tripoll lab`: watch, step and break a live reactor in the browser.
//!
//! Two loops of this crate run in one process. The *subject* is a real server on a real port, which can
//! be stopped before its wait, and after it. The *observer* serves the page. Between them are the
//! [gate], which the observer opens, and the [hub], into which the subject's recorder puts its records.
//!
//! ```text
//!  browser ── GET /, GET /events, POST /control ──  observer  ── the lab's clients ──┐
//!                                                   │      ▲                         │ TCP
//!                                              gate │      │ hub                     ▼
//!                                                   └──────┴──── subject: select, poll, epoll
//! ```
//!
//! | file | |
//! |---|---|
//! | `record` | the records, as JSON |
//! | `recorder`, `watched`, `socket`, `table` | how a turn becomes a record |
//! | `subject`, `on_reactor`, `accepting`, `handlers` | the subject |
//! | `lints` | what is wrong, found in the records |
//! | `gate`, `control`, `settings`, `stage` | what a page can do to it |
//! | `scenarios`, `play` | what scenarios do, and when |
//! | `clients` | the lab's clients and their faults |
//! | `trace` | records as lines of text |
//! | `recording` | records as files, and as pages without a server |
//! | `hub`, `observer`, `events`, `http`, `page` | how records come to pages |

mod accepting;
mod bare;
mod calls;
mod clients;
pub mod control;
mod cost;
mod directory;
mod events;
pub mod gate;
mod handlers;
mod http;
pub mod hub;
mod kernel_list;
mod lab;
mod limit;
mod lints;
mod mark;
mod observer;
mod on_reactor;
mod pace;
pub mod page;
mod play;
mod program;
pub mod record;
mod recorder;
pub mod recording;
pub mod scenarios;
pub mod settings;
mod socket;
mod stage;
mod subject;
mod table;
pub mod trace;
mod watched;
mod work;

pub use lab::{Lab, Options};
