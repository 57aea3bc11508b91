//! Ticks at equal intervals.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::events::{self, Events};
use crate::reactor::context::Context;
use crate::selector::Token;
use crate::sys::TimerFd;

/// A source that ticks at equal intervals: `timerfd_create(2)`, on `CLOCK_MONOTONIC`.
///
/// The ticks do not drift: the kernel counts from the first tick, and not from the call of the
/// handler. A handler that is late gets one tick that says how many were [missed](Tick::missed).
///
/// ```
/// use std::time::Duration;
/// use tripoll::Reactor;
/// use tripoll::reactor::sources::Interval;
///
/// let mut reactor = Reactor::new()?;
/// Interval::new(Duration::from_millis(1))?.on(&mut reactor.context(), |tick, cx| {
///     if tick.number >= 3 {
///         cx.stop();
///     }
/// })?;
/// reactor.run()?;
/// # std::io::Result::Ok(())
/// ```
///
/// An interval has a descriptor of its own. It follows the kernel's clock, also where the reactor's
/// timers follow another one. A forked child shares the descriptor with its parent, so only one of them
/// may use it.
#[derive(Debug)]
pub struct Interval {
    timer_fd: TimerFd,
    ticks: u64,
}

/// A tick of an [`Interval`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tick {
    /// Its number. The first tick has the number 1. Missed ticks have numbers, too.
    pub number: u64,
    /// How many ticks were missed between the tick before and this one.
    pub missed: u64,
}

impl Interval {
    /// Creates an interval whose first tick comes after `period`, measured from now.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `period` is zero. Those of `timerfd_create(2)` when the process or the system
    /// has no descriptors left.
    pub fn new(period: Duration) -> io::Result<Self> {
        Interval::starting_in(period, period)
    }

    /// Creates an interval whose first tick comes after `first`, measured from now, and the others each
    /// `period` later.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn starting_in(first: Duration, period: Duration) -> io::Result<Self> {
        if period.is_zero() {
            let message = "the period of an interval is zero";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let timer_fd = TimerFd::new()?;
        timer_fd.set_every(first, period)?;
        Ok(Interval { timer_fd, ticks: 0 })
    }

    /// Returns the latest tick.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there was none since the last call.
    pub fn tick(&mut self) -> io::Result<Tick> {
        let ticks = self.timer_fd.read()?;
        self.ticks += ticks;
        Ok(Tick { number: self.ticks, missed: ticks - 1 })
    }

    /// Adds the interval to a reactor. `callback` is called with each tick.
    ///
    /// # Errors
    ///
    /// Fails when the selector cannot watch the source.
    pub fn on<S: 'static>(
        self,
        cx: &mut Context<'_, S>,
        callback: impl FnMut(Tick, &mut Context<'_, S>) + 'static,
    ) -> io::Result<Token> {
        events::on(self, cx, callback)
    }
}

impl Events for Interval {
    type Event = Tick;

    fn next(&mut self) -> io::Result<Tick> {
        self.tick()
    }
}

impl AsFd for Interval {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer_fd.as_fd()
    }
}
