//! Ready-made sources: signals, ticks, wakes, ends of processes, and messages of other threads.
//!
//! | source | an event is |
//! |---|---|
//! | [`Signals`] | a signal to this process, with its sender |
//! | [`Interval`] | a tick, with the number of ticks that were missed |
//! | [`Ping`] | any number of calls of [`Pinger::ping`] in other threads |
//! | [`Child`] | the end of a child process, with its exit status |
//! | [`Receiver`] | a message of another thread, through a bounded [`channel()`] |
//!
//! Each is an ordinary source: [`Context::add`](crate::Context::add) watches it with any handler. The
//! handler reads it with [`Source::try_io`](crate::Source::try_io) and the method that returns its
//! events. That method never blocks: without an event it returns `WouldBlock`. For a handler that only
//! handles events, `on` is shorter:
//!
//! ```
//! use std::time::Duration;
//! use tripoll::Reactor;
//! use tripoll::reactor::sources::{Interval, Tick};
//!
//! let mut reactor = Reactor::builder().build_with(0)?;
//! Interval::new(Duration::from_millis(1))?.on(&mut reactor.context(), |tick: Tick, cx| {
//!     *cx.state += 1 + tick.missed;
//!     if *cx.state >= 3 {
//!         cx.stop();
//!     }
//! })?;
//! reactor.run()?;
//! assert!(*reactor.state() >= 3);
//! # std::io::Result::Ok(())
//! ```
//!
//! When the reactor [shuts down](crate::Context::shutdown), such a handler removes its source.

#[cfg(not(loom))]
mod channel;
#[cfg(not(loom))]
mod child;
mod events;
#[cfg(not(loom))]
mod interval;
mod ping;
#[cfg(not(loom))]
mod signal;
#[cfg(not(loom))]
mod signals;
pub(super) mod timer_source;

#[cfg(not(loom))]
pub use channel::{Receiver, Sender, channel};
#[cfg(not(loom))]
pub use child::Child;
#[cfg(not(loom))]
pub use interval::{Interval, Tick};
pub use ping::{Ping, Pinger};
#[cfg(not(loom))]
pub use signal::Signal;
#[cfg(not(loom))]
pub use signals::{SignalInfo, Signals};
