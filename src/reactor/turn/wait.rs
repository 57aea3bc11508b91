//! The phase `wait` of a turn, and what follows when it fails.

use std::io;
use std::time::Duration;

use crate::reactor::clock::Clock;
use crate::reactor::probe::Probe;
use crate::reactor::reactor::Reactor;
use crate::selector::{Deadline, Events, Selector};
use crate::sync::LogLimit;

impl<S: 'static> Reactor<S> {
    /// Returns whether there is work that the kernel does not know of.
    #[inline]
    pub(super) fn has_work(&self) -> bool {
        !self.turn_state.ready.is_empty()
            || self.core.wake_state.is_stopped()
            || self.core.attention && self.has_rare_work()
    }

    fn has_rare_work(&self) -> bool {
        !self.core.deferred.is_empty()
            || !self.core.late_calls.is_empty()
            || !self.core.shutdown_queue.is_empty()
            || self.core.is_shutting_down && self.core.registry.len() == 0
            || self.core.failure.is_some()
    }

    /// Handles a timer descriptor that the kernel refuses to set: the wait ends when the next timer is
    /// due. Returns the deadline of the wait.
    #[cold]
    pub(super) fn timer_not_set(&mut self, error: &io::Error, deadline: Deadline) -> Deadline {
        static LIMIT: LogLimit = LogLimit::new();
        if let Some(left_out) = LIMIT.pass() {
            log::error!("the timer descriptor cannot be set: {error}{left_out}");
        }
        (self.turn_state.is_timer_unset, self.core.attention) = (true, true);
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
    pub(super) fn wait_failed(&mut self, error: io::Error, deadline: Deadline) -> io::Result<()> {
        let name = self.core.registry.selector().name();
        let now = self.core.clock.read();
        let pause = self.turn_state.waits.fail(name, error, now)?;
        let latest = [deadline.remaining(), self.core.timers.next().map(|at| at - now)];
        let pause = latest.into_iter().flatten().fold(pause, Duration::min);
        std::thread::sleep(pause);
        (self.turn_state.is_timer_unset, self.core.attention) = (false, true);
        self.turn_state.shutdown_due = 0;
        self.run_all_internal_work();
        Ok(())
    }

    /// Lets the phases after the wait look for timers that are due and for jobs, which the wait could
    /// not report.
    fn run_all_internal_work(&mut self) {
        self.turn_state.expired_at = Some(self.core.now());
        (self.turn_state.has_new_jobs, self.turn_state.has_internal_work) = (true, true);
    }

    /// Takes the ready list, and waits. The wait does not block when there is work already.
    #[inline]
    pub(super) fn wait(&mut self, deadline: Deadline) -> io::Result<()> {
        self.take_ready();
        let may_sleep = deadline != Deadline::Now
            && !self.has_work()
            && self.core.wake_state.prepare_to_sleep();
        let deadline = if may_sleep { deadline } else { Deadline::Now };

        let Self { core, turn_state, probe, .. } = self;
        turn_state.next_event = 0;
        let capacity = turn_state.events.capacity();
        let selector = core.registry.selector_mut();
        let waited = match probe {
            None => selector.wait(&mut turn_state.events, deadline),
            Some(probe) => {
                let events = &mut turn_state.events;
                let waited = wait_observed(selector, events, deadline, &mut **probe, &core.clock);
                turn_state.call_began = probe.measures_calls().then(|| core.clock.read());
                waited
            }
        };
        if core.wake_state.finish_sleep() {
            (turn_state.has_new_jobs, turn_state.has_internal_work) = (true, true);
        }
        if let Err(error) = waited {
            turn_state.events.clear();
            return Err(error);
        }
        core.counters.events += turn_state.events.len() as u64;
        if core.attention {
            self.note_wait(capacity);
        }
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

    /// Makes the ready list this turn's, and begins a new one.
    #[inline]
    fn take_ready(&mut self) {
        self.turn_state.ready.clear();
        self.turn_state.next_ready = 0;
        if self.core.registry.has_ready() {
            self.core.registry.take_ready(&mut self.turn_state.ready);
        }
    }
}

/// Waits, and reports the wait to the probe.
#[cold]
fn wait_observed(
    selector: &mut dyn Selector,
    events: &mut Events,
    deadline: Deadline,
    probe: &mut dyn Probe,
    clock: &Clock,
) -> io::Result<()> {
    probe.waiting(deadline);
    let start = clock.read();
    selector.wait(events, deadline)?;
    probe.waited(clock.read() - start, events);
    Ok(())
}
