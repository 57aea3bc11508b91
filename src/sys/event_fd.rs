//! A wrapper for `eventfd(2)`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::call_error::with_context;
use super::check;
use super::fd::{read_counter, replace};

/// A counter in the kernel that is readable while it is not zero. Any thread may add to it.
#[derive(Debug)]
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes two numbers, returns a new descriptor or -1.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })
            .map_err(|error| with_context("eventfd", error))?;
        // SAFETY: the kernel has just made this descriptor, and nothing else knows it.
        Ok(EventFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Begins anew with a counter of zero, under the same number: that of a parent process, which this
    /// one has inherited, is no longer shared.
    pub(crate) fn renew(&self) -> io::Result<()> {
        let EventFd(new) = EventFd::new()?;
        replace(self.as_fd(), &new)
    }

    /// Makes the descriptor readable. A full counter refuses the addition, but is readable already.
    ///
    /// Nothing repeats a wake that is lost, and its loop sleeps on. So a write that fails is made again.
    /// The limit is for one that always fails, as under a filter of system calls.
    pub(crate) fn wake(&self) {
        const TRIES: usize = 10;
        let one = 1_u64.to_ne_bytes();
        for _ in 0..TRIES {
            // SAFETY: writes eight bytes from an array of eight.
            let wrote = unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
            if wrote >= 0 {
                break;
            }
        }
    }

    /// Makes the descriptor unreadable until the next [`wake`](Self::wake).
    pub(crate) fn clear(&self) {
        let _ = read_counter(&self.0);
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
