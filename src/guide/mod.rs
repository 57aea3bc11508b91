//! The cookbook: a complete small program for each common task.
//!
//! Each page has the problem in one sentence and a program, which the tests of this crate run. It says
//! what to watch out for, and how other libraries call the same thing.
//!
//! | I want to … | recipe |
//! |---|---|
//! | close a peer that is silent, or takes too long | [`timeouts`] |
//! | send an answer that is larger than memory, or a file | [`long_answers`] |
//! | answer after work that blocks | [`pool_answers`] |
//! | send one message to many connections | [`broadcast`] |
//! | connect to a server, and again when it is lost | [`connect`] |
//! | pass bytes between two connections | [`proxy`] |
//! | encrypt | [`tls`] |
//! | use all processors | [`thread_per_core`] |
//! | get sockets from systemd, and pass them on | [`descriptors`] |
//! | end gracefully on SIGTERM, reload on SIGHUP | [`signals`] |
//! | combine with another event loop | [`nested_loops`] |
//! | test a protocol | [`testing`] |
//! | see what a server does | [`metrics`] |
//! | serve one connection in a thread | [`threads`] |
//! | keep thousands of silent clients with a few threads | [`parking`] |
//! | share state between components | [`state`] |
//! | receive and send datagrams | [`datagrams`] |
//!
//! All programs use sockets of this machine, so that they run anywhere. To serve others, replace
//! `127.0.0.1:0` by the address and port of the server.
//!
//! # Where a program stands
//!
//! Most recipes use two objects. The [`Wire`](crate::Wire) is a connection as its protocol sees it. The
//! [`Context`](crate::Context) is the reactor: it sets timers, adds sources, and reaches other
//! connections. A callback gets both, does a little, and returns. It never blocks.
//!
//! What a connection has to say to another goes through the context:
//!
//! | call | what it does | from |
//! |---|---|---|
//! | [`Context::tell`](crate::Context::tell) | runs a closure with the other's protocol and wire | the loop |
//! | [`Context::notify`](crate::Context::notify) | calls [`notified`](crate::Protocol::notified) of the other, which looks into the state | the loop |
//! | [`ReactorHandle::tell`](crate::ReactorHandle::tell), [`post`](crate::ReactorHandle::post) | the same, and any closure for the loop | any thread |
//! | [`Pool::submit_to`](crate::pool::Pool::submit_to) | work on a worker, and its result for a connection | the loop |

#![doc(alias = "cookbook")]
#![doc(alias = "recipes")]
#![doc(alias = "examples")]
#![doc(alias = "howto")]

pub mod broadcast;
pub mod connect;
pub mod datagrams;
pub mod descriptors;
pub mod long_answers;
pub mod metrics;
pub mod nested_loops;
pub mod parking;
pub mod pool_answers;
pub mod proxy;
pub mod signals;
pub mod state;
pub mod testing;
pub mod thread_per_core;
pub mod threads;
pub mod timeouts;
pub mod tls;
