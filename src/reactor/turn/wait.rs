//! The phase `wait` of a turn, and what follows when it fails.

use std::io;
use std::time::Duration;

use crate::reactor::reactor::Reactor;
use crate::selector::Deadline;
use crate::sync::LogLimit;

impl<S: 'static> Reactor<S> {
    /// Returns whether the turn has nothing to do but to wait for events and to dispatch them. All else
    /// that a turn may have to do is behind this one question.
    #[inline]
    pub(super) fn is_ordinary(&self) -> bool {
        !self.core.attention
            && !self.core.registry.has_changes()
            && self.timer_source.is_set_for(self.core.timers.next())
            && !log::log_enabled!(log::Level::Trace)
    }

    /// Returns whether there is work that the kernel does not know of.
    pub(super) fn has_rare_work(&self) -> bool {
        !self.core.deferred.is_empty()
            || !self.core.late_calls.is_empty()
            || !self.core.shutdown_queue.is_empty()
            || self.core.is_shutting_down && self.core.registry.len() == 0
            || self.core.failure.is_some()
    }

    /// Handles a timer descriptor that the kernel refuses to set: the wait ends when the next timer is
    /// due. Returns the deadline of the wait.
    #[cold]
    fn timer_not_set(&mut self, error: &io::Error, deadline: Deadline) -> Deadline {
        static LIMIT: LogLimit = LogLimit::new();
        if let Some(left_out) = LIMIT.pass() {
            log::error!("the timer descriptor cannot be set: {error}{left_out}");
        }
        self.turn_state.is_timer_unset = true;
        let Some(next) = self.core.timers.next() else { return deadline };
        let left = next.saturating_duration_since(self.core.clock.read());
        match (deadline, Deadline::after(left)) {
            (Deadline::At(at), Deadline::At(next)) => Deadline::At(at.min(next)),
            (Deadline::Never, next) => next,
            (deadline, Deadline::Never) => deadline,
            _ => Deadline::Now,
        }
    }

    /// Handles a wait that failed. Without an error the turn goes on, without events.
    #[cold]
    fn wait_failed(&mut self, error: io::Error, deadline: Deadline) -> io::Result<()> {
        self.turn_state.events.clear();
        self.core.attention = true;
        let name = self.core.registry.selector().name();
        let now = self.core.clock.read();
        let pause = self.turn_state.waits.fail(name, error, now)?;
        let latest = [deadline.remaining(), self.core.timers.next().map(|at| at - now)];
        let pause = latest.into_iter().flatten().fold(pause, Duration::min);
        std::thread::sleep(pause);
        self.turn_state.is_timer_unset = false;
        self.turn_state.shutdown_due = 0;
        self.run_all_internal_work();
        Ok(())
    }

    /// Lets the phases after the wait look for timers that are due and for jobs, which the wait could
    /// not report.
    fn run_all_internal_work(&mut self) {
        self.expect_expired();
        self.expect_jobs();
    }

    /// Lets the phases after the wait run the timers that are due now.
    pub(super) fn expect_expired(&mut self) {
        (self.turn_state.expired_at, self.core.attention) = (Some(self.core.now()), true);
    }

    /// Lets the phases after the wait run the jobs that were posted.
    pub(super) fn expect_jobs(&mut self) {
        (self.turn_state.has_new_jobs, self.core.attention) = (true, true);
    }

    /// The phases up to the wait, in an ordinary turn.
    #[inline]
    pub(super) fn wait(&mut self, deadline: Deadline) -> io::Result<()> {
        let until = self.prepare_to_wait(deadline);
        let events = &mut self.turn_state.events;
        let waited = self.core.registry.selector_mut().wait(events, until);
        self.end_wait(waited, deadline)
    }

    /// The phases up to the wait, in a turn that is not [ordinary](Self::is_ordinary). If the last one
    /// was interrupted, there are none: this one continues it.
    #[inline(never)] // out of the code of an ordinary turn
    pub(super) fn wait_attentively(&mut self, deadline: Deadline) -> io::Result<()> {
        self.core.attention = true;
        self.turn_state.is_observed = self.probe.is_some() || log::log_enabled!(log::Level::Trace);
        if self.turn_state.is_unfinished() {
            return Ok(());
        }
        Self::call_hooks(&mut self.before_wait, &mut self.core, &mut self.state);
        let deadline = match self.apply_changes() {
            Ok(()) => deadline,
            Err(error) => self.timer_not_set(&error, deadline),
        };
        let may_block = !self.has_rare_work();
        let until = self.prepare_to_wait(if may_block { deadline } else { Deadline::Now });
        let capacity = self.turn_state.events.capacity();
        let waited = self.wait_observed(until);
        let is_ok = waited.is_ok();
        self.end_wait(waited, deadline)?;
        if is_ok {
            self.note_wait(capacity);
        }
        Self::call_hooks(&mut self.after_wait, &mut self.core, &mut self.state);
        Ok(())
    }

    /// Takes the ready list. Returns the deadline of the wait, which does not block when there is work
    /// already.
    #[inline]
    fn prepare_to_wait(&mut self, deadline: Deadline) -> Deadline {
        self.turn_state.next_event = 0;
        if self.core.registry.has_ready() {
            self.turn_state.ready.clear();
            self.turn_state.next_ready = 0;
            self.core.registry.take_ready(&mut self.turn_state.ready);
            return Deadline::Now;
        }
        let wake_state = &self.core.wake_state;
        let may_block =
            deadline != Deadline::Now && !wake_state.is_stopped() && wake_state.prepare_to_sleep();
        if may_block { deadline } else { Deadline::Now }
    }

    /// Ends a wait. `deadline` is that of the turn.
    #[inline]
    fn end_wait(&mut self, waited: io::Result<()>, deadline: Deadline) -> io::Result<()> {
        if self.core.wake_state.finish_sleep() {
            self.expect_jobs();
        }
        if let Err(error) = waited {
            return self.wait_failed(error, deadline);
        }
        self.core.counters.events += self.turn_state.events.len() as u64;
        Ok(())
    }

    /// Notes a wait that did not fail, where more than its events counts. `capacity` is that of the
    /// event buffer before it.
    fn note_wait(&mut self, capacity: usize) {
        let Self { core, turn_state, .. } = self;
        // A buffer that has grown was full: the events of other sources are still to come.
        let has_grown = turn_state.events.capacity() != capacity;
        turn_state.shutdown_due = if has_grown { 0 } else { core.shutdown_queue.len() };
        turn_state.waits.succeed();
        if std::mem::take(&mut turn_state.is_timer_unset) {
            self.run_all_internal_work();
        }
    }

    /// Waits, and reports the wait to the probe.
    fn wait_observed(&mut self, deadline: Deadline) -> io::Result<()> {
        let Self { core, turn_state, probe, .. } = self;
        let (clock, selector) = (&core.clock, core.registry.selector_mut());
        let Some(probe) = probe else { return selector.wait(&mut turn_state.events, deadline) };
        probe.waiting(deadline);
        let start = clock.read();
        selector.wait(&mut turn_state.events, deadline)?;
        let end = clock.read();
        probe.waited(end - start, &turn_state.events);
        turn_state.call_began = probe.measures_calls().then_some(end);
        Ok(())
    }
}
