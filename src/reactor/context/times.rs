//! What a context can do with time: the time of the turn, timers, intervals and deadlines.

use std::io;
use std::time::{Duration, Instant};

use super::{Context, not_registered};
use crate::reactor::core::{IntervalJob, TimerAction};
use crate::reactor::interval::Interval;
use crate::reactor::timers::{Slot, TimerId};
use crate::selector::Token;

impl<S: 'static, T> Context<'_, S, T> {
    /// Returns the time of this turn, by the reactor's [clock](crate::reactor::ReactorBuilder::clock). The clock
    /// is read once a turn, after the wait, when a handler first asks. So this is cheaper than
    /// [`Instant::now`], and all handlers of a turn see the same time. Between turns it is read once
    /// for each call of [`Reactor::context`](crate::reactor::Reactor::context).
    ///
    /// A handler that takes long sees none of it here: what it sets from this time is due so much
    /// earlier.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use tripoll::Reactor;
    ///
    /// let mut reactor = Reactor::new()?;
    /// let mut cx = reactor.context();
    /// let later = cx.now() + Duration::from_millis(1);
    /// cx.set_timer(later, |cx| cx.stop());
    /// reactor.run()?;
    /// assert!(Instant::now() >= later);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn now(&self) -> Instant {
        self.core.now()
    }

    /// Sets a timer: the loop runs `job` at `at`, or in the first turn after it. Timers due at the
    /// same instant run in the order in which they were set. A timer that is set while timers run
    /// fires in the next turn at the earliest.
    #[doc(alias = "call_later")]
    #[doc(alias = "call_at")]
    #[doc(alias = "timeout")]
    #[doc(alias = "sleep")]
    pub fn set_timer(
        &mut self,
        at: Instant,
        job: impl FnOnce(&mut Context<'_, S>) + 'static,
    ) -> TimerId {
        self.core.timers.set(at, TimerAction::Job(Box::new(job)))
    }

    /// Runs `job` every so often, first after `every`, until its timer is [cancelled](Self::cancel_timer).
    /// The job may cancel it, too. A panic of the job cancels it.
    ///
    /// The times are multiples of `every` from now, however long the job takes. Of those that pass while
    /// the loop is busy, the job runs once.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tripoll::{Context, Reactor};
    ///
    /// let mut reactor = Reactor::builder().build_with(0)?;
    /// reactor.context().set_interval(Duration::from_millis(1), |cx: &mut Context<i32>| {
    ///     *cx.state += 1;
    ///     if *cx.state == 3 {
    ///         cx.stop();
    ///     }
    /// });
    /// reactor.run()?;
    /// assert_eq!(*reactor.state(), 3);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_interval(
        &mut self,
        every: Duration,
        job: impl FnMut(&mut Context<'_, S>) + 'static,
    ) -> TimerId {
        let job: IntervalJob<S> = Box::new(job);
        let interval = Interval::new(every, self.now(), job);
        self.core.timers.set(interval.at(), TimerAction::Interval(Some(Box::new(interval))))
    }

    /// Cancels a timer or an interval. Returns false if the timer has fired, or was cancelled before.
    pub fn cancel_timer(&mut self, id: TimerId) -> bool {
        self.core.timers.take(id).is_some()
    }

    /// Sets the deadline of a source, in place of an earlier one. `None` removes it. When the
    /// deadline has come, [`Handler::timed_out`](crate::reactor::Handler::timed_out) is called once. A source has one deadline, which is
    /// removed with it.
    ///
    /// # Errors
    ///
    /// `NotFound` if the source was removed.
    #[doc(alias = "timeout")]
    pub fn set_deadline(&mut self, token: Token, at: Option<Instant>) -> io::Result<()> {
        if self.core.set_deadline(token, Slot::User, at) {
            Ok(())
        } else {
            Err(not_registered(token))
        }
    }

    /// Sets the deadline that a handler of this crate needs for itself, apart from the user's. When it
    /// has come, [`Handler::timed_out`](crate::reactor::Handler::timed_out) is called, and
    /// [`IoState::is_handlers_deadline`](crate::reactor::io_state::IoState::is_handlers_deadline) is true.
    pub(crate) fn set_handlers_deadline(&mut self, token: Token, at: Option<Instant>) {
        self.core.set_deadline(token, Slot::Handler, at);
    }
}
