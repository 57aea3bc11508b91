//! One turn of the loop, phase by phase.
//!
//! Each phase is one function. They stand here in the order in which [`Reactor::turn`] calls them,
//! which is the order that the [module's page](super) lists.

mod wait;

use std::any::Any;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::context::Context;
use super::core::{Core, Deferred, LateCall, TimerAction};
use super::handler::{AnyHandler, Next, Returned};
use super::io_state::{Flags, IoState};
use super::probe::{Dispatch, DispatchOutcome};
use super::reactor::{Hook, Reactor};
use super::registry::Delivery;
use super::timers::{Due, Slot, TimerId};
use super::turn_state::{PARKING, TIMER, WAKER};
use crate::selector::{Deadline, Event, Token};
use crate::sync::{Panicked, hold_panic};
use crate::sys;

/// For how many posted jobs memory is kept: 64 KiB, which a burst fills without a new allocation.
const KEPT_JOBS: usize = 4_096;

impl<S: 'static> Reactor<S> {
    /// Runs one turn: waits until a source is ready or the deadline has come, and calls the
    /// handlers of the ready sources. Returns the number of those calls.
    ///
    /// The [module's page](super) lists the phases of a turn. A probe's methods are called from
    /// here, too.
    ///
    /// # Errors
    ///
    /// Fails when the wait fails, and the reason is not one that may pass. A shortage (ENOMEM, EAGAIN
    /// and their like) is an error in the log, and the loop waits again after 10 ms, and then after
    /// twice the time before, up to 100 ms, while timers and jobs run. Another error of the kernel is
    /// returned when it has lasted for a second, and the error of a selector of your own that is none
    /// of the kernel at once. Nothing is lost: the next turn continues.
    ///
    /// Also fails when a handler has called [`Context::fail`], and in a forked child, where
    /// [`reinit`](Self::reinit) must be called first.
    ///
    /// # Panics
    ///
    /// Panics when a hook or the probe panics. Panics of handlers, timers and jobs are caught.
    pub fn turn(&mut self, deadline: Deadline) -> io::Result<u64> {
        self.core.counters.turns += 1;
        let dispatches = self.core.counters.dispatches;
        self.core.registry.check_process()?;
        if self.is_ordinary() {
            self.wait(deadline)?;
        } else {
            self.wait_attentively(deadline)?;
        }
        // After a panic the phases begin again. Each continues where it was interrupted.
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.run_phases())) {
            self.note_panic(&*panic);
        }
        if self.core.attention {
            self.settle()?;
        }
        Ok(self.core.counters.dispatches - dispatches)
    }

    /// Ends a turn that needed attention, and the attention if there is nothing left that needs it.
    /// Returns the error with which a handler has failed.
    fn settle(&mut self) -> io::Result<()> {
        let core = &mut self.core;
        if let Some(probe) = &mut self.probe {
            probe.turned(&core.counters());
        }
        core.attention = !core.deferred.is_empty()
            || !core.late_calls.is_empty()
            || core.is_shutting_down
            || self.turn_state.waits.are_failing()
            || self.turn_state.is_observed
            || !(self.before_wait.is_empty() && self.after_wait.is_empty());
        core.failure.take().map_or(Ok(()), Err)
    }

    /// The phases after the wait.
    fn run_phases(&mut self) {
        if self.core.attention {
            self.run_deferred();
        }
        self.dispatch();
        if self.core.attention {
            self.run_rare_phases();
        }
    }

    /// The phases after `dispatch`. They are no part of an ordinary turn, and stay out of its code.
    #[inline(never)]
    fn run_rare_phases(&mut self) {
        self.run_timers();
        self.run_jobs();
        self.run_late_calls();
        self.run_shutdown();
    }

    /// Prepares the reactor to be polled by another loop, and returns the descriptor to poll for
    /// reading, level-triggered. It is readable as soon as [`turn`](Self::turn) would find
    /// something to do. Returns `None` on select and poll, which have no descriptor.
    ///
    /// Call it before each wait of the other loop. [Switching](Context::switch_to) the backend
    /// changes the descriptor. Regular files are always ready, but do not make it readable.
    ///
    /// See [nested loops](crate::guide::nested_loops) in the guide.
    ///
    /// # Errors
    ///
    /// Fails when the kernel refuses to set the timer descriptor, and in a forked child, where
    /// [`reinit`](Self::reinit) must be called first.
    pub fn prepare_poll(&mut self) -> io::Result<Option<BorrowedFd<'_>>> {
        self.core.registry.check_process()?;
        self.apply_changes()?;
        let has_work = self.has_rare_work()
            || self.core.wake_state.is_stopped()
            || self.turn_state.is_unfinished()
            || self.core.registry.has_ready();
        if has_work || !self.core.wake_state.prepare_to_sleep() {
            self.core.wake_state.waker().wake();
        }
        Ok(self.core.registry.selector().own_fd())
    }

    /// Returns a descriptor for a loop that keeps the descriptors that it watches: a duplicate of that of
    /// [`prepare_poll`](Self::prepare_poll), which borrows nothing. Returns `None` on select and poll, which
    /// have no descriptor.
    ///
    /// Poll it for reading, level-triggered, and call `prepare_poll` before *each* wait of the other loop.
    /// Otherwise a timer or a change that was made since is not noticed. After a
    /// [switch](Context::switch_to) of the backend, or [`reinit`](Self::reinit), call this again. Remove the
    /// descriptor from the other loop, and drop it, when the reactor is dropped.
    ///
    /// ```
    /// use std::os::fd::AsRawFd;
    /// use std::time::{Duration, Instant};
    /// use tripoll::sys::{Epoll, EpollFlags};
    /// use tripoll::{Context, Deadline, Reactor};
    ///
    /// let mut reactor = Reactor::builder().build_with(false)?;
    /// let fd = reactor.poll_fd()?.expect("epoll has a descriptor");
    /// let other_loop = Epoll::new()?;
    /// other_loop.add(fd.as_raw_fd(), EpollFlags::IN, 0)?; // once
    /// let soon = Instant::now() + Duration::from_millis(2);
    /// reactor.context().set_timer(soon, |cx: &mut Context<bool>| *cx.state = true);
    /// while !*reactor.state() {
    ///     reactor.prepare_poll()?; // each time
    ///     other_loop.wait(&mut Vec::with_capacity(4), None)?;
    ///     reactor.turn(Deadline::Now)?;
    /// }
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `dup(2)`, when the process has no free descriptors.
    #[doc(alias = "AsFd")]
    pub fn poll_fd(&self) -> io::Result<Option<OwnedFd>> {
        let fd = self.core.registry.selector().own_fd();
        let copy = |fd: BorrowedFd<'_>| fd.try_clone_to_owned();
        fd.map(copy).transpose().map_err(|error| sys::with_context("fcntl", error))
    }

    fn call_hooks(hooks: &mut [Hook<S>], core: &mut Core<S>, state: &mut S) {
        if hooks.is_empty() {
            return;
        }
        for hook in hooks {
            hook(&mut Context { core, state });
        }
        core.clock.forget(); // the wait may be long
    }

    // Phase `apply_changes`.

    /// Applies what was changed since the last wait: interests to the selector, the earliest
    /// deadline to the timer descriptor.
    fn apply_changes(&mut self) -> io::Result<()> {
        if self.core.registry.has_changes() {
            self.apply_interests();
        }
        self.timer_source.set(self.core.timers.next(), &self.core.clock)
    }

    fn apply_interests(&mut self) {
        let Self { core, probe, .. } = self;
        let mut failed = Vec::new();
        core.registry.apply(
            |token, interest| {
                if let Some(probe) = probe {
                    probe.applied(token, interest);
                }
            },
            |token, error| failed.push((token, error)),
        );
        core.interests_applied();
        for (token, error) in failed {
            core.interest_failed(token, error);
        }
    }

    // Phase `wait`: in its own file.

    // Phase `run_deferred`: before `dispatch`, and after each call of a handler, timer or job.

    /// Does what could not be done while a handler was running.
    #[inline]
    fn run_deferred(&mut self) {
        if !self.core.deferred.is_empty() {
            self.run_all_deferred();
        }
    }

    #[inline(never)] // out of the code of an ordinary turn
    fn run_all_deferred(&mut self) {
        while let Some(deferred) = self.core.deferred.pop_front() {
            match deferred {
                Deferred::Add(token, handler) => {
                    let index = token.index() as usize;
                    if index >= self.handlers.len() {
                        self.handlers.resize_with(index + 1, || None);
                    }
                    if let Some(probe) = &mut self.probe {
                        probe.added(token, handler.descriptor());
                    }
                    self.handlers[index] = Some(handler);
                    self.call_method(token, |handler, io, cx| handler.added(io, cx));
                }
                Deferred::Remove(token, error) => {
                    self.release_file(token);
                    if let Some(mut handler) = self.handlers[token.index() as usize].take() {
                        handler.removed(token, error.as_ref(), self.cx());
                    }
                }
                Deferred::Take(token, then) => {
                    self.release_file(token);
                    if let Some(mut handler) = self.handlers[token.index() as usize].take() {
                        let told = hold_panic(|| handler.removed(token, None, self.cx()));
                        // The source is whole, and `then` waits for it.
                        then(handler.into_source(), &mut self.cx());
                        told.unwrap_or_else(|panic| resume_unwind(panic));
                    }
                }
            }
        }
    }

    /// Makes the file of a source that leaves what it was before. No handler uses it any more.
    fn release_file(&mut self, token: Token) {
        if !self.core.registry.is_inherited() {
            self.core.registry.blocking_files.release(token);
        }
    }

    // Phase `dispatch`.

    /// Calls the handler of each ready source.
    #[inline]
    fn dispatch(&mut self) {
        self.turn_state.is_in_handler = true; // a panic from here on is one of a handler
        while let Some(token) = self.begin_next_call() {
            self.call_handler(token);
        }
        self.turn_state.is_in_handler = false;
    }

    /// Begins the next call: first for the sources that the kernel reported, then for those on the
    /// ready list. Returns the source, or `None` when none is left.
    #[inline]
    fn begin_next_call(&mut self) -> Option<Token> {
        while let Some((token, readiness)) = self.turn_state.events.at(self.turn_state.next_event) {
            self.turn_state.next_event += 1;
            match self.core.registry.deliver(token, readiness, &mut self.turn_state.io) {
                Delivery::Dispatch => return Some(token),
                Delivery::Recorded => {}
                Delivery::Stale => self.handle_internal_event(Event::new(token, readiness)),
            }
        }
        while let Some(&token) = self.turn_state.ready.get(self.turn_state.next_ready) {
            self.turn_state.next_ready += 1;
            if self.core.registry.begin_call_if_ready(token, &mut self.turn_state.io) {
                return Some(token);
            }
        }
        None
    }

    /// Handles an event of one of the reactor's own descriptors, or a stale one.
    #[cold]
    fn handle_internal_event(&mut self, event: Event) {
        self.turn_state.is_in_handler = false;
        match event.token() {
            WAKER => {
                self.core.wake_state.waker().clear();
                self.expect_jobs();
            }
            TIMER => {
                self.timer_source.clear();
                self.expect_expired();
            }
            PARKING => self.core.registry.unpark_changed(),
            _ => {
                self.core.counters.stale += 1;
                if let Some(probe) = &mut self.probe {
                    probe.stale(event);
                }
            }
        }
        self.turn_state.is_in_handler = true;
    }

    /// Calls the handler for which the call has begun.
    #[inline]
    fn call_handler(&mut self, token: Token) {
        let Self { core, handlers, state, turn_state, .. } = self;
        core.counters.dispatches += 1;
        let index = token.index() as usize;
        let Some(Some(handler)) = handlers.get_mut(index) else { return };
        let returned = handler.ready(&mut turn_state.io, Context { core, state });
        // The fast path: the readiness is consumed, and nothing else has happened.
        let is_all = returned == Returned::Next(Next::Done) && turn_state.io.is_fully_consumed();
        let is_attended = core.attention && (!core.deferred.is_empty() || turn_state.is_observed);
        if !is_all || is_attended {
            self.end_call(returned);
        }
    }

    /// Ends a call: counts it, applies what it returned, and reports it.
    fn end_call(&mut self, returned: Returned) {
        self.turn_state.is_in_handler = false;
        self.count_call(returned);
        self.apply_returned(returned);
        if self.turn_state.is_observed {
            self.observe(true);
            self.run_deferred();
            self.begin_measured();
        } else {
            self.run_deferred();
        }
        self.turn_state.is_in_handler = true;
    }

    /// Measures the next call from now on, if the probe asks for it.
    #[cold]
    fn begin_measured(&mut self) {
        if self.turn_state.call_began.is_some() {
            self.turn_state.call_began = Some(self.core.clock.read());
        }
    }

    /// Counts a call that was idle, spurious or cut off.
    fn count_call(&mut self, returned: Returned) {
        let (io, counters) = (&self.turn_state.io, &mut self.core.counters);
        let expects_more = match returned {
            Returned::Next(next) => next == Next::Keep,
            Returned::Failed => io.error.as_ref().is_some_and(is_not_an_error),
        };
        let did_nothing = io.operations() == 0
            && !io.settings.flags.intersects(Flags::INTEREST_SET | Flags::CUT_OFF);
        counters.idle += u64::from(expects_more && did_nothing);
        counters.spurious += u64::from(io.settings.flags.contains(Flags::SPURIOUS));
        counters.cut_off += u64::from(io.settings.flags.contains(Flags::CUT_OFF));
    }

    /// Applies what a handler returned, and stores the readiness that it left.
    fn apply_returned(&mut self, returned: Returned) {
        let token = self.turn_state.io.token;
        match returned {
            Returned::Next(Next::Keep) => {}
            Returned::Next(Next::Done) => {
                let Self { core, turn_state, .. } = self;
                turn_state.io.done(|token| core.registry.is_stream(token));
            }
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

    // Phase `run_timers`.

    /// Runs the timers that were due when the timer descriptor became readable.
    fn run_timers(&mut self) {
        if let Some(now) = self.turn_state.expired_at.take() {
            self.core.timers.expire(now);
        }
        while let Some(due) = self.core.timers.next_due() {
            match due {
                Due::Timer(timer) => self.run_timer(timer),
                Due::Deadline(source, slot) => self.run_deadline(source, slot),
            }
            self.run_deferred();
        }
    }

    fn run_timer(&mut self, timer: TimerId) {
        if let Some(TimerAction::Interval(interval)) = self.core.timers.get_mut(timer) {
            self.turn_state.interval = interval.take().map(|interval| (timer, interval));
            return self.run_interval();
        }
        match self.core.timers.take(timer) {
            Some(TimerAction::Job(job)) => {
                self.core.counters.timers += 1;
                job(&mut self.cx());
            }
            Some(TimerAction::RetryInterests) => {
                self.core.is_retry_set = false;
                self.core.registry.retry();
            }
            Some(TimerAction::Interval(_)) | None => {}
        }
    }

    fn run_deadline(&mut self, source: u32, slot: Slot) {
        let Some(token) = self.core.registry.token(source) else { return };
        self.core.counters.timers += 1;
        self.call_method(
            token,
            match slot {
                Slot::User => |handler, io, cx| handler.timed_out(io, cx),
                Slot::Handler => |handler, io, cx| {
                    io.settings.flags |= Flags::HANDLERS_DEADLINE;
                    handler.timed_out(io, cx)
                },
            },
        );
    }

    /// Runs the job of an interval, and sets its timer again, unless the job has cancelled it.
    fn run_interval(&mut self) {
        let Self { core, state, turn_state, .. } = self;
        let Some((_, interval)) = &mut turn_state.interval else { return };
        core.counters.timers += 1;
        (interval.job)(&mut Context { core, state });
        if let Some((timer, mut interval)) = turn_state.interval.take()
            && let Some(action) = core.timers.get_mut(timer)
        {
            interval.advance(core.clock.now(core.counters.turns));
            let at = interval.at();
            *action = TimerAction::Interval(Some(interval));
            core.timers.set_again(timer, at);
        }
    }

    // Phase `run_jobs`.

    /// Runs the jobs that handles have posted.
    fn run_jobs(&mut self) {
        if std::mem::take(&mut self.turn_state.has_new_jobs) {
            self.core.wake_state.take_jobs(&mut self.turn_state.jobs);
        }
        while let Some(job) = self.turn_state.jobs.pop_front() {
            self.core.counters.jobs += 1;
            job(&mut self.cx());
            self.run_deferred();
        }
        self.turn_state.jobs.shrink_to(KEPT_JOBS);
    }

    // Phase `run_late_calls`.

    /// Makes the calls that were left for the end of the turn. One that is left meanwhile is made in the
    /// next turn, so that two sources that notify each other do not block the loop.
    fn run_late_calls(&mut self) {
        for _ in 0..self.core.late_calls.len() {
            match self.core.late_calls.pop_front() {
                Some(LateCall::Notified(token)) => {
                    self.call_method(token, |handler, io, cx| handler.notified(io, cx));
                }
                Some(LateCall::Told(token, message)) => {
                    let was_called =
                        self.call_with(token, |handler, io, cx| handler.told(message, io, cx));
                    if !was_called {
                        log::debug!("{token:?} was told something, but is removed");
                    }
                }
                Some(LateCall::Job(job)) => {
                    self.core.counters.jobs += 1;
                    job(&mut self.cx());
                }
                None => break,
            }
            self.run_deferred();
        }
    }

    // Phase `run_shutdown`.

    /// Calls [`Handler::shutting_down`](super::Handler::shutting_down) of each source that has not
    /// been called yet. It is the last phase, and concerns the sources that were there before the
    /// wait. So the first events of each source come first.
    fn run_shutdown(&mut self) {
        if !self.core.is_shutting_down {
            return;
        }
        while self.turn_state.shutdown_due > 0 {
            self.turn_state.shutdown_due -= 1;
            let Some(token) = self.core.shutdown_queue.pop_front() else { break };
            self.call_method(token, |handler, io, cx| handler.shutting_down(io, cx));
            self.run_deferred();
        }
        self.turn_state.shutdown_due = 0;
        if self.core.registry.len() == 0 {
            self.core.wake_state.stop();
        }
    }

    // What the phases after `dispatch` share.

    /// Calls a method of a handler other than [`ready`](super::Handler::ready).
    fn call_method(
        &mut self,
        token: Token,
        method: fn(&mut dyn AnyHandler<S>, &mut IoState, Context<'_, S>) -> Returned,
    ) {
        self.call_with(token, method);
    }

    /// As [`call_method`](Self::call_method), with a closure. Returns false if the source was removed.
    fn call_with(
        &mut self,
        token: Token,
        call: impl FnOnce(&mut dyn AnyHandler<S>, &mut IoState, Context<'_, S>) -> Returned,
    ) -> bool {
        if !self.core.registry.begin_call(token, &mut self.turn_state.io) {
            return false;
        }
        let Self { core, handlers, state, turn_state, .. } = self;
        let index = token.index() as usize;
        let Some(Some(handler)) = handlers.get_mut(index) else { return false };
        turn_state.is_in_handler = true;
        if turn_state.call_began.is_some() {
            turn_state.call_began = Some(core.clock.read());
        }
        let returned = call(&mut **handler, &mut turn_state.io, Context { core, state });
        turn_state.is_in_handler = false;
        // Only `ready` is called because of readiness, and can say that it is consumed.
        let is_done = returned == Returned::Next(Next::Done);
        self.apply_returned(if is_done { Returned::Next(Next::Keep) } else { returned });
        if self.turn_state.is_observed {
            self.observe(false);
        }
        true
    }

    /// Counts and logs a panic of a handler, timer or job. The source of a handler is removed.
    #[cold]
    fn note_panic(&mut self, panic: &(dyn Any + Send)) {
        self.core.counters.panics += 1;
        let panic = Panicked::with(panic);
        log::error!("{panic}");
        if let Some((timer, _)) = self.turn_state.interval.take() {
            self.core.timers.take(timer);
        }
        if std::mem::take(&mut self.turn_state.is_in_handler) {
            self.core.remove(self.turn_state.io.token, Some(io::Error::other(panic)));
        }
    }

    /// Reports a call to the probe and the log. A call of another method than `ready` is reported
    /// only if it did something.
    #[cold]
    fn observe(&mut self, was_ready: bool) {
        let outcome = self.core.registry.dispatch_outcome(self.turn_state.io.token);
        let took = self.turn_state.call_began.map(|began| self.core.clock.read() - began);
        let dispatch = Dispatch::of(&self.turn_state.io, outcome, took);
        if !was_ready && dispatch.operations == 0 && outcome == DispatchOutcome::Waiting {
            return;
        }
        log::trace!(
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

/// Returns whether the error means "continue", so that handlers may use `?` on each operation.
fn is_not_an_error(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
