//! Two descriptors that the kernel makes readable for us: when somebody calls, when it is time.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use super::check;

/// A counter in the kernel, readable while it is not zero (`eventfd(2)`). Any thread may ring it.
#[derive(Debug)]
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes two numbers, returns a new descriptor or -1.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        Ok(EventFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes it readable. When the counter is full it is readable already, which is all one wants.
    pub(crate) fn ring(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: writes eight bytes from an array of eight.
        let _ = unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Makes it unreadable until it is rung again.
    pub(crate) fn hush(&self) {
        hush(&self.0);
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// An alarm clock on `CLOCK_MONOTONIC`, readable when it has rung (`timerfd_create(2)`).
#[derive(Debug)]
pub(crate) struct TimerFd(OwnedFd);

impl TimerFd {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: takes two numbers, returns a new descriptor or -1.
        let fd = check(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })?;
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        Ok(TimerFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Rings once, after `delay`; an earlier setting is forgotten.
    pub(crate) fn set(&self, delay: Duration) -> io::Result<()> {
        let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let mut setting = libc::itimerspec { it_interval: zero, it_value: zero };
        setting.it_value.tv_sec = delay.as_secs().try_into().unwrap_or(libc::time_t::MAX);
        // A value of zero would switch the clock off.
        setting.it_value.tv_nsec = if delay.is_zero() { 1 } else { delay.subsec_nanos() as _ };
        // SAFETY: `setting` is a valid itimerspec which the call only reads; the old one is not
        // asked for.
        let answer =
            unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &setting, std::ptr::null_mut()) };
        check(answer).map(drop)
    }

    /// Makes it unreadable until it rings again.
    pub(crate) fn hush(&self) {
        hush(&self.0);
    }
}

impl AsFd for TimerFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Reads the count away. When there is none (EAGAIN) it is unreadable as it is.
fn hush(fd: &OwnedFd) {
    let mut count = [0_u8; 8];
    // SAFETY: reads eight bytes into an array of eight.
    let _ = unsafe { libc::read(fd.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
}
