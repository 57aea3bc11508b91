//! The timer_source clock that all timers ring through.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use crate::sys::TimerFd;

/// One `timerfd` for all timers.
///
/// A wait with a timeout costs a fifth more than one without, and a reading of the clock besides.
/// So waits never have one. The clock is a descriptor like any other, set when a timer is earlier
/// than what it is set to, which is rare; a timer that is cancelled or moved back lets it ring for
/// nothing, once.
#[derive(Debug)]
pub(in crate::reactor) struct TimerSource {
    timer_fd: TimerFd,
    set_to: Option<Instant>,
}

impl TimerSource {
    pub(in crate::reactor) fn new() -> io::Result<Self> {
        Ok(TimerSource { timer_fd: TimerFd::new()?, set_to: None })
    }

    /// Sees to it that the clock rings at `next` or before.
    #[inline]
    pub(in crate::reactor) fn set(&mut self, next: Option<Instant>) -> io::Result<()> {
        match (next, self.set_to) {
            (None, _) => Ok(()),
            (Some(next), Some(set_to)) if set_to <= next => Ok(()),
            (Some(next), _) => {
                self.timer_fd.set(next.saturating_duration_since(Instant::now()))?;
                self.set_to = Some(next);
                Ok(())
            }
        }
    }

    /// It has expired_at.
    pub(in crate::reactor) fn clear(&mut self) {
        self.timer_fd.clear();
        self.set_to = None;
    }
}

impl AsFd for TimerSource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer_fd.as_fd()
    }
}
