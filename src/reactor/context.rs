//! The context: all that can be done to a reactor, except to turn it.

use std::collections::VecDeque;
use std::os::fd::{AsFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io};

use super::add_error::AddError;
use super::backoff::Backoff;
use super::counters::Counters;
use super::handle::{ReactorHandle, WakeState};
use super::handler::{AnyHandler, Handler, Registered};
use super::mode::reads_raw;
use super::registry::Registry;
use super::source_entry::{Deadline, Slot};
use super::timers::{TimerId, Timers};
use crate::selector::{Backend, Interest, Selector, Token, Trigger};
use crate::sys;

/// Access to a reactor for a handler, a timer, a job or a hook.
///
/// It can do everything to the reactor, except to turn it. A source is watched as soon as
/// [`add`](Self::add) returns, and no longer watched as soon as [`remove`](Self::remove) returns. No
/// handler runs in between.
///
/// ```
/// use std::time::{Duration, Instant};
/// use tripoll::{Context, Reactor};
///
/// let mut reactor = Reactor::builder().build_with(Vec::new())?; // the state that handlers share
/// let now = Instant::now();
/// let mut cx = reactor.context();
/// cx.set_timer(now + Duration::from_millis(2), |cx: &mut Context<'_, Vec<&str>>| {
///     cx.state.push("second");
///     cx.stop();
/// });
/// cx.set_timer(now + Duration::from_millis(1), |cx| cx.state.push("first"));
/// let cancelled = cx.set_timer(now, |cx| cx.state.push("never"));
/// assert!(cx.cancel_timer(cancelled));
/// reactor.run()?;
/// assert_eq!(*reactor.state(), ["first", "second"]);
/// # std::io::Result::Ok(())
/// ```
pub struct Context<'a, S = ()> {
    pub(super) core: &'a mut Core<S>,
    /// The state that all handlers share.
    pub state: &'a mut S,
}

/// The parts of a reactor that a running handler can reach.
pub(super) struct Core<S> {
    pub(super) registry: Registry,
    pub(super) timers: Timers<TimerAction<S>>,
    pub(super) wake_state: Arc<WakeState<S>>,
    /// Whether a turn must look at more than events: something was put into one of the fields below,
    /// or a wait has failed. An ordinary turn looks only at this flag.
    pub(super) attention: bool,
    /// What must wait until no handler runs.
    pub(super) deferred: VecDeque<Deferred<S>>,
    /// The notified sources.
    pub(super) notified: VecDeque<Token>,
    pub(super) is_shutting_down: bool,
    /// The sources whose `shutting_down` was not called yet.
    pub(super) shutdown_queue: VecDeque<Token>,
    /// The read buffer that all connections share.
    scratch: Vec<u8>,
    pub(super) counters: Counters,
    /// The error that the turn returns: see [`Context::fail`].
    pub(super) failure: Option<io::Error>,
    /// The pauses after changes of interest that were refused.
    refusals: Backoff,
    /// Whether a timer is set to try them again.
    pub(super) is_retry_set: bool,
}

/// The closure of a timer.
type TimerJob<S> = Box<dyn FnOnce(&mut Context<'_, S>)>;

/// What happens when a timer fires.
pub(super) enum TimerAction<S> {
    Job(TimerJob<S>),
    Deadline(Token, Slot),
    /// Try the refused changes of interest again.
    RetryInterests,
}

/// What cannot be done while a handler runs, because the table of handlers is borrowed then.
pub(super) enum Deferred<S> {
    /// A source was added: store its handler, and call `added`.
    Add(Token, Box<dyn AnyHandler<S>>),
    /// A source was removed, perhaps because of an error: call `removed`, and drop its handler.
    Remove(Token, Option<io::Error>),
}

impl<S: 'static> Context<'_, S> {
    /// Adds a source to the reactor, which owns it from now on and makes it non-blocking. The
    /// `handler` is called when the source is ready for a direction of its `interest`.
    ///
    /// # Errors
    ///
    /// Fails when the selector cannot watch the source. The error gives the source back, and
    /// converts into an [`io::Error`] with `?`.
    pub fn add<F, H>(
        &mut self,
        source: F,
        interest: Interest,
        handler: H,
    ) -> Result<Token, AddError<F>>
    where
        F: AsFd + 'static,
        H: Handler<F, S> + 'static,
    {
        self.add_source(source, interest, handler, reads_raw::<F>())
    }

    /// As [`add`](Self::add), for a type of this crate whose reads are plain reads of the kernel.
    pub(crate) fn add_raw<F, H>(
        &mut self,
        source: F,
        interest: Interest,
        handler: H,
    ) -> Result<Token, AddError<F>>
    where
        F: AsFd + 'static,
        H: Handler<F, S> + 'static,
    {
        self.add_source(source, interest, handler, true)
    }

    fn add_source<F, H>(
        &mut self,
        source: F,
        interest: Interest,
        handler: H,
        reads_raw: bool,
    ) -> Result<Token, AddError<F>>
    where
        F: AsFd + 'static,
        H: Handler<F, S> + 'static,
    {
        self.core.attention = true;
        let Core { registry, deferred, is_shutting_down, shutdown_queue, .. } = &mut *self.core;
        match registry.add(source.as_fd(), interest, reads_raw) {
            Ok(token) => {
                let registered = Box::new(Registered { source, handler });
                deferred.push_back(Deferred::Add(token, registered));
                if *is_shutting_down {
                    shutdown_queue.push_back(token);
                }
                Ok(token)
            }
            Err(error) => Err(AddError { source, error }),
        }
    }

    /// Removes a source. Its handler receives no further event. [`Handler::removed`] is called, and
    /// the source closed, when the running handler has returned. A handler may remove any source,
    /// its own included.
    ///
    /// # Errors
    ///
    /// `NotFound` if the source was removed before.
    pub fn remove(&mut self, token: Token) -> io::Result<()> {
        if self.core.remove(token, None) { Ok(()) } else { Err(not_registered(token)) }
    }

    /// Returns the interest of a source, or `None` if the source was removed.
    pub fn interest(&self, token: Token) -> Option<Interest> {
        self.core.registry.interest(token)
    }

    /// Sets the interest of a source. This makes no system call: the interest that is set when the
    /// next wait begins is applied then, once.
    ///
    /// # Errors
    ///
    /// `NotFound` if the source was removed.
    pub fn set_interest(&mut self, token: Token, interest: Interest) -> io::Result<()> {
        if self.core.registry.set_interest(token, interest) {
            Ok(())
        } else {
            Err(not_registered(token))
        }
    }

    /// Arms a source again that was disarmed with [`Next::Disarm`](super::Next::Disarm).
    ///
    /// # Errors
    ///
    /// `NotFound` if the source was removed.
    pub fn arm(&mut self, token: Token) -> io::Result<()> {
        if self.core.registry.arm(token) { Ok(()) } else { Err(not_registered(token)) }
    }

    /// Notifies a source: [`Handler::notified`] is called, in this turn or the next. It is the way to
    /// pass something to another source, left for it in the [state](Self::state).
    ///
    /// # Errors
    ///
    /// `NotFound` if the source was removed.
    pub fn notify(&mut self, token: Token) -> io::Result<()> {
        self.core.registry.get(token).ok_or_else(|| not_registered(token))?;
        self.core.attention = true;
        self.core.notified.push_back(token);
        Ok(())
    }

    /// Sets the deadline of a source, in place of an earlier one. `None` removes it. When the
    /// deadline has come, [`Handler::timed_out`] is called once. A source has one deadline, which is
    /// removed with it.
    ///
    /// # Errors
    ///
    /// `NotFound` if the source was removed.
    pub fn set_deadline(&mut self, token: Token, at: Option<Instant>) -> io::Result<()> {
        if self.core.set_deadline(token, Slot::User, at) {
            Ok(())
        } else {
            Err(not_registered(token))
        }
    }

    /// Sets the deadline that a handler of this crate needs for itself, apart from the user's. When it
    /// has come, [`Handler::timed_out`] is called, and
    /// [`IoState::is_handlers_deadline`](super::io_state::IoState::is_handlers_deadline) is true.
    pub(crate) fn set_handlers_deadline(&mut self, token: Token, at: Option<Instant>) {
        self.core.set_deadline(token, Slot::Handler, at);
    }

    /// Sets a timer: the loop runs `job` at `at`, or in the first turn after it. Timers due at the
    /// same instant run in the order in which they were set. A timer that is set while timers run
    /// fires in the next turn at the earliest.
    pub fn set_timer(
        &mut self,
        at: Instant,
        job: impl FnOnce(&mut Context<'_, S>) + 'static,
    ) -> TimerId {
        self.core.timers.set(at, TimerAction::Job(Box::new(job)))
    }

    /// Cancels a timer. Returns false if it has fired or was cancelled before.
    pub fn cancel_timer(&mut self, id: TimerId) -> bool {
        self.core.timers.take(id).is_some()
    }

    /// Shuts the reactor down gracefully. [`Handler::shutting_down`] of each source is called once,
    /// and may keep the source until its output is flushed. The loop stops when the last source was
    /// removed, and at the latest after `grace`, measured from now.
    ///
    /// The handlers are called at the end of the next turn that waits, after its events, so that
    /// what has arrived is read. The same holds for a source that is added later. A second call of
    /// this method does nothing.
    #[doc(alias = "signal")]
    pub fn shutdown(&mut self, grace: Duration) {
        if self.core.is_shutting_down {
            return;
        }
        (self.core.is_shutting_down, self.core.attention) = (true, true);
        let Core { registry, shutdown_queue, .. } = &mut *self.core;
        shutdown_queue.extend(registry.tokens());
        if let Some(end) = Instant::now().checked_add(grace) {
            self.set_timer(end, |cx| cx.stop());
        }
    }

    /// Returns whether [`shutdown`](Self::shutdown) has been called.
    pub fn is_shutting_down(&self) -> bool {
        self.core.is_shutting_down
    }

    /// Stops the loop at the end of this turn: see [`ReactorHandle::stop`].
    pub fn stop(&mut self) {
        self.core.wake_state.stop();
    }

    /// Fails: at the end of this turn [`Reactor::turn`](super::Reactor::turn), and with it
    /// [`run`](super::Reactor::run), returns the error. For what the program must know, and what no
    /// caller of a handler is told otherwise: [a listener](crate::net::Listener::serve) that has
    /// ended, for example.
    ///
    /// Nothing else happens to the reactor. Its sources stay, and it can run again. The second
    /// failure in one turn is logged.
    ///
    /// ```
    /// use std::io;
    /// use tripoll::Reactor;
    ///
    /// let mut reactor = Reactor::new()?;
    /// reactor.context().fail(io::Error::other("the disk is full"));
    /// assert_eq!(reactor.run().unwrap_err().to_string(), "the disk is full");
    /// # io::Result::Ok(())
    /// ```
    pub fn fail(&mut self, error: io::Error) {
        if self.core.failure.is_some() {
            log::error!("{error}");
        } else {
            (self.core.failure, self.core.attention) = (Some(error), true);
        }
    }

    /// Counts a panic that was caught in a handler.
    pub(crate) fn note_panic(&mut self) {
        self.core.counters.panics += 1;
    }

    /// Returns a handle to this reactor, for other threads.
    pub fn handle(&self) -> ReactorHandle<S> {
        ReactorHandle::new(&self.core.wake_state)
    }

    /// Switches to another backend. All sources move to it, with their connections and unread
    /// events. Handlers see no difference.
    ///
    /// # Errors
    ///
    /// Fails when the new selector cannot be created, or cannot watch one of the sources. Then
    /// nothing has changed.
    pub fn switch_to(&mut self, backend: Backend) -> io::Result<()> {
        self.switch_to_selector(backend.selector()?)
    }

    /// As [`switch_to`](Self::switch_to), with a selector that has settings or comes from outside
    /// this crate. It must be new: nothing may be added to it.
    ///
    /// # Errors
    ///
    /// As [`switch_to`](Self::switch_to).
    pub fn switch_to_selector(&mut self, selector: Box<dyn Selector>) -> io::Result<()> {
        self.core.registry.switch_to(selector)?;
        self.core.counters.switches += 1;
        Ok(())
    }

    /// Takes the read buffer that all connections of a reactor share, so that an idle one owns none.
    /// It must be [returned](Self::return_scratch).
    pub(crate) fn take_scratch(&mut self) -> Vec<u8> {
        let mut scratch = std::mem::take(&mut self.core.scratch);
        scratch.resize(SCRATCH, 0);
        scratch
    }

    /// Returns the shared read buffer.
    pub(crate) fn return_scratch(&mut self, scratch: Vec<u8>) {
        self.core.scratch = scratch;
    }

    /// Returns all descriptors that this reactor holds, its own and those of its sources.
    pub(crate) fn descriptors(&self) -> Vec<RawFd> {
        self.core.registry.descriptors().collect()
    }

    /// Returns the name of the current backend.
    pub fn backend(&self) -> &'static str {
        self.core.registry.selector().name()
    }

    /// Returns the requested trigger.
    pub fn trigger(&self) -> Trigger {
        self.core.registry.trigger()
    }

    /// Returns the trigger in effect: the requested one, or the nearest to it that the backend has.
    /// The reactor implements one-shot by itself ([`Next::Disarm`](super::Next::Disarm)), above
    /// level.
    pub fn effective_trigger(&self) -> Trigger {
        self.core.registry.effective_trigger()
    }

    /// Returns the number of sources.
    pub fn len(&self) -> usize {
        self.core.registry.len()
    }

    /// Returns whether there are no sources.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of timers and deadlines that are set.
    pub fn timers(&self) -> usize {
        self.core.timers.len()
    }

    /// Returns what the reactor has done so far.
    pub fn counters(&self) -> Counters {
        self.core.counters()
    }
}

/// The size of the shared read buffer.
const SCRATCH: usize = 64 << 10;

impl<S> Core<S> {
    pub(super) fn new(registry: Registry, wake_state: WakeState<S>) -> Self {
        Core {
            registry,
            timers: Timers::new(),
            wake_state: Arc::new(wake_state),
            attention: false,
            deferred: VecDeque::new(),
            notified: VecDeque::new(),
            is_shutting_down: false,
            shutdown_queue: VecDeque::new(),
            scratch: Vec::new(),
            counters: Counters::default(),
            failure: None,
            refusals: Backoff::new(Duration::from_millis(10), Duration::from_secs(1)),
            is_retry_set: false,
        }
    }

    /// Handles a change of interest that failed. One for which the kernel has no room is tried again
    /// later. Any other error ends the source.
    #[cold]
    pub(super) fn interest_failed(&mut self, token: Token, error: io::Error) {
        if !sys::is_shortage(&error) {
            self.remove(token, Some(error));
            return;
        }
        if !self.is_retry_set {
            let pause = self.refusals.fail();
            log::error!("an interest was refused and is tried again in {pause:?}: {error}");
            self.timers.set(Instant::now() + pause, TimerAction::RetryInterests);
            self.is_retry_set = true;
        }
    }

    /// Notes that interests were applied, and none was refused.
    #[inline]
    pub(super) fn interests_applied(&mut self) {
        if self.refusals.has_failed() && !self.registry.has_refused() {
            self.refusals.succeed();
        }
    }

    /// Removes a source. `removed` is called, and the source closed, when no handler runs. Returns
    /// false if it was removed before.
    pub(super) fn remove(&mut self, token: Token, error: Option<io::Error>) -> bool {
        let Some(entry) = self.registry.remove(token) else { return false };
        for deadline in entry.deadlines.into_iter().flatten() {
            self.timers.take(deadline.timer);
        }
        if let Some(error) = &error {
            self.counters.errors += 1;
            log::debug!("{token:?} was removed: {error}");
        }
        self.attention = true;
        self.deferred.push_back(Deferred::Remove(token, error));
        true
    }

    /// Sets a deadline of a source. Returns false if the source was removed.
    fn set_deadline(&mut self, token: Token, slot: Slot, at: Option<Instant>) -> bool {
        let Core { registry, timers, .. } = self;
        let Some(entry) = registry.get(token) else { return false };
        let deadline = &mut entry.deadlines[slot as usize];
        *deadline = match (*deadline, at) {
            // Postponed: checked again when the timer fires. So an idle timeout that every byte
            // postpones costs no more than this assignment.
            (Some(Deadline { timer, at: set_to }), Some(at)) if set_to <= at => {
                Some(Deadline { timer, at })
            }
            (old, at) => {
                if let Some(old) = old {
                    timers.take(old.timer);
                }
                at.map(|at| Deadline {
                    timer: timers.set(at, TimerAction::Deadline(token, slot)),
                    at,
                })
            }
        };
        true
    }

    /// Returns whether the deadline has come whose timer has just fired. If it was postponed, a new
    /// timer is set.
    pub(super) fn deadline_has_passed(&mut self, token: Token, slot: Slot) -> bool {
        let Some(entry) = self.registry.get(token) else { return false };
        let Some(Deadline { at, .. }) = entry.deadlines[slot as usize].take() else { return false };
        if at <= Instant::now() {
            return true;
        }
        self.set_deadline(token, slot, Some(at));
        false
    }

    pub(super) fn counters(&self) -> Counters {
        let kernel = self.registry.selector_counters();
        let (wakes, wakes_saved) = self.wake_state.wakes();
        Counters {
            waits: kernel.waits,
            controls: kernel.controls,
            controls_saved: self.registry.controls_saved(),
            repairs: kernel.repairs,
            parked: self.registry.parked(),
            wakes,
            wakes_saved,
            ..self.counters
        }
    }
}

fn not_registered(token: Token) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{token:?} is not registered"))
}

impl<S> fmt::Debug for Context<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("registry", &self.core.registry).finish_non_exhaustive()
    }
}
