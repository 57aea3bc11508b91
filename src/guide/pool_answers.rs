//! Answers from a pool: requests whose work blocks or takes long.
//!
//! The problem: a request needs a database, a disk or a long computation, and the loop must not wait for
//! it.
//!
//! [`Pool::submit_to`] runs the work on a worker thread. It brings the result back to the protocol of the
//! connection that asked, with its wire. [`Pool::submit_for`] brings it to a closure in the loop.
//!
//! ```
//! use std::io::{self, Write};
//! use tripoll::net::{Closed, Connection, Protocol, Stream, Wire};
//! use tripoll::pool::Pool;
//! use tripoll::reactor::Id;
//! use tripoll::{Context, Reactor};
//!
//! /// Each line is a number. The answer is the sum of the numbers up to it.
//! struct Sums;
//!
//! impl Protocol<Pool> for Sums {
//!     fn received(&mut self, wire: &mut Wire, data: &[u8], cx: &mut Context<Pool>) -> io::Result<usize> {
//!         let Some(end) = data.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
//!         let text = String::from_utf8_lossy(&data[..end]);
//!         let number: u64 = text.parse().map_err(io::Error::other)?;
//!         let id: Id<Connection<Sums>> = cx.id(wire.token())?;
//!         let work = move || (1..=number).sum::<u64>(); // on a worker, and may block
//!         let asked = cx.state.submit_to(&cx.handle(), id, work, |_, wire, sum, _| {
//!             writeln!(wire, "{}", sum.map_err(io::Error::other)?)?; // on the loop
//!             wire.resume(); // the next request
//!             Ok(())
//!         });
//!         match asked {
//!             Ok(()) => wire.pause(), // one request at a time, so answers are in order
//!             Err(refused) => writeln!(wire, "{refused}")?, // the queue is full
//!         }
//!         Ok(end + 1)
//!     }
//!
//!     fn closed(&mut self, _: &Closed, cx: &mut Context<Pool>) {
//!         cx.stop();
//!     }
//! }
//!
//! let mut reactor = Reactor::builder().build_with(Pool::new(2, 100)?)?;
//! let (here, mut client) = Stream::pair()?;
//! Connection::new(Sums).serve(here, &mut reactor.context())?;
//! client.write_all(b"10\n1000\n")?;
//! client.shutdown(std::net::Shutdown::Write)?;
//! reactor.run()?;
//! assert_eq!(io::read_to_string(&client)?, "55\n500500\n");
//! # io::Result::Ok(())
//! ```
//!
//! # What to watch out for
//!
//! * Without [`Wire::pause`] the answers come in the order in which the workers finish. Number them, or
//!   pause.
//! * The queue of the pool is bounded. Decide what the client gets when it is full: an error, as above, or
//!   a pause until [`Pool::reserve`] has room.
//! * A connection that is closed meanwhile drops its answer. The work itself is not cancelled.
//! * A panic of the work is the `Err` of the result. It ends neither the worker nor the loop.
//! * The work is `Send` and `'static`: it takes what it needs with it. The answer runs on the loop, and
//!   must be short.
//!
//! # In other libraries
//!
//! | library | its name |
//! |---|---|
//! | asyncio | `loop.run_in_executor`, `asyncio.to_thread` |
//! | Netty | `EventExecutorGroup` for a handler, `ctx.executor().execute` |
//! | libevent | none; `event_active` from a thread |
//! | libuv | `uv_queue_work` |
//! | tokio | `tokio::task::spawn_blocking` |
//!
//! [`Pool::submit_to`]: crate::pool::Pool::submit_to
//! [`Pool::submit_for`]: crate::pool::Pool::submit_for
//! [`Pool::reserve`]: crate::pool::Pool::reserve
//! [`Wire::pause`]: crate::net::Wire::pause

#![doc(alias = "run_in_executor")]
#![doc(alias = "spawn_blocking")]
#![doc(alias = "executor")]
#![doc(alias = "to_thread")]
