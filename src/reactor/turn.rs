//! One round of the loop.

use std::any::Any;
use std::io;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::context::{Core, Errand, Ring};
use super::handler::{Answer, Bound, Next};
use super::io_state::{Facts, Io};
use super::probe::{Dispatch, DispatchOutcome};
use super::reactor::Hook;
use super::registry::Told;
use super::turn_state::{ALARM, BELL};
use super::{Context, Reactor};
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
        self.agenda.is_watched =
            self.probe.is_some() || log::log_enabled!(target: "tripoll", log::Level::Trace);
        if !self.agenda.is_unfinished() {
            Self::call_hooks(&mut self.before_wait, &mut self.core, &mut self.state);
            self.prepare()?;
            self.take_ready();
            self.wait(deadline)?;
            Self::call_hooks(&mut self.after_wait, &mut self.core, &mut self.state);
        }
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.serve())) {
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
    /// When the alarm clock cannot be set, which is the kernel's fault.
    pub fn prepare_poll(&mut self) -> io::Result<Option<BorrowedFd<'_>>> {
        self.prepare()?;
        let has_work =
            self.has_work() || self.agenda.is_unfinished() || self.core.registry.has_ready();
        if has_work || !self.core.shared.fall_asleep() {
            self.core.shared.bell().ring();
        }
        Ok(self.core.registry.selector().own_fd())
    }

    #[inline]
    fn call_hooks(hooks: &mut [Hook<S>], core: &mut Core<S>, state: &mut S) {
        for hook in hooks {
            hook(&mut Context { core, state });
        }
    }

    /// Before any wait, this loop's or another's: changes are applied, the alarm is set.
    #[inline]
    fn prepare(&mut self) -> io::Result<()> {
        if self.core.registry.has_changes() {
            self.apply();
        }
        self.alarm.set(self.core.timers.next())
    }

    /// The ready list becomes this turn's, and begins anew.
    #[inline]
    fn take_ready(&mut self) {
        self.agenda.ready.clear();
        self.agenda.next_ready = 0;
        if self.core.registry.has_ready() {
            self.core.registry.take_ready(&mut self.agenda.ready);
        }
    }

    fn apply(&mut self) {
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
        !self.agenda.ready.is_empty()
            || !self.core.errands.is_empty()
            || !self.core.notified.is_empty()
            || !self.core.leaving.is_empty()
            || self.core.shared.is_stopped()
    }

    #[inline]
    fn wait(&mut self, deadline: Deadline) -> io::Result<()> {
        let may_sleep =
            deadline != Deadline::Now && !self.has_work() && self.core.shared.fall_asleep();
        let deadline = if may_sleep { deadline } else { Deadline::Now };

        let Self { core, agenda, probe, .. } = self;
        let began = probe.as_mut().map(|probe| {
            probe.waiting(deadline);
            Instant::now()
        });
        agenda.next_event = 0;
        let waited = core.registry.selector_mut().wait(&mut agenda.events, deadline);
        if core.shared.wake_up() {
            (agenda.is_notified, agenda.has_own_work) = (true, true);
        }
        if let Err(error) = waited {
            agenda.events.clear();
            return Err(error);
        }
        core.counters.events += agenda.events.len() as u64;
        if let (Some(probe), Some(began)) = (probe, began) {
            probe.waited(began.elapsed(), &agenda.events);
        }
        Ok(())
    }

    /// After the wait: everybody who is to be called is called. After a panic it is begun again, and
    /// goes on where it was.
    fn serve(&mut self) {
        self.run_errands();
        while self.lend_next() {
            self.call();
        }
        if self.agenda.has_own_work {
            self.ring();
            self.work();
            self.agenda.has_own_work = false;
        }
        if !self.core.notified.is_empty() {
            self.notify();
        }
        self.run_errands();
        if self.core.is_shutting_down {
            self.run_shutdown();
        }
    }

    /// Lends readiness to the next who is to be called: first those of whom the kernel has told, then
    /// those on the ready list. False when there is nobody left.
    #[inline]
    fn lend_next(&mut self) -> bool {
        while let Some((token, readiness)) = self.agenda.events.at(self.agenda.next_event) {
            self.agenda.next_event += 1;
            match self.core.registry.tell(token, readiness, &mut self.agenda.io) {
                Told::Call => return true,
                Told::Noted => {}
                Told::Stranger => self.tell_own(Event::new(token, readiness)),
            }
        }
        while let Some(&token) = self.agenda.ready.get(self.agenda.next_ready) {
            self.agenda.next_ready += 1;
            if self.core.registry.lend_due(token, &mut self.agenda.io) {
                return true;
            }
        }
        false
    }

    /// An event of one of the reactor's own descriptors, or of a source that is gone.
    #[cold]
    fn tell_own(&mut self, event: Event) {
        match event.token() {
            BELL => {
                self.core.shared.bell().hush();
                (self.agenda.is_notified, self.agenda.has_own_work) = (true, true);
            }
            ALARM => {
                self.alarm.hush();
                self.agenda.rung = Some(Instant::now());
                self.agenda.has_own_work = true;
            }
            _ => {
                self.core.counters.stale += 1;
                if let Some(probe) = &mut self.probe {
                    probe.stale(event);
                }
            }
        }
    }

    /// Runs the timers that were due when the alarm rang.
    fn ring(&mut self) {
        if let Some(now) = self.agenda.rung.take() {
            self.core.timers.due(now, &mut self.agenda.due);
        }
        while let Some(timer) = self.agenda.due.pop_front() {
            match self.core.timers.take(timer) {
                Some(Ring::Job(job)) => {
                    self.core.counters.timers += 1;
                    job(&mut self.context());
                    self.run_errands();
                }
                Some(Ring::Deadline(token)) if self.core.has_come(token) => {
                    self.core.counters.timers += 1;
                    self.call_unasked(token, |bound, io, cx| bound.timed_out(io, cx));
                    self.run_errands();
                }
                Some(Ring::Deadline(_)) | None => {}
            }
        }
    }

    /// Runs the jobs that handles have sent.
    fn work(&mut self) {
        if std::mem::take(&mut self.agenda.is_notified) {
            self.agenda.jobs = self.core.shared.take_jobs().into_iter();
        }
        while let Some(job) = self.agenda.jobs.next() {
            job(&mut self.context());
            self.run_errands();
        }
    }

    /// Tells those who have not been told yet that the reactor is winding down: at the end of a turn,
    /// when everybody has been called whose event came in it.
    fn run_shutdown(&mut self) {
        while let Some(token) = self.core.leaving.pop_front() {
            self.call_unasked(token, |bound, io, cx| bound.shutting_down(io, cx));
            self.run_errands();
        }
        if self.is_empty() {
            self.core.shared.stop();
        }
    }

    /// Tells those for whom somebody has something. Who is notified meanwhile is told in the next
    /// turn: two that answer each other keep nobody waiting.
    fn notify(&mut self) {
        for _ in 0..self.core.notified.len() {
            let Some(token) = self.core.notified.pop_front() else { break };
            self.call_unasked(token, |bound, io, cx| bound.notified(io, cx));
            self.run_errands();
        }
    }

    /// Calls the handler to which a readiness was lent.
    #[inline]
    fn call(&mut self) {
        let Self { core, handlers, state, agenda, .. } = self;
        core.counters.dispatches += 1;
        let index = agenda.io.token.index() as usize;
        let Some(Some(bound)) = handlers.get_mut(index) else { return };
        agenda.is_in_handler = true;
        let answer = bound.ready(&mut agenda.io, &mut Context { core, state });
        agenda.is_in_handler = false;
        // The short way: everything is used up, and nothing else has happened.
        let is_all = answer == Answer::Next(Next::Done) && agenda.io.leaves_nothing();
        if !is_all || !core.errands.is_empty() || agenda.is_watched {
            self.finish_call(answer);
        }
    }

    /// After a call: what came of it is counted, done and told.
    fn finish_call(&mut self, answer: Answer) {
        self.count(answer);
        self.finish(answer);
        if self.agenda.is_watched {
            self.report(true);
        }
        self.run_errands();
    }

    /// Counts what a handler has done for nothing.
    fn count(&mut self, answer: Answer) {
        let (io, counters) = (&self.agenda.io, &mut self.core.counters);
        let expects_more = match answer {
            Answer::Next(next) => next == Next::Keep,
            Answer::Failed => io.error.as_ref().is_some_and(is_no_error),
        };
        let did_nothing =
            io.used.operations == 0 && !io.facts.intersects(Facts::WISHED | Facts::CUT_OFF);
        counters.idle += u64::from(expects_more && did_nothing);
        counters.spurious += u64::from(io.facts.contains(Facts::SPURIOUS));
        counters.cut_off += u64::from(io.facts.contains(Facts::CUT_OFF));
    }

    /// Calls another method of a handler than the one for a ready source.
    fn call_unasked(
        &mut self,
        token: Token,
        method: fn(&mut dyn Bound<S>, &mut Io, &mut Context<'_, S>) -> Answer,
    ) {
        if !self.core.registry.lend(token, &mut self.agenda.io) {
            return;
        }
        let Self { core, handlers, state, agenda, .. } = self;
        let index = token.index() as usize;
        let Some(Some(bound)) = handlers.get_mut(index) else { return };
        agenda.is_in_handler = true;
        let answer = method(&mut **bound, &mut agenda.io, &mut Context { core, state });
        agenda.is_in_handler = false;
        self.finish(answer);
        if self.agenda.is_watched {
            self.report(false);
        }
    }

    /// After a handler: does what it said, and takes back what it was lent.
    fn finish(&mut self, answer: Answer) {
        let token = self.agenda.io.token;
        match answer {
            Answer::Next(Next::Keep) => {}
            Answer::Next(Next::Done) => self.agenda.io.done(),
            Answer::Next(Next::Disarm) => self.agenda.io.disarm(),
            Answer::Next(Next::Remove) => {
                self.core.remove(token, None);
            }
            Answer::Failed => {
                let error = self.agenda.io.error.take();
                if let Some(error) = error.filter(|error| !is_no_error(error)) {
                    self.core.remove(token, Some(error));
                }
            }
        }
        self.core.registry.take_back(&mut self.agenda.io);
    }

    /// Does what could not be done while a handler was running.
    #[inline]
    fn run_errands(&mut self) {
        if !self.core.errands.is_empty() {
            self.run_all_errands();
        }
    }

    fn run_all_errands(&mut self) {
        while let Some(errand) = self.core.errands.pop_front() {
            match errand {
                Errand::Add(token, bound) => {
                    let index = token.index() as usize;
                    if index >= self.handlers.len() {
                        self.handlers.resize_with(index + 1, || None);
                    }
                    self.handlers[index] = Some(bound);
                    self.call_unasked(token, |bound, io, cx| bound.added(io, cx));
                }
                Errand::Remove(token, error) => {
                    if let Some(mut bound) = self.handlers[token.index() as usize].take() {
                        bound.removed(token, error.as_ref(), &mut self.context());
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
        if std::mem::take(&mut self.agenda.is_in_handler) {
            self.core.remove(self.agenda.io.token, Some(io::Error::other(panic)));
        }
    }

    /// Tells whoever looks on about a call. One that was not made because the source was ready is
    /// worth telling of only if something came of it.
    #[cold]
    fn report(&mut self, was_ready: bool) {
        let outcome = self.core.registry.outcome(self.agenda.io.token);
        let dispatch = Dispatch::of(&self.agenda.io, outcome);
        if !was_ready && dispatch.operations == 0 && outcome == DispatchOutcome::Waiting {
            return;
        }
        log::trace!(
            target: "tripoll",
            "turn {} {} {}: {dispatch}",
            self.core.counters.turns,
            self.backend(),
            self.effective_trigger(),
        );
        if let Some(probe) = &mut self.probe {
            probe.dispatched(&dispatch);
        }
    }
}

/// What a handler may return with `?` without meaning it.
fn is_no_error(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
