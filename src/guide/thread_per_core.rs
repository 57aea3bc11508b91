//! A thread for each core: several loops that serve one address.
//!
//! The problem: one loop uses one processor, and the server needs all of them.
//!
//! [`Loops`] runs a reactor on each of several threads. Each has a state of its own, so handlers need no
//! lock. The connections of one address are distributed among them.
//!
//! ```
//! use std::io::{self, Read, Write};
//! use std::net::TcpStream;
//! use std::time::Duration;
//! use tripoll::Context;
//! use tripoll::net::{Connection, Loops, Protocol, Wire};
//!
//! /// What the connections of one loop share. No other thread touches it.
//! struct Shard {
//!     index: usize,
//!     served: u64,
//! }
//!
//! /// Answers with the number of its loop.
//! struct Which;
//!
//! impl Protocol<Shard> for Which {
//!     fn opened(&mut self, wire: &mut Wire, cx: &mut Context<Shard>) -> io::Result<()> {
//!         cx.state.served += 1;
//!         write!(wire, "loop {}, client {}", cx.state.index, cx.state.served)?;
//!         wire.close();
//!         Ok(())
//!     }
//!
//!     fn received(&mut self, _: &mut Wire, data: &[u8], _: &mut Context<Shard>) -> io::Result<usize> {
//!         Ok(data.len())
//!     }
//! }
//!
//! let loops = Loops::builder()
//!     .threads(2) // default: as many as processors
//!     .max_connections(10_000)
//!     .serve("127.0.0.1:0", |index| Shard { index, served: 0 }, |stream, cx| {
//!         Connection::new(Which).serve(stream, cx).map(drop)
//!     })?;
//! let mut first = TcpStream::connect(loops.local_address().to_string())?;
//! let mut text = String::new();
//! first.read_to_string(&mut text)?;
//! assert_eq!(text, "loop 0, client 1");
//! drop(first);
//!
//! loops.shutdown(Duration::from_secs(10)); // after a signal, for example
//! loops.join()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What to watch out for
//!
//! * [`Distribution`](crate::net::loops::Distribution) says how connections come to the loops. The
//!   default, the loop with the fewest connections, is right for most servers.
//! * A connection stays in its loop. One client that sends much uses one processor.
//! * For something in another loop, [`Loops::reactor`] gives its handle, with
//!   [`post`](crate::ReactorHandle::post) and [`tell`](crate::ReactorHandle::tell). A
//!   [`Token`](crate::Token) or [`Id`](crate::reactor::Id) is valid in its own reactor only.
//! * Limits such as `max_connections` hold for all loops together.
//! * [`Loops::drain`] ends one loop and no other: to try a new configuration, for example.
//!
//! # In other libraries
//!
//! | library | its name |
//! |---|---|
//! | asyncio | a process for each core, with `SO_REUSEPORT` |
//! | Netty | `EventLoopGroup`, boss and worker |
//! | libevent | an `event_base` in each thread |
//! | nginx | `worker_processes` |
//! | tokio | the multi-thread runtime; `LocalSet` in each thread |
//!
//! [`Loops`]: crate::net::Loops
//! [`Loops::reactor`]: crate::net::Loops::reactor
//! [`Loops::drain`]: crate::net::Loops::drain

#![doc(alias = "EventLoopGroup")]
#![doc(alias = "SO_REUSEPORT")]
#![doc(alias = "workers")]
#![doc(alias = "shard")]
