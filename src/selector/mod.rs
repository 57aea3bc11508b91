//! Which descriptors are ready: `select`, `poll` and `epoll` behind one face, chosen at run time.
//!
//! A [`Selector`] is told which descriptors to watch and for what, and answers one question:
//! *which of these can I use without waiting?* It never reads, writes, closes or calls anybody; who
//! must be told is the reactor's business.
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
//! * A descriptor is added once. Adding it again is `AlreadyExists`, and the first stays alive;
//!   changing or removing one that was never added is `NotFound`; adding one that is closed is
//!   `InvalidInput`. A failed add leaves nothing behind.
//! * One event a descriptor and wait, with everything that is the case merged into it.
//! * A descriptor with [`Interest::NONE`] is told nothing, not even that its peer is gone.
//! * Regular files and directories are always ready.
//! * Urgent data wakes only who asked for [`Interest::PRIORITY`].
//! * A wait until a [`Deadline`] neither returns before it without an event, nor spins towards it.
//!
//! # What differs
//!
//! What a call cannot say, no wrapper can say for it. The differences are data: [`Caps`].
//! Asking a selector for a trigger it does not have is an `Unsupported` error.
//!
//! # Remove before closing
//!
//! A selector holds numbers, and owns nothing. A number that was closed while added is a fault of
//! the caller's which the three calls punish differently: `select` fails as a whole, `poll` answers
//! `POLLNVAL` for ever, `epoll` forgets it, unless a duplicate keeps the file open: then it tells
//! of it for ever. Here, `select` and `poll` tell the owner once, with [`Readiness::INVALID`], and
//! go on with the others; `epoll` and mio cannot. On every backend such a number can still be
//! removed, and where the number has a new owner in the kernel's eyes, the kernel's entry is mended
//! and the mending counted in [`SelectorCounters::repairs`].

mod always_ready;
mod ask_first;
mod backend;
mod caps;
mod epoll;
mod event;
#[cfg(feature = "mio")]
mod mio;
mod poll;
mod select;
mod table;
mod unknown_name;

pub use crate::sys::Deadline;
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
/// The trait can be implemented outside this crate: to record what is asked, to inject faults, or
/// for a kernel interface that the crate does not know.
pub trait Selector: Debug + Send {
    /// The backend's name, as [`Backend`] spells it.
    fn name(&self) -> &'static str;

    /// What this selector can and cannot do.
    fn caps(&self) -> Caps;

    /// Watches `fd` for `interest`; its events will bear `token`. What is ready already is told by
    /// the next wait, on edge too.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if `fd` is added already; `InvalidInput` if it is not open, or beyond
    /// [`Caps::largest_descriptor`]; `Unsupported` for a `trigger` that is not among
    /// [`Caps::triggers`]; and what the kernel says. Nothing is left behind.
    fn add(
        &mut self,
        fd: RawFd,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) -> io::Result<()>;

    /// Watches `fd` for `interest` from now on. Token and trigger stay. What is ready is told by the
    /// next wait, on edge too; a one-shot is armed again.
    ///
    /// # Errors
    ///
    /// `NotFound` if `fd` is not added. Where a change is a system call
    /// ([`Caps::change_is_a_system_call`]), `InvalidInput` if it has been closed, and what the kernel
    /// says; `fd` then stays added and is watched for nothing: it is to be removed. Elsewhere the
    /// next wait tells that it is closed.
    fn set(&mut self, fd: RawFd, interest: Interest) -> io::Result<()>;

    /// Watches `fd` no longer. To be called before `fd` is closed.
    ///
    /// # Errors
    ///
    /// `NotFound` if `fd` is not added.
    fn remove(&mut self, fd: RawFd) -> io::Result<()>;

    /// Waits until something is ready or the deadline has come, and replaces what is in `events` by
    /// what is ready. A signal ends the wait with `Interrupted`: for a caller who must then look at
    /// what the signal's handler has left. All others use [`wait`](Self::wait).
    ///
    /// # Errors
    ///
    /// `Interrupted` after a signal; beyond that only what would be a fault of this crate's.
    fn wait_interruptible(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()>;

    /// Waits until something is ready or the deadline has come, and replaces what is in `events` by
    /// what is ready. After a signal it waits on for the time that is left.
    ///
    /// # Errors
    ///
    /// Only what would be a fault of this crate's; and on poll `InvalidInput`, when the process's
    /// limit of descriptors was lowered below the number of those that are watched.
    #[inline]
    fn wait(&mut self, events: &mut Events, deadline: Deadline) -> io::Result<()> {
        match self.wait_interruptible(events, deadline) {
            Ok(()) => Ok(()),
            Err(error) => wait_after(self, error, events, deadline),
        }
    }

    /// The selector's own descriptor where it has one: readable when a wait would find something.
    /// (Regular files, of which the kernel was not asked, do not show there.)
    fn own_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// How many system calls were made, and what had to be mended.
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

/// What a [`Selector`] has done since it was made. Always counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelectorCounters {
    /// System calls that wait, those with a zero timeout included.
    pub waits: u64,
    /// System calls that change what the kernel watches. None on select and poll.
    pub controls: u64,
    /// Times that the kernel and the selector's own table disagreed about a descriptor, because its
    /// number was closed without [`Selector::remove`], and the kernel's entry was mended.
    pub repairs: u64,
}
