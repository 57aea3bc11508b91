//! Testing a protocol: without a network, and without sleeping.
//!
//! The problem: a protocol must be right for input in pieces of any size, for a peer that does not read,
//! and for timeouts of minutes.
//!
//! [`ProtocolTest`] is the peer of a protocol, in the hands of a test. For other handlers,
//! [`ManualClock`] is a clock that a test moves.
//!
//! ```
//! use std::io;
//! use std::time::Duration;
//! use tripoll::net::testing::ProtocolTest;
//! use tripoll::net::{Protocol, Wire};
//! use tripoll::reactor::ManualClock;
//! use tripoll::{Context, Deadline, Reactor};
//!
//! /// Answers each line with its length. A line may take a minute.
//! struct Lengths;
//!
//! impl Protocol for Lengths {
//!     fn opened(&mut self, wire: &mut Wire, _: &mut Context) -> io::Result<()> {
//!         wire.set_deadline(Some(Duration::from_secs(60)));
//!         Ok(())
//!     }
//!
//!     fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
//!         let Some(end) = data.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
//!         wire.set_deadline(Some(Duration::from_secs(60)));
//!         wire.write(format!("{end}\n").as_bytes());
//!         Ok(end + 1)
//!     }
//! }
//!
//! // Input in two pieces, cut at each place.
//! let input = b"four\n\nfifteen letters\n";
//! for cut in 0..=input.len() {
//!     let mut test = ProtocolTest::new(Lengths, ())?;
//!     test.receive(&input[..cut]);
//!     test.receive(&input[cut..]);
//!     assert_eq!(test.written(), b"4\n0\n15\n");
//! }
//! // A minute passes.
//! let mut test = ProtocolTest::new(Lengths, ())?;
//! test.advance(Duration::from_secs(60));
//! assert_eq!(test.closed().as_deref(), Some("timed out"));
//! // A handler of another kind, with a clock that the test moves.
//! let clock = ManualClock::new();
//! let mut reactor = Reactor::builder().clock(clock.clone()).build_with(0)?;
//! reactor.context().set_interval(Duration::from_secs(3_600), |cx: &mut Context<u32>| *cx.state += 1);
//! for _ in 0..24 {
//!     clock.advance(Duration::from_secs(3_600));
//!     reactor.turn(Deadline::Now)?;
//! }
//! assert_eq!(*reactor.state(), 24);
//! # io::Result::Ok(())
//! ```
//!
//! # What to watch out for
//!
//! * [`ProtocolTest::set_reads`] makes the peer stop reading: test that a long answer pauses and goes on.
//! * Errors of the protocol do not fail the test. Check [`ProtocolTest::closed`].
//! * Run a server's tests on each [`Backend`](crate::Backend) and [`Trigger`](crate::Trigger) only if it
//!   has handlers of its own. A protocol does not see the difference.
//! * A [`Filter`](crate::net::Filter) does no input and output: test it by its methods.
//!
//! # In other libraries
//!
//! | library | its name |
//! |---|---|
//! | asyncio | `unittest.IsolatedAsyncioTestCase`, a mocked transport |
//! | Netty | `EmbeddedChannel`, `runScheduledPendingTasks` |
//! | libevent | `bufferevent_pair_new` |
//! | tokio | the crate `tokio-test`, `tokio::io::duplex`, `tokio::time::pause` |
//!
//! [`ProtocolTest`]: crate::net::testing::ProtocolTest
//! [`ProtocolTest::set_reads`]: crate::net::testing::ProtocolTest::set_reads
//! [`ProtocolTest::closed`]: crate::net::testing::ProtocolTest::closed
//! [`ManualClock`]: crate::reactor::ManualClock

#![doc(alias = "mock")]
#![doc(alias = "EmbeddedChannel")]
#![doc(alias = "unit test")]
