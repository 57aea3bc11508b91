//! Several loops, each a thread with a reactor, that serve one address: a thread per core.
//!
//! One loop uses one processor. [`Loops`] runs as many as there are processors. Each has its own
//! reactor, and its own state that no other thread touches, so handlers need no locks. A connection
//! stays in the loop that got it.
//!
//! ```
//! use std::io;
//! use std::time::Duration;
//! use tripoll::net::loops::Distribution;
//! use tripoll::net::{Connection, Loops, Protocol, Wire};
//! use tripoll::Context;
//!
//! /// What the connections of one loop share.
//! struct State {
//!     index: usize,
//!     lines: u64,
//! }
//!
//! /// Answers each line with the number of its loop, and of its line in this loop.
//! struct Count;
//!
//! impl Protocol<State> for Count {
//!     fn received(
//!         &mut self,
//!         wire: &mut Wire,
//!         data: &[u8],
//!         cx: &mut Context<'_, State>,
//!     ) -> io::Result<usize> {
//!         let Some(end) = data.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
//!         cx.state.lines += 1; // no lock: the state is the loop's own
//!         wire.write(format!("loop {}, line {}\n", cx.state.index, cx.state.lines).as_bytes());
//!         Ok(end + 1)
//!     }
//! }
//!
//! let loops = Loops::builder() // as many threads as processors
//! #     .threads(2)
//!     .distribution(Distribution::LeastConnections)
//!     .max_connections(10_000)
//!     .max_connections_per_peer(100)
//!     .serve("127.0.0.1:0", |index| State { index, lines: 0 }, |stream, cx| {
//!         Connection::new(Count).serve(stream, cx)?;
//!         Ok(())
//!     })?;
//! println!("listening on {}", loops.local_address());
//!
//! # use std::io::{BufRead, BufReader, Write};
//! # let tripoll::net::Address::Inet(address) = *loops.local_address() else { unreachable!() };
//! # for index in 0..2 {
//! #     let mut client = BufReader::new(std::net::TcpStream::connect(address)?);
//! #     client.get_mut().write_all(b"hello\n")?;
//! #     let mut answer = String::new();
//! #     client.read_line(&mut answer)?;
//! #     assert_eq!(answer, format!("loop {index}, line 1\n"));
//! # }
//! // ... and when the program ends, after a signal for example:
//! loops.shutdown(Duration::from_secs(10));
//! loops.join()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How connections come to the loops
//!
//! | [`Distribution`] | what accepts | balance | choose it when |
//! |---|---|---|---|
//! | [`LeastConnections`](Distribution::LeastConnections) | a thread of its own | open connections differ by one at most while they are handed out | connections live for different times. It is the default |
//! | [`RoundRobin`](Distribution::RoundRobin) | a thread of its own | each loop gets as many; how many stay open is chance | connections are short, and cost the same |
//! | [`PeerAddress`](Distribution::PeerAddress) | a thread of its own | by chance, and one large peer has one loop | the state of a loop has something of its peers: a cache, a rate |
//! | [`ReusePort`](Distribution::ReusePort) | each loop, on its own socket | by chance: a hash of addresses and ports | so many connections come that one thread cannot accept them all |
//! | [`SharedListener`](Distribution::SharedListener) | each loop, on one socket | the loops that the kernel wakes first get most | a loop that is free should have the next connection, and no thread is to spare |
//!
//! With a thread that accepts, each connection crosses threads once: a lock, and a wake of the loop if
//! it sleeps. All loops share one backlog, so a loop that is busy delays no connection that another
//! loop could serve.
//!
//! With `SO_REUSEPORT` each loop has a backlog of its own. The kernel chooses one by a hash, however
//! busy its loop is: a connection waits there although other loops are idle. When such a listener is
//! closed, **the connections in its backlog are reset**. Draining a loop hands on what it finds there,
//! but a connection that completes its handshake at that moment is lost. (With the sysctl
//! `net.ipv4.tcp_migrate_req` of Linux 5.14 the kernel moves it to another listener.) Any process of
//! the same user may bind the port as well, and then gets its share.
//!
//! With a shared listener there is one backlog, and a loop that is busy takes nothing from it. On epoll
//! the kernel wakes only one of the loops that sleep (`EPOLLEXCLUSIVE`). It looks for that one in the
//! same order each time: under a light load one loop gets nearly all connections, and keeps them when
//! the load grows. On select, poll and mio each connection wakes all loops that sleep, and all but one
//! sleep again: the cost of a connection grows with the number of loops.
//!
//! # What a peer can cost
//!
//! The limits hold for all loops together, and are exact whatever the threads do at the same time:
//!
//! * [`max_connections`](LoopsBuilder::max_connections): the right to one more is reserved before
//!   `accept(2)`. Others wait in the backlog.
//! * [`max_connections_per_peer`](LoopsBuilder::max_connections_per_peer): known after `accept(2)`.
//!   Others are closed at once, and counted.
//!
//! Both rights travel with the [`Stream`](super::Stream) until it is dropped. What is handed to a loop
//! waits in a queue. Each entry holds such a right, so all queues together are bounded by
//! `max_connections`. A loop takes [`accepts_per_turn`](super::ListenerBuilder::accepts_per_turn) of
//! them in a turn.
//!
//! # How they end
//!
//! | what happens | its connections | what was handed to it | new connections |
//! |---|---|---|---|
//! | [`Loops::drain`] | are told, and have the grace | go to the others | go to the others |
//! | [`Loops::let_finish`] | go on until they end | go to the others | go to the others |
//! | the loop fails or panics | are closed | go to the others | go to the others |
//! | [`Loops::shutdown`] | are told, and have the grace | are served, and told | refused by the kernel |
//! | [`Loops::stop`] | are closed | are closed and counted | refused by the kernel |
//!
//! A connection for which no loop is left is closed, and counted in
//! [`LoopsCounters::closed_unserved`]. A panic of a handler ends its connection and no loop. A loop
//! *fails* when [`Reactor::run`](crate::Reactor::run) returns an error
//! ([`Context::fail`](crate::Context::fail), a wait that fails), and *panics* when a hook does. The
//! failure is [reported](LoopsBuilder::on_failure), and the others [go on or
//! end](LoopsBuilder::when_one_fails).

mod builder;
mod counters;
mod distribution;
mod entrance;
mod error;
mod handle;
mod peers;
mod shared;
mod slot;
mod start;
mod threads;

pub use builder::LoopsBuilder;
pub use counters::{LoopCounters, LoopState, LoopsCounters};
pub use distribution::Distribution;
pub use error::LoopError;
pub use handle::Loops;
pub use shared::WhenOneFails;
