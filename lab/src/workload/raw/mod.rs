//! Calls of the C library, and all of the lab's `unsafe`.
//!
//! Nothing in this module calls `tripoll`, so that the baseline does not depend on what is measured.

#![allow(unsafe_code)]

pub(super) mod byte;
pub(super) mod calls;
pub(super) mod thread;
