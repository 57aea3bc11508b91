//! The timer descriptor, through which all timers of a reactor expire.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;

use crate::reactor::clock::Clock;
use crate::sys::TimerFd;

/// One `timerfd` for all timers.
///
/// A wait with a timeout costs a fifth more than a wait without, and needs a reading of the clock.
/// So the reactor's waits have no timeout. Instead, this descriptor becomes readable when the
/// earliest timer is due. It is set again only for an earlier timer, which is rare. A timer that is
/// cancelled or postponed makes it expire once in vain.
#[derive(Debug)]
pub(in crate::reactor) struct TimerSource {
    timer_fd: Arc<TimerFd>,
    set_to: Option<Instant>,
}

impl TimerSource {
    pub(in crate::reactor) fn new() -> io::Result<Self> {
        Ok(TimerSource { timer_fd: Arc::new(TimerFd::new()?), set_to: None })
    }

    /// Returns whether the descriptor becomes readable when the clock shows `next`, or before.
    #[inline]
    pub(in crate::reactor) fn is_set_for(&self, next: Option<Instant>) -> bool {
        next.is_none_or(|next| self.set_to.is_some_and(|set_to| set_to <= next))
    }

    /// Makes the descriptor readable when the clock shows `next`, or before.
    pub(in crate::reactor) fn set(
        &mut self,
        next: Option<Instant>,
        clock: &Clock,
    ) -> io::Result<()> {
        if let Some(next) = next
            && !self.is_set_for(Some(next))
        {
            clock.set_alarm(next, &self.timer_fd)?;
            self.set_to = Some(next);
        }
        Ok(())
    }

    /// Ends the sharing with a parent process.
    pub(in crate::reactor) fn renew(&mut self) -> io::Result<()> {
        self.timer_fd.renew()?;
        self.set_to = None;
        Ok(())
    }

    /// Reads the expiration, so that the descriptor is no longer readable.
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
