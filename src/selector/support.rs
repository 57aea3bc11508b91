//! What a selector outside this crate needs to keep the contract of [`Selector`](super::Selector).
//!
//! # How to write a selector
//!
//! 1. **Keep a [`Table`]** of what was added. [`check_vacant`](Table::check_vacant) first in `add`,
//!    [`entry`](Table::entry) in `set`, [`remove`](Table::remove) in `remove`: so `AlreadyExists` and
//!    `NotFound` are the same on every backend.
//! 2. **Describe it by [`Caps`](super::Caps)**, and call [`Caps::check`](super::Caps::check) in `add`:
//!    it refuses a trigger or a descriptor that the selector does not support. Refuse a descriptor
//!    that is not open with [`check_open`].
//! 3. **Without interest, no event.** Take a descriptor with `Interest::NONE` out of the kernel's set,
//!    and keep it in the table.
//! 4. **One event a descriptor and wait**, with all its readiness merged, under the token of `add`.
//! 5. **A change reports again.** After `add` and `set`, the next wait reports what is ready,
//!    edge-triggered too. A one-shot descriptor is armed by `set`.
//! 6. **Regular files are always ready.** Where the kernel refuses them, keep them in
//!    [`AlwaysReady`], report them in each wait, and do not block while there are any.
//! 7. **A failed `add` leaves nothing behind.** A failed `set` leaves the descriptor added.
//! 8. **A closed number** is a mistake of the caller, but must not harm the others. Where the kernel
//!    reports it, report it once with `Readiness::INVALID`.
//! 9. **A wait ends at its [`Deadline`](super::Deadline)**, not before it without an event. After a
//!    signal, `wait_interruptible` returns `Interrupted`; `wait` continues.
//! 10. **Count** waits, changes and repairs in [`SelectorCounters`](super::SelectorCounters).
//!
//! The tests in `tests/selector` of this crate's repository check these points for every backend. Those of
//! the contract also run on the selector below. (`sys::poll` continues after a signal, so this one never
//! returns `Interrupted`.)
//!
//! ```
//! use std::{io, os::fd::RawFd};
//! use tripoll::selector::support::{Table, check_open};
//! use tripoll::selector::{
//!     Caps, Deadline, Event, Events, Interest, Readiness, Selector, Token, Trigger,
//! };
//! use tripoll::sys::{PollFd, PollFlags, poll};
//!
//! /// `poll(2)`, with an array that is built anew for each wait.
//! #[derive(Debug, Default)]
//! struct SimplePoll {
//!     table: Table<(Token, Interest)>,
//! }
//!
//! impl Selector for SimplePoll {
//!     fn name(&self) -> &'static str {
//!         "simple poll"
//!     }
//!
//!     fn caps(&self) -> Caps {
//!         Caps::new(&[Trigger::Level], Readiness::all().difference(Readiness::INVALID))
//!     }
//!
//!     fn add(
//!         &mut self,
//!         fd: RawFd,
//!         token: Token,
//!         interest: Interest,
//!         trigger: Trigger,
//!     ) -> io::Result<()> {
//!         self.table.check_vacant(fd)?;
//!         self.caps().check(self.name(), fd, trigger)?;
//!         check_open(fd)?;
//!         self.table.insert(fd, (token, interest));
//!         Ok(())
//!     }
//!
//!     fn set(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
//!         self.table.entry(fd)?.1 = interest;
//!         Ok(())
//!     }
//!
//!     fn remove(&mut self, fd: RawFd) -> io::Result<()> {
//!         self.table.remove(fd).map(drop)
//!     }
//!
//!     fn wait_interruptible(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
//!         events.clear();
//!         let watched = self.table.iter_mut().filter(|(_, entry)| !entry.1.is_empty());
//!         let (tokens, mut array): (Vec<Token>, Vec<PollFd>) = watched
//!             .map(|(fd, &mut (token, interest))| (token, PollFd::new(fd, to_poll_flags(interest))))
//!             .unzip();
//!         poll(&mut array, deadline.remaining())?;
//!         for (token, answer) in tokens.into_iter().zip(array) {
//!             let readiness = Readiness::from_bits_truncate(u32::from(answer.revents().bits() as u16));
//!             if !readiness.is_empty() {
//!                 events.push(Event::new(token, readiness));
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! fn to_poll_flags(interest: Interest) -> PollFlags {
//!     let mut flags = PollFlags::empty();
//!     flags.set(PollFlags::IN | PollFlags::RDHUP, interest.contains(Interest::READ));
//!     flags.set(PollFlags::OUT, interest.contains(Interest::WRITE));
//!     flags.set(PollFlags::PRI, interest.contains(Interest::PRIORITY));
//!     flags
//! }
//!
//! let mut reactor = tripoll::Reactor::builder().selector(SimplePoll::default()).build()?;
//! let (reader, writer) = std::io::pipe()?;
//! let at_end = |_: &mut tripoll::Source<std::io::PipeReader>, cx: &mut tripoll::Context| {
//!     cx.stop();
//!     Ok(tripoll::Next::Remove)
//! };
//! reactor.context().add(reader, Interest::READ, at_end)?;
//! drop(writer);
//! reactor.run()?;
//! assert_eq!(reactor.context().backend(), "simple poll");
//! # io::Result::Ok(())
//! ```

use std::io;
use std::os::fd::RawFd;

pub use super::always_ready::AlwaysReady;
pub use super::table::Table;
use crate::sys;

/// Checks that a descriptor is open.
///
/// # Errors
///
/// `InvalidInput` if it is not, with its number in the message.
pub fn check_open(fd: RawFd) -> io::Result<()> {
    sys::check_open(fd)
}
