//! Timeouts: a peer that is silent, reads nothing, or takes too long.
//!
//! The problem: a peer that does nothing must not hold a connection, its memory and its descriptor for
//! ever.
//!
//! | limit | is set by | default | when it is over |
//! |---|---|---|---|
//! | no data passes in either direction | [`Connection::idle_timeout`] | none | [`CloseReason::IdleTimedOut`] |
//! | the peer sends nothing | [`Connection::read_timeout`] | none | [`CloseReason::ReadTimedOut`] |
//! | the peer reads nothing of waiting output | [`Connection::write_timeout`] | 60 s | [`CloseReason::WriteTimedOut`] |
//! | the same, after [`Wire::close`] | [`Connection::close_within`] | 30 s | [`CloseReason::CloseTimedOut`] |
//! | a limit of the protocol: a login, a request | [`Wire::set_deadline`] | none | [`Protocol::timed_out`] |
//! | something regular | [`Context::set_interval`] | | the job runs |
//!
//! ```
//! use std::io::{self, Write};
//! use std::thread;
//! use std::time::Duration;
//! use tripoll::net::{CloseReason, Closed, Connection, Protocol, Stream, Wire};
//! use tripoll::{Context, Reactor};
//!
//! /// A peer has 5 ms for its first line.
//! struct Session;
//!
//! type Cx<'a> = Context<'a, Vec<String>>;
//!
//! impl Protocol<Vec<String>> for Session {
//!     fn opened(&mut self, wire: &mut Wire, _: &mut Cx) -> io::Result<()> {
//!         wire.set_deadline(Some(Duration::from_millis(5)));
//!         Ok(())
//!     }
//!
//!     fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Cx) -> io::Result<usize> {
//!         let Some(end) = data.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
//!         wire.set_deadline(None); // from now on `idle_timeout` is enough
//!         Ok(end + 1)
//!     }
//!
//!     fn timed_out(&mut self, wire: &mut Wire, _: &mut Cx) -> io::Result<()> {
//!         wire.write(b"no first line\n");
//!         wire.close();
//!         Ok(())
//!     }
//!
//!     fn closed(&mut self, closed: &Closed, cx: &mut Cx) {
//!         cx.state.push(closed.to_string());
//!         if cx.state.len() == 2 {
//!             cx.stop();
//!         }
//!     }
//! }
//!
//! let mut reactor = Reactor::builder().build_with(Vec::new())?;
//! let idle = Duration::from_millis(20);
//! for text in ["", "hello\n"] {
//!     let (here, mut peer) = Stream::pair()?;
//!     peer.write_all(text.as_bytes())?;
//!     thread::spawn(move || io::read_to_string(&peer)); // and then it closes
//!     Connection::new(Session).idle_timeout(idle).serve(here, &mut reactor.context())?;
//! }
//! reactor.run()?;
//! reactor.state_mut().sort();
//! assert_eq!(*reactor.state(), ["closed", "no data passed for idle_timeout"]);
//! # io::Result::Ok(())
//! ```
//!
//! # What to watch out for
//!
//! * A deadline is set again by the protocol, and not by data that comes. A peer that sends one byte a
//!   second keeps an `idle_timeout` away, and not a deadline.
//! * A connection has one deadline of its own. For several, keep the instants in the protocol and set the
//!   earliest.
//! * [`timed_out`](crate::net::Protocol::timed_out) ends the connection with an error by default. A protocol that
//!   only wants a reminder returns `Ok` and sets the next deadline.
//! * After [`Wire::close`] a peer that does not finish is kept for the
//!   [linger time](crate::net::Connection::linger), one second by default. One that does not read the rest
//!   of the output is kept for `close_within`.
//! * Test timeouts with a clock that the test moves: see [testing](super::testing).
//!
//! # In other libraries
//!
//! | library | its name |
//! |---|---|
//! | asyncio | `loop.call_later`, `asyncio.timeout` |
//! | Netty | `IdleStateHandler`, `ReadTimeoutHandler`, `WriteTimeoutHandler` |
//! | libevent | `bufferevent_set_timeouts`, `evtimer_new` |
//! | tokio | `tokio::time::timeout`, `tokio::time::interval` |
//!
//! [`Connection::idle_timeout`]: crate::net::Connection::idle_timeout
//! [`Connection::read_timeout`]: crate::net::Connection::read_timeout
//! [`Connection::write_timeout`]: crate::net::Connection::write_timeout
//! [`Connection::close_within`]: crate::net::Connection::close_within
//! [`CloseReason::IdleTimedOut`]: crate::net::CloseReason::IdleTimedOut
//! [`CloseReason::ReadTimedOut`]: crate::net::CloseReason::ReadTimedOut
//! [`CloseReason::WriteTimedOut`]: crate::net::CloseReason::WriteTimedOut
//! [`CloseReason::CloseTimedOut`]: crate::net::CloseReason::CloseTimedOut
//! [`Wire::set_deadline`]: crate::net::Wire::set_deadline
//! [`Wire::close`]: crate::net::Wire::close
//! [`Protocol::timed_out`]: crate::net::Protocol::timed_out
//! [`Context::set_interval`]: crate::Context::set_interval

#![doc(alias = "idle timeout")]
#![doc(alias = "call_later")]
#![doc(alias = "IdleStateHandler")]
#![doc(alias = "keepalive")]
