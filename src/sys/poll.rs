//! `poll(2)`: an array of descriptors, each with what is asked and what is answered.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use super::deadline::{Deadline, timespec, timespec_ptr};
use super::limits::descriptor_limit;
use super::{check, retry};

bitflags::bitflags! {
    /// What `poll` is asked and what it answers, `poll(2)`'s own bits.
    ///
    /// `ERR`, `HUP` and `NVAL` are answered whether asked or not; in the question they mean nothing.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct PollFlags: i16 {
        /// Data, or a connection to accept.
        const IN = libc::POLLIN;
        /// Urgent data.
        const PRI = libc::POLLPRI;
        /// Some bytes can be written.
        const OUT = libc::POLLOUT;
        /// The peer will send no more.
        const RDHUP = libc::POLLRDHUP;
        /// An error is pending, or the reading end of this pipe is gone.
        const ERR = libc::POLLERR;
        /// Both directions are finished, or the writing end of this pipe is gone.
        const HUP = libc::POLLHUP;
        /// The descriptor is not open.
        const NVAL = libc::POLLNVAL;
    }
}

/// One line of `poll`'s array: the kernel's `pollfd` itself.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct PollFd(libc::pollfd);

impl PollFd {
    /// Asks `events` of `fd`. A negative number is legal: the kernel passes over it.
    pub const fn new(fd: RawFd, events: PollFlags) -> Self {
        PollFd(libc::pollfd { fd, events: events.bits(), revents: 0 })
    }

    /// The descriptor.
    pub const fn fd(&self) -> RawFd {
        self.0.fd
    }

    /// What is asked.
    pub const fn events(&self) -> PollFlags {
        PollFlags::from_bits_retain(self.0.events)
    }

    /// What the last call answered; empty before the first.
    pub const fn revents(&self) -> PollFlags {
        PollFlags::from_bits_retain(self.0.revents)
    }

    /// Changes what is asked.
    pub const fn set_events(&mut self, events: PollFlags) {
        self.0.events = events.bits();
    }
}

impl std::fmt::Debug for PollFd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PollFd")
            .field("fd", &self.fd())
            .field("events", &self.events())
            .field("revents", &self.revents())
            .finish()
    }
}

/// One `ppoll`: fills in each line's answer and returns how many lines have one.
pub(crate) fn ppoll(fds: &mut [PollFd], deadline: Deadline) -> io::Result<usize> {
    let (lines, count) = (fds.as_mut_ptr().cast(), fds.len() as libc::nfds_t);
    let answer = if deadline == Deadline::Now {
        // `poll` itself: a zero needs no `timespec` for the kernel to fetch.
        // SAFETY: as below.
        unsafe { libc::poll(lines, count, 0) }
    } else {
        let time = timespec(deadline);
        // SAFETY: `PollFd` is a transparent `pollfd`, the array is borrowed for the call alone,
        // `time` outlives the call, and a null mask changes no signal.
        unsafe { libc::ppoll(lines, count, timespec_ptr(&time), std::ptr::null()) }
    };
    check(answer).map(|ready| ready as usize).map_err(|error| explain(error, fds.len()))
}

/// EINVAL means one thing: the limit was lowered below what is watched.
#[cold]
fn explain(error: io::Error, lines: usize) -> io::Error {
    match (error.kind(), descriptor_limit()) {
        (io::ErrorKind::InvalidInput, Ok(limit)) => io::Error::new(
            error.kind(),
            format!(
                "poll takes no more lines than the process may have descriptors: {lines} lines, \
                 limit {} (RLIMIT_NOFILE)",
                limit.soft
            ),
        ),
        _ => error,
    }
}

/// Waits until a descriptor can be used, fills in each line's [`revents`](PollFd::revents), and
/// returns how many lines have an answer.
///
/// `timeout`: `None` waits forever, zero does not block. A signal does not end the wait. A closed
/// descriptor is answered with [`PollFlags::NVAL`], at once and each time.
///
/// See `poll(2)`; the call is `ppoll`, or `poll` where nothing is waited for.
///
/// ```
/// use std::{os::fd::AsRawFd, time::Duration};
/// use tripoll::sys::{PollFd, PollFlags, poll};
///
/// let (mine, _theirs) = std::os::unix::net::UnixStream::pair()?;
/// let mut fds = [PollFd::new(mine.as_raw_fd(), PollFlags::IN | PollFlags::OUT)];
/// assert_eq!(poll(&mut fds, Some(Duration::ZERO))?, 1);
/// assert_eq!(fds[0].revents(), PollFlags::OUT);
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
///
/// `InvalidInput` when there are more lines than the process may have descriptors, see
/// [`descriptor_limit`](super::descriptor_limit); the message has both numbers.
pub fn poll(fds: &mut [PollFd], timeout: Option<Duration>) -> io::Result<usize> {
    let deadline = Deadline::from(timeout);
    retry(|| ppoll(fds, deadline))
}
