//! One reactor over three kernel calls: `select` (1983), `poll` (1986) and `epoll` (2002), level- and
//! edge-triggered. The backend is chosen at run time, and can be switched while the reactor runs.
//!
//! ```toml
//! [dependencies]
//! tripoll = { path = "../tripoll" } # not published yet
//! ```
//!
//! A server that answers in capitals:
//!
//! ```no_run
//! use std::io;
//! use tripoll::{Connection, Context, Listener, Protocol, Reactor, Wire};
//!
//! struct Upper;
//!
//! impl Protocol for Upper {
//!     fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
//!         wire.write(&data.to_ascii_uppercase()); // what the kernel does not take is sent later
//!         Ok(data.len()) // so many bytes were used; the rest would be offered again
//!     }
//! }
//!
//! let mut reactor = Reactor::new()?;
//! let listener = Listener::bind("127.0.0.1:7000")?;
//! listener.serve(&mut reactor.context(), |stream, cx| {
//!     Connection::new(Upper).serve(stream, cx)?;
//!     Ok(())
//! })?;
//! reactor.run()?;
//! # io::Result::Ok(())
//! ```
//!
//! # I want to …
//!
//! | I want to … | go there |
//! |---|---|
//! | serve clients with callbacks and buffers | [`net`]: [`Listener`], [`Connection`], [`Protocol`] |
//! | receive lines or messages with a length | [`net::framing`]: [`Lines`](net::framing::Lines), [`LengthPrefixed`](net::framing::LengthPrefixed), [`Delimited`](net::framing::Delimited) |
//! | write a handler for any descriptor | [`reactor`]: [`Reactor`], [`Handler`], [`Source`] |
//! | use all processors: a loop for each | [`net::Loops`] |
//! | hand connections to threads | [`Listener::serve_in_pool`], [`pool::Pool`] |
//! | port a Python `socketserver` | [`server`]: [`ThreadingTcpServer`](server::ThreadingTcpServer) and its sisters |
//! | receive datagrams | [`net::DatagramSocket`], [`server::ThreadingUdpServer`] |
//! | set timers and timeouts | [`Context::set_timer`], [`Context::set_interval`], [`Context::set_deadline`] |
//! | reach another connection's handler | [`Context::tell`], [`Context::notify`] |
//! | test timers and timeouts without sleeping | [`reactor::ManualClock`] |
//! | reach the loop from another thread | [`ReactorHandle`]: [`post`](ReactorHandle::post), [`stop`](ReactorHandle::stop), [`shutdown`](ReactorHandle::shutdown) |
//! | handle signals, ticks, ends of processes, messages of threads | [`reactor::sources`] |
//! | choose the backend and the trigger | [`Reactor::builder`], [`Backend`], [`Trigger`] |
//! | switch the backend of a running loop | [`Context::switch_to`] |
//! | see what the loop does | [`reactor::Counters`], [`reactor::Probe`], the log |
//! | put the reactor into another loop | [`Reactor::prepare_poll`], [`Reactor::turn`] |
//! | call the kernel directly and safely | [`sys::select`], [`sys::poll`], [`sys::Epoll`] |
//! | write a backend | [`Selector`] |
//!
//! # Layers
//!
//! Each module uses those below it, and can be used without those above it.
//!
//! | layer | module | what it knows |
//! |---|---|---|
//! | 6 | [`server`] | Python's `socketserver`: transport × concurrency × handler |
//! | 5 | [`net`] | ready-made sources and handlers: listeners, buffered connections, datagram sockets |
//! | 4 | [`pool`] | worker threads with a bounded queue, for work that blocks |
//! | 3 | [`reactor`] | what an event *means*: handlers, timers and wakers, the same on every backend and trigger |
//! | 2 | [`selector`] | which descriptors are ready: one trait; select, poll, epoll and mio behind it |
//! | 1 | [`sys`] | the system calls themselves, and all of the crate's `unsafe` |
//!
//! # Features and platform
//!
//! The feature `mio` adds [`selector::MioSelector`]. Default: on.
//!
//! The crate supports Linux only, with glibc or musl, of 64 or 32 bits and either byte order. It also
//! compiles for Android, where its tests have not been run.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(docsrs, doc(auto_cfg(hide(target_os = "linux", target_os = "android"))))]

#[cfg(not(any(target_os = "linux", target_os = "android")))]
compile_error!(
    "tripoll supports Linux and Android only: it needs epoll, eventfd, timerfd, pidfd and accept4, \
     which no other system has together"
);

#[cfg(all(any(target_os = "linux", target_os = "android"), not(loom)))]
pub mod net;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod pool;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod reactor;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod selector;
#[cfg(all(any(target_os = "linux", target_os = "android"), not(loom)))]
pub mod server;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod sync;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod sys;

#[cfg(all(any(target_os = "linux", target_os = "android"), not(loom)))]
#[doc(inline)]
pub use net::{Connection, Listener, Protocol, Stream, Wire};
#[cfg(any(target_os = "linux", target_os = "android"))]
#[doc(inline)]
pub use reactor::{Context, Handler, Next, Reactor, ReactorHandle, Source};
#[cfg(any(target_os = "linux", target_os = "android"))]
#[doc(inline)]
pub use selector::{
    Backend, Caps, Deadline, Event, Events, Interest, Readiness, Selector, Token, Trigger,
};

/// The README's program must compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
