//! One round of the loop.

use std::any::Any;
use std::io;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::context::{Context, Core, Deferred, TimerAction};
use super::handler::{AnyHandler, Next, Returned};
use super::io_state::{Flags, IoState};
use super::probe::{Dispatch, DispatchOutcome};
use super::reactor::{Hook, Reactor};
use super::registry::Delivery;
use super::turn_state::{TIMER, WAKER};
use crate::selector::{Deadline, Event, Token};
use crate::sync::Panicked;

impl<S: 'static> Reactor<S> {
    /// One round: waits until somebody is ready or the deadline has come, and calls the handlers of
    /// those who are. Returns how many calls that were.
    ///
    /// # Errors
    ///
    /// Only when the wait itself fails, which with this crate's selectors is a fault of the crate's
    /// or of the kernel's. Nothing is lost: the next turn goes on.
    ///
    /// # Panics
    ///
    /// When a hook panics. What handlers, timers and jobs do is caught.
    pub fn turn(&mut self, deadline: Deadline) -> io::Result<u64> {
        self.core.counters.turns += 1;
        let dispatches = self.core.counters.dispatches;
        self.turn_state.is_observed =
            self.probe.is_some() || log::log_enabled!(target: "tripoll", log::Level::Trace);
        if !self.turn_state.is_unfinished() {
            Self::call_hooks(&mut self.before_wait, &mut self.core, &mut self.state);
            self.prepare_wait()?;
            self.take_ready();
            self.wait(deadline)?;
            Self::call_hooks(&mut self.after_wait, &mut self.core, &mut self.state);
        }
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.run_phases())) {
            self.note_panic(&*panic);
        }
        if let Some(probe) = &mut self.probe {
            probe.turned(&self.core.counters());
        }
        Ok(self.core.counters.dispatches - dispatches)
    }

    /// Gets ready to be waited for by another loop, and returns the descriptor that it is to watch,
    /// by level, for reading: it is readable as soon as [`turn`](Self::turn) would find something to
    /// do. `None` on select and poll, which have no descriptor.
    ///
    /// To be called before each sleep of the other loop. [Switching](Self::switch_to) changes the
    /// descriptor. Regular files, which are always ready, do not make it readable.
    ///
    /// # Errors
    ///
    /// When the timer_source clock cannot be set, which is the kernel's fault.
    pub fn prepare_poll(&mut self) -> io::Result<Option<BorrowedFd<'_>>> {
        self.prepare_wait()?;
        let has_work =
            self.has_work() || self.turn_state.is_unfinished() || self.core.registry.has_ready();
        if has_work || !self.core.wake_state.prepare_to_sleep() {
            self.core.wake_state.waker().wake();
        }
        Ok(self.core.registry.selector().own_fd())
    }

    #[inline]
    fn call_hooks(hooks: &mut [Hook<S>], core: &mut Core<S>, state: &mut S) {
        for hook in hooks {
            hook(&mut Context { core, state });
        }
    }

    /// Before any wait, this loop's or another's: changes are applied, the timer_source is set.
    #[inline]
    fn prepare_wait(&mut self) -> io::Result<()> {
        if self.core.registry.has_changes() {
            self.apply_changes();
        }
        self.timer_source.set(self.core.timers.next())
    }

    /// The ready list becomes this turn's, and begins anew.
    #[inline]
    fn take_ready(&mut self) {
        self.turn_state.ready.clear();
        self.turn_state.next_ready = 0;
        if self.core.registry.has_ready() {
            self.core.registry.take_ready(&mut self.turn_state.ready);
        }
    }

    fn apply_changes(&mut self) {
        let Self { core, probe, .. } = self;
        let mut refused = Vec::new();
        core.registry.apply(
            |token, interest| {
                if let Some(probe) = probe {
                    probe.applied(token, interest);
                }
            },
            |token, error| refused.push((token, error)),
        );
        for (token, error) in refused {
            core.remove(token, Some(error));
        }
    }

    /// Whether there is something to do that the kernel does not know of.
    #[inline]
    fn has_work(&self) -> bool {
        !self.turn_state.ready.is_empty()
            || !self.core.deferred.is_empty()
            || !self.core.notified.is_empty()
            || !self.core.shutdown_queue.is_empty()
            || self.core.wake_state.is_stopped()
    }

    #[inline]
    fn wait(&mut self, deadline: Deadline) -> io::Result<()> {
        let may_sleep = deadline != Deadline::Now
            && !self.has_work()
            && self.core.wake_state.prepare_to_sleep();
        let deadline = if may_sleep { deadline } else { Deadline::Now };

        let Self { core, turn_state, probe, .. } = self;
        let began = probe.as_mut().map(|probe| {
            probe.waiting(deadline);
            Instant::now()
        });
        turn_state.next_event = 0;
        let waited = core.registry.selector_mut().wait(&mut turn_state.events, deadline);
        if core.wake_state.finish_sleep() {
            (turn_state.has_new_jobs, turn_state.has_internal_work) = (true, true);
        }
        if let Err(error) = waited {
            turn_state.events.clear();
            return Err(error);
        }
        core.counters.events += turn_state.events.len() as u64;
        if let (Some(probe), Some(began)) = (probe, began) {
            probe.waited(began.elapsed(), &turn_state.events);
        }
        Ok(())
    }

    /// After the wait: everybody who is to be called is called. After a panic it is begun again, and
    /// goes on where it was.
    fn run_phases(&mut self) {
        self.run_deferred();
        while self.begin_next_call() {
            self.call_handler();
        }
        if self.turn_state.has_internal_work {
            self.run_timers();
            self.run_jobs();
            self.turn_state.has_internal_work = false;
        }
        if !self.core.notified.is_empty() {
            self.run_notifications();
        }
        self.run_deferred();
        if self.core.is_shutting_down {
            self.run_shutdown();
        }
    }

    /// Lends readiness to the next who is to be called: first those of whom the kernel has told, then
    /// those on the ready list. False when there is nobody left.
    #[inline]
    fn begin_next_call(&mut self) -> bool {
        while let Some((token, readiness)) = self.turn_state.events.at(self.turn_state.next_event) {
            self.turn_state.next_event += 1;
            match self.core.registry.deliver(token, readiness, &mut self.turn_state.io) {
                Delivery::Dispatch => return true,
                Delivery::Recorded => {}
                Delivery::Stale => self.handle_internal_event(Event::new(token, readiness)),
            }
        }
        while let Some(&token) = self.turn_state.ready.get(self.turn_state.next_ready) {
            self.turn_state.next_ready += 1;
            if self.core.registry.begin_call_if_ready(token, &mut self.turn_state.io) {
                return true;
            }
        }
        false
    }

    /// An event of one of the reactor's own descriptors, or of a source that is not_registered.
    #[cold]
    fn handle_internal_event(&mut self, event: Event) {
        match event.token() {
            WAKER => {
                self.core.wake_state.waker().clear();
                (self.turn_state.has_new_jobs, self.turn_state.has_internal_work) = (true, true);
            }
            TIMER => {
                self.timer_source.clear();
                self.turn_state.expired_at = Some(Instant::now());
                self.turn_state.has_internal_work = true;
            }
            _ => {
                self.core.counters.stale += 1;
                if let Some(probe) = &mut self.probe {
                    probe.stale(event);
                }
            }
        }
    }

    /// Runs the timers that were due when the timer_source rang.
    fn run_timers(&mut self) {
        if let Some(now) = self.turn_state.expired_at.take() {
            self.core.timers.take_due(now, &mut self.turn_state.expired);
        }
        while let Some(timer) = self.turn_state.expired.pop_front() {
            match self.core.timers.take(timer) {
                Some(TimerAction::Job(job)) => {
                    self.core.counters.timers += 1;
                    job(&mut self.context());
                    self.run_deferred();
                }
                Some(TimerAction::Deadline(token)) if self.core.deadline_has_passed(token) => {
                    self.core.counters.timers += 1;
                    self.call_method(token, |handler, io, cx| handler.timed_out(io, cx));
                    self.run_deferred();
                }
                Some(TimerAction::Deadline(_)) | None => {}
            }
        }
    }

    /// Runs the jobs that handles have sent.
    fn run_jobs(&mut self) {
        if std::mem::take(&mut self.turn_state.has_new_jobs) {
            self.turn_state.jobs = self.core.wake_state.take_jobs().into_iter();
        }
        while let Some(job) = self.turn_state.jobs.next() {
            job(&mut self.context());
            self.run_deferred();
        }
    }

    /// Tells those who have not been told yet that the reactor is winding down: at the end of a turn,
    /// when everybody has been called whose event came in it.
    fn run_shutdown(&mut self) {
        while let Some(token) = self.core.shutdown_queue.pop_front() {
            self.call_method(token, |handler, io, cx| handler.shutting_down(io, cx));
            self.run_deferred();
        }
        if self.core.registry.len() == 0 {
            self.core.wake_state.stop();
        }
    }

    /// Tells those for whom somebody has something. Who is notified meanwhile is told in the next
    /// turn: two that returned each other keep nobody waiting.
    fn run_notifications(&mut self) {
        for _ in 0..self.core.notified.len() {
            let Some(token) = self.core.notified.pop_front() else { break };
            self.call_method(token, |handler, io, cx| handler.notified(io, cx));
            self.run_deferred();
        }
    }

    /// Calls the handler to which a readiness was lent.
    #[inline]
    fn call_handler(&mut self) {
        let Self { core, handlers, state, turn_state, .. } = self;
        core.counters.dispatches += 1;
        let index = turn_state.io.token.index() as usize;
        let Some(Some(handler)) = handlers.get_mut(index) else { return };
        turn_state.is_in_handler = true;
        let returned = handler.ready(&mut turn_state.io, &mut Context { core, state });
        turn_state.is_in_handler = false;
        // The short way: everything is used up, and nothing else has happened.
        let is_all = returned == Returned::Next(Next::Done) && turn_state.io.is_fully_consumed();
        if !is_all || !core.deferred.is_empty() || turn_state.is_observed {
            self.end_call(returned);
        }
    }

    /// After a call: what came of it is counted, done and told.
    fn end_call(&mut self, returned: Returned) {
        self.count_call(returned);
        self.apply_returned(returned);
        if self.turn_state.is_observed {
            self.observe(true);
        }
        self.run_deferred();
    }

    /// Counts what a handler has done for nothing.
    fn count_call(&mut self, returned: Returned) {
        let (io, counters) = (&self.turn_state.io, &mut self.core.counters);
        let expects_more = match returned {
            Returned::Next(next) => next == Next::Keep,
            Returned::Failed => io.error.as_ref().is_some_and(is_not_an_error),
        };
        let did_nothing =
            io.used.operations == 0 && !io.flags.intersects(Flags::INTEREST_SET | Flags::CUT_OFF);
        counters.idle += u64::from(expects_more && did_nothing);
        counters.spurious += u64::from(io.flags.contains(Flags::SPURIOUS));
        counters.cut_off += u64::from(io.flags.contains(Flags::CUT_OFF));
    }

    /// Calls another method of a handler than the one for a ready source.
    fn call_method(
        &mut self,
        token: Token,
        method: fn(&mut dyn AnyHandler<S>, &mut IoState, &mut Context<'_, S>) -> Returned,
    ) {
        if !self.core.registry.begin_call(token, &mut self.turn_state.io) {
            return;
        }
        let Self { core, handlers, state, turn_state, .. } = self;
        let index = token.index() as usize;
        let Some(Some(handler)) = handlers.get_mut(index) else { return };
        turn_state.is_in_handler = true;
        let returned = method(&mut **handler, &mut turn_state.io, &mut Context { core, state });
        turn_state.is_in_handler = false;
        self.apply_returned(returned);
        if self.turn_state.is_observed {
            self.observe(false);
        }
    }

    /// After a handler: does what it said, and takes back what it was lent.
    fn apply_returned(&mut self, returned: Returned) {
        let token = self.turn_state.io.token;
        match returned {
            Returned::Next(Next::Keep) => {}
            Returned::Next(Next::Done) => self.turn_state.io.done(),
            Returned::Next(Next::Disarm) => self.turn_state.io.disarm(),
            Returned::Next(Next::Remove) => {
                self.core.remove(token, None);
            }
            Returned::Failed => {
                let error = self.turn_state.io.error.take();
                if let Some(error) = error.filter(|error| !is_not_an_error(error)) {
                    self.core.remove(token, Some(error));
                }
            }
        }
        self.core.registry.end_call(&mut self.turn_state.io);
    }

    /// Does what could not be done while a handler was running.
    #[inline]
    fn run_deferred(&mut self) {
        if !self.core.deferred.is_empty() {
            self.run_all_deferred();
        }
    }

    fn run_all_deferred(&mut self) {
        while let Some(deferred) = self.core.deferred.pop_front() {
            match deferred {
                Deferred::Add(token, handler) => {
                    let index = token.index() as usize;
                    if index >= self.handlers.len() {
                        self.handlers.resize_with(index + 1, || None);
                    }
                    self.handlers[index] = Some(handler);
                    self.call_method(token, |handler, io, cx| handler.added(io, cx));
                }
                Deferred::Remove(token, error) => {
                    if let Some(mut handler) = self.handlers[token.index() as usize].take() {
                        handler.removed(token, error.as_ref(), &mut self.context());
                    }
                }
            }
        }
    }

    /// A handler, timer or job has panicked: if it was a handler, its source ends.
    #[cold]
    fn note_panic(&mut self, panic: &(dyn Any + Send)) {
        self.core.counters.panics += 1;
        let panic = Panicked::with(panic);
        log::error!(target: "tripoll", "{panic}");
        if std::mem::take(&mut self.turn_state.is_in_handler) {
            self.core.remove(self.turn_state.io.token, Some(io::Error::other(panic)));
        }
    }

    /// Tells whoever looks on about a call. One that was not made because the source was ready is
    /// worth telling of only if something came of it.
    #[cold]
    fn observe(&mut self, was_ready: bool) {
        let outcome = self.core.registry.dispatch_outcome(self.turn_state.io.token);
        let dispatch = Dispatch::of(&self.turn_state.io, outcome);
        if !was_ready && dispatch.operations == 0 && outcome == DispatchOutcome::Waiting {
            return;
        }
        log::trace!(
            target: "tripoll",
            "turn {} {} {}: {dispatch}",
            self.core.counters.turns,
            self.core.registry.selector().name(),
            self.core.registry.effective_trigger(),
        );
        if let Some(probe) = &mut self.probe {
            probe.dispatched(&dispatch);
        }
    }
}

/// What a handler may return with `?` without meaning it.
fn is_not_an_error(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
