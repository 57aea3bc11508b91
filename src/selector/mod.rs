//! Which descriptors are ready: one trait over `select`, `poll` and `epoll`, chosen at run time.
//!
//! A [`Selector`] watches descriptors and answers one question: *which of these can be used without
//! blocking?* It never reads, writes or closes a descriptor, and calls no handler. That is the
//! reactor's part.
//!
//! ```
//! use std::{io::Write, os::fd::AsRawFd};
//! use tripoll::selector::{Backend, Deadline, Events, Interest, Token, Trigger};
//!
//! let backend: Backend = "poll".parse()?;
//! let mut selector = backend.selector()?;
//! let (mine, mut theirs) = std::os::unix::net::UnixStream::pair()?;
//!
//! selector.add(mine.as_raw_fd(), Token::from(7), Interest::READ, Trigger::Level)?;
//! theirs.write_all(b"hello")?;
//!
//! let mut events = Events::new();
//! selector.wait(&mut events, Deadline::Never)?;
//! for event in &events {
//!     assert_eq!(event.token(), Token::from(7));
//!     assert!(event.is_readable());
//! }
//! selector.remove(mine.as_raw_fd())?; // before it is closed
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The same on every backend
//!
//! * A descriptor is added once. To add it again is `AlreadyExists`, and changes nothing. To change or
//!   remove a descriptor that is not added is `NotFound`. To add a closed one is `InvalidInput`. A
//!   failed `add` leaves nothing behind.
//! * Each wait reports at most one event per descriptor, with all its readiness merged.
//! * For a descriptor with [`Interest::NONE`] no event is reported, not even a hang-up.
//! * Regular files and directories are always ready.
//! * Urgent data is reported only for [`Interest::PRIORITY`].
//! * A wait until a [`Deadline`] neither returns before it without an event, nor spins.
//!
//! # What differs
//!
//! What a system call cannot report, no wrapper can. The differences are data: [`Caps`]. A trigger that
//! a selector does not support is an `Unsupported` error. To write a selector of your own, see
//! [`support`].
//!
//! # Remove before closing
//!
//! A selector holds numbers and owns nothing. A number that is closed while it is added is a mistake of
//! the caller, with different consequences: `select` fails as a whole; `poll` reports `POLLNVAL`
//! forever; `epoll` forgets it, or, if a duplicate keeps the file open, reports it forever. Here,
//! `select` and `poll` report it once, with [`Readiness::INVALID`], and continue with the others.
//! `epoll` and mio cannot. On every backend such a number can still be removed. Where the kernel
//! knows the number as another file, its entry is repaired, and counted in
//! [`SelectorCounters::repairs`].

mod always_ready;
mod ask_first;
mod auto;
mod backend;
mod caps;
mod epoll;
mod event;
#[cfg(feature = "mio")]
mod mio;
mod poll;
mod select;
pub mod support;
mod table;
mod unknown_name;

pub use crate::sys::Deadline;
pub use auto::{AutoSelector, Prices};
pub use backend::Backend;
pub use caps::{Caps, Cost};
pub use epoll::EpollSelector;
pub use event::{Event, Events, Interest, Readiness, Token, Trigger};
#[cfg(feature = "mio")]
pub use mio::MioSelector;
pub use poll::PollSelector;
pub use select::SelectSelector;
pub use unknown_name::UnknownName;

use std::fmt::Debug;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

/// Watches descriptors, and waits until some are ready.
///
/// The trait can be implemented outside this crate: to record events, to inject faults, or for another
/// kernel interface. [`support`] has a checklist and the parts that this crate's selectors share.
///
/// # Errors
///
/// Each error names the descriptor in its message. A method that fails changes nothing, unless it
/// says otherwise.
pub trait Selector: Debug + Send {
    /// Returns the name of the backend, as [`Backend`] spells it.
    fn name(&self) -> &'static str;

    /// Returns what this selector can and cannot do.
    fn caps(&self) -> Caps;

    /// Adds a descriptor. Its events carry `token`. The next wait reports what is ready already,
    /// edge-triggered too.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if `fd` is added. `InvalidInput` if it is not open, or above
    /// [`Caps::largest_descriptor`]. `Unsupported` for a `trigger` that is not in
    /// [`Caps::triggers`]. Those of the kernel.
    fn add(
        &mut self,
        fd: RawFd,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) -> io::Result<()>;

    /// Sets the interest of a descriptor. Its token and trigger stay. The next wait reports what is
    /// ready, edge-triggered too. A one-shot descriptor is armed again.
    ///
    /// # Errors
    ///
    /// `NotFound` if `fd` is not added. Where a change is a system call
    /// ([`Caps::change_is_a_system_call`]), `InvalidInput` if `fd` is closed, and those of the kernel;
    /// then `fd` stays added without interest, and its interest may be set again. Elsewhere the next
    /// wait reports that `fd` is closed.
    fn set(&mut self, fd: RawFd, interest: Interest) -> io::Result<()>;

    /// Removes a descriptor. Call it before `fd` is closed.
    ///
    /// # Errors
    ///
    /// `NotFound` if `fd` is not added.
    fn remove(&mut self, fd: RawFd) -> io::Result<()>;

    /// Waits until a descriptor is ready or the deadline has come, and replaces the contents of
    /// `events`. A signal ends the wait: for callers that must then handle what the signal handler
    /// left. All others use [`wait`](Self::wait).
    ///
    /// # Errors
    ///
    /// `Interrupted` after a signal. Other errors are faults of this crate.
    fn wait_interruptible(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()>;

    /// Waits until a descriptor is ready or the deadline has come, and replaces the contents of
    /// `events`. After a signal it continues for the time that is left.
    ///
    /// # Errors
    ///
    /// On poll, `InvalidInput` when the process's limit of descriptors was lowered below the number of
    /// watched ones. Other errors are faults of this crate.
    #[inline]
    fn wait(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        match self.wait_interruptible(events, deadline) {
            Ok(()) => Ok(()),
            Err(error) => wait_after(self, error, events, deadline),
        }
    }

    /// Returns the selector's own descriptor, if it has one. It is readable when a wait would report an
    /// event. Regular files are the exception: they do not make it readable.
    fn own_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Returns the number of system calls and of repairs.
    fn counters(&self) -> SelectorCounters {
        SelectorCounters::default()
    }
}

/// Continues a wait that has failed with `error`, if it was interrupted by a signal.
#[cold]
#[inline(never)] // what it needs is not to be saved on the path without a signal
fn wait_after<S: Selector + ?Sized>(
    selector: &mut S,
    mut error: io::Error,
    events: &mut Events,
    deadline: Deadline,
) -> io::Result<()> {
    while error.kind() == io::ErrorKind::Interrupted {
        match selector.wait_interruptible(events, deadline) {
            Ok(()) => return Ok(()),
            Err(next) => error = next,
        }
    }
    Err(error)
}

/// Counts what a [`Selector`] has done since it was created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelectorCounters {
    /// System calls that wait, those with a zero timeout included.
    pub waits: u64,
    /// System calls that change what the kernel watches. Zero on select and poll.
    pub controls: u64,
    /// Repairs of the kernel's list: the number of a descriptor was closed without
    /// [`Selector::remove`], so that the kernel and the selector's table disagreed.
    pub repairs: u64,
    /// Switches between the two calls of an [`AutoSelector`].
    pub switches: u64,
}
