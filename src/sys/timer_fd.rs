//! A wrapper for `timerfd_create(2)`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use super::call_error::with_context;
use super::check;
use super::fd::{read_counter, replace};

/// A timer on `CLOCK_MONOTONIC` that is readable once it has expired.
#[derive(Debug)]
pub(crate) struct TimerFd(OwnedFd);

impl TimerFd {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: takes two numbers, returns a new descriptor or -1.
        let fd = check(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })
            .map_err(|error| with_context("timerfd_create", error))?;
        // SAFETY: the kernel has just made this descriptor, and nothing else knows it.
        Ok(TimerFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Expires once, after `delay`. Replaces an earlier setting.
    pub(crate) fn set(&self, delay: Duration) -> io::Result<()> {
        let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let mut setting = libc::itimerspec { it_interval: zero, it_value: zero };
        setting.it_value.tv_sec = delay.as_secs().try_into().unwrap_or(libc::time_t::MAX);
        // A value of zero would disarm the timer.
        setting.it_value.tv_nsec = if delay.is_zero() { 1 } else { delay.subsec_nanos() as _ };
        // SAFETY: `setting` is a valid itimerspec that the call only reads; a null pointer asks for
        // no copy of the old setting.
        let answer =
            unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &setting, std::ptr::null_mut()) };
        check(answer).map(drop).map_err(|error| with_context("timerfd_settime", error))
    }

    /// Begins anew, unset, under the same number: that of a parent process, which this one has
    /// inherited, is no longer shared.
    pub(crate) fn renew(&self) -> io::Result<()> {
        let TimerFd(new) = TimerFd::new()?;
        replace(self.as_fd(), &new)
    }

    /// Makes the descriptor unreadable until the timer expires again.
    pub(crate) fn clear(&self) {
        read_counter(&self.0);
    }
}

impl AsFd for TimerFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
