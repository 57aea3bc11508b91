//! Calls of the C library and of other libraries, and all of the lab's `unsafe`.
//!
//! The baseline is in `calls`. It never calls `tripoll`, so that it does not depend on what is
//! measured.

#![allow(unsafe_code)]

pub(super) mod byte;
pub(super) mod calls;
pub(super) mod libevent;
pub(super) mod library;
pub(super) mod libuv;
#[cfg(feature = "peers")]
pub(super) mod polling;
pub(super) mod thread;
#[cfg(feature = "peers")]
pub(super) mod tokio;
