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
//! The [`guide`] is a cookbook: a complete small program for each common task.
//!
//! | I want to … | go there | recipe |
//! |---|---|---|
//! | serve clients with callbacks and buffers | [`net`]: [`Listener`], [`Connection`], [`Protocol`] | [long answers](guide::long_answers) |
//! | receive lines or messages with a length | [`net::framing`]: [`Lines`](net::framing::Lines), [`LengthPrefixed`](net::framing::LengthPrefixed), [`Delimited`](net::framing::Delimited) | |
//! | set timers and timeouts | [`Connection::idle_timeout`], [`Wire::set_deadline`], [`Context::set_timer`], [`Context::set_interval`] | [timeouts](guide::timeouts) |
//! | connect to servers, by address or by name | [`net::Connect`], [`net::Retry`], [`net::resolve`](net::resolve()) | [connect](guide::connect) |
//! | pass bytes between two connections | [`Wire::pause`], [`Wire::finish`], [`Context::tell`] | [proxy](guide::proxy) |
//! | serve TLS | feature `tls`: [`Connection::over`], [`net::Filter`] | [TLS](guide::tls) |
//! | reach another connection's handler | [`Context::tell`], [`Context::notify`] | [broadcast](guide::broadcast) |
//! | answer after work that blocks | [`pool::Pool::submit_to`] | [answers from a pool](guide::pool_answers) |
//! | use all processors: a loop for each | [`net::Loops`] | [a thread for each core](guide::thread_per_core) |
//! | hand connections to threads | [`Listener::serve_in_pool`], [`pool::Pool`] | [threads](guide::threads) |
//! | keep thousands of silent clients with a few threads | [`server::ParkedTcpServer`] | [parking](guide::parking) |
//! | get sockets from systemd, or pass them on | [`net::inherited`], [`Wire::detach`] | [descriptors](guide::descriptors) |
//! | receive datagrams | [`net::DatagramEndpoint`], [`net::DatagramSocket`], [`server::ThreadingUdpServer`] | [datagrams](guide::datagrams) |
//! | handle signals, ticks, ends of processes, messages of threads | [`reactor::sources`] | [signals](guide::signals) |
//! | reach the loop from another thread | [`ReactorHandle`]: [`post`](ReactorHandle::post), [`tell`](ReactorHandle::tell), [`stop`](ReactorHandle::stop), [`shutdown`](ReactorHandle::shutdown) | |
//! | share state between components | [`Context::state`](Context#structfield.state), [`Context::split`] | [shared state](guide::state) |
//! | test a protocol, without a network or sleeping | [`net::testing`], [`reactor::ManualClock`] | [testing](guide::testing) |
//! | write a handler for any descriptor | [`reactor`]: [`Reactor`], [`Handler`], [`Source`] | |
//! | put the reactor into another loop, or another loop into it | [`Reactor::prepare_poll`], [`Reactor::poll_fd`], [`Reactor::turn`] | [nested loops](guide::nested_loops) |
//! | see what the loop does | [`reactor::Counters`], [`Context::sources`], [`reactor::Probe`], the log | [metrics](guide::metrics) |
//! | write an access log | [`Connection::measured`] | |
//! | be scraped by Prometheus | [`metrics`], [`Listener::meter`](net::Listener::meter) | [metrics](guide::metrics) |
//! | port a Python `socketserver` | [`server`]: [`ThreadingTcpServer`](server::ThreadingTcpServer) and its sisters | |
//! | choose the backend and the trigger | [`Reactor::builder`], [`Backend`], [`Trigger`] | |
//! | switch the backend of a running loop | [`Context::switch_to`] | |
//! | call the kernel directly and safely | [`sys::select`], [`sys::poll`], [`sys::Epoll`] | |
//! | write a backend | [`Selector`] | |
//!
//! # Layers
//!
//! Each module uses those below it, and can be used without those above it.
//!
//! | layer | module | what it knows |
//! |---|---|---|
//! | 6 | [`server`] | Python's `socketserver`: transport × concurrency × handler |
//! | 6 | [`metrics`] | what all this has done, as text for Prometheus |
//! | 5 | [`net`] | ready-made sources and handlers: listeners, buffered connections, datagram sockets |
//! | 4 | [`pool`] | worker threads with a bounded queue, for work that blocks |
//! | 3 | [`reactor`] | what an event *means*: handlers, timers and wakers, the same on every backend and trigger |
//! | 2 | [`selector`] | which descriptors are ready: one trait; select, poll, epoll and mio behind it |
//! | 1 | [`sys`] | the system calls themselves, and all of the crate's `unsafe` |
//!
//! # Features and platform
//!
//! The feature `mio` adds [`selector::MioSelector`]. Default: on. The feature `tls` adds `net::tls`, by the
//! crate `rustls`. Default: off.
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
pub mod guide;
#[cfg(all(any(target_os = "linux", target_os = "android"), not(loom)))]
pub mod metrics;
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
