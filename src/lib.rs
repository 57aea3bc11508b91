//! One reactor with three kernels' answers behind it: `select` (1983), `poll` (1986) and `epoll`
//! (2002), level- and edge-triggered, swappable at run time.
//!
//! All three answer one question: *which of these descriptors can I use without waiting?* The crate
//! is a ladder, and each rung uses only those below it:
//!
//! | rung | module | what it knows |
//! |---|---|---|
//! | 6 | [`server`] | Python's `socketserver`: transport × concurrency × handler |
//! | 5 | [`net`] | ready-made sources and handlers: a listener that survives, a connection that loses nothing |
//! | 4 | [`pool`] | worker threads for what blocks |
//! | 3 | [`reactor`] | **who must be told**: handlers, timers and wakers, the same on every backend and trigger |
//! | 2 | [`selector`] | **which are ready**: one trait; select, poll, epoll and mio behind it |
//! | 1 | [`sys`] | the system calls themselves, and all of the crate's `unsafe` |
//!
//! The shortest server is at the head of [`net`], the contract of all handlers at that of [`reactor`].
//! The repository's `NOTES.md` is a course that goes up this ladder, with a program for each step.
//!
//! Linux is the platform that the crate is written for and tested on.
//!
//! # Features
//!
//! `mio` (on by default) adds [`selector::MioSelector`].

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(docsrs, doc(auto_cfg(hide(target_os = "linux"))))]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "tripoll supports Linux only: it needs epoll, eventfd, timerfd, pidfd and accept4, which no \
     other system has together"
);

#[cfg(target_os = "linux")]
pub mod net;
#[cfg(target_os = "linux")]
pub mod pool;
#[cfg(target_os = "linux")]
pub mod reactor;
#[cfg(target_os = "linux")]
pub mod selector;
#[cfg(target_os = "linux")]
pub mod server;
#[cfg(target_os = "linux")]
mod sync;
#[cfg(target_os = "linux")]
pub mod sys;

#[cfg(target_os = "linux")]
pub use reactor::{Context, Handler, Next, Reactor, ReactorHandle, Source};
#[cfg(target_os = "linux")]
pub use selector::{
    Backend, Caps, Deadline, Event, Events, Interest, Readiness, Selector, Token, Trigger,
};

/// The README's program must compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
