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
        self.set_time(delay, None)
    }

    /// Expires after `first`, and then after each `period`, which is not zero. Replaces an earlier
    /// setting.
    pub(crate) fn set_every(&self, first: Duration, period: Duration) -> io::Result<()> {
        self.set_time(first, Some(period))
    }

    fn set_time(&self, delay: Duration, period: Option<Duration>) -> io::Result<()> {
        let time = |duration: Duration| libc::timespec {
            tv_sec: duration.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            // A value of zero would disarm the timer.
            tv_nsec: if duration.is_zero() { 1 } else { duration.subsec_nanos() as _ },
        };
        let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let it_interval = period.map_or(never, time);
        let setting = libc::itimerspec { it_interval, it_value: time(delay) };
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
        let _ = read_counter(&self.0);
    }

    /// Returns how often the timer has expired since the last call.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it has not.
    pub(crate) fn read(&self) -> io::Result<u64> {
        read_counter(&self.0)
    }
}

impl AsFd for TimerFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
