//! The reactor as a handler sees it: everything but the turn.

use std::collections::VecDeque;
use std::os::fd::{AsFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io};

use super::add_error::AddError;
use super::counters::Counters;
use super::handle::{ReactorHandle, WakeState};
use super::handler::{AnyHandler, Handler, Registered};
use super::mode::reads_raw;
use super::registry::Registry;
use super::timers::{TimerId, Timers};
use crate::selector::{Backend, Interest, Selector, Token, Trigger};

/// A reactor in the hands of a handler, a timer, a job or a hook.
///
/// It can do everything to the reactor but turn it. What it adds or removes is watched, or not
/// watched, when the call returns; no handler runs in between.
pub struct Context<'a, S = ()> {
    pub(super) core: &'a mut Core<S>,
    /// What the handlers share.
    pub state: &'a mut S,
}

/// Everything in a reactor that a running handler can reach.
pub(super) struct Core<S> {
    pub(super) registry: Registry,
    pub(super) timers: Timers<TimerAction<S>>,
    pub(super) wake_state: Arc<WakeState<S>>,
    /// What is to be done as soon as no handler runs.
    pub(super) deferred: VecDeque<Deferred<S>>,
    /// For whom somebody has something.
    pub(super) notified: VecDeque<Token>,
    pub(super) is_shutting_down: bool,
    /// Who is to be told that the reactor is winding down.
    pub(super) shutdown_queue: VecDeque<Token>,
    /// What sources are read into that have no buffer of their own.
    scratch: Vec<u8>,
    pub(super) counters: Counters,
}

/// What a timer runs.
type TimerJob<S> = Box<dyn FnOnce(&mut Context<'_, S>)>;

/// What a timer does.
pub(super) enum TimerAction<S> {
    Job(TimerJob<S>),
    Deadline(Token),
}

/// What cannot be done while a handler runs: its place, and all the others, are out of reach then.
pub(super) enum Deferred<S> {
    /// A source has come: its place is to be filled, and it is to be told.
    Add(Token, Box<dyn AnyHandler<S>>),
    /// A source has been removed, perhaps for an error: it is to be told, and its place cleared.
    Remove(Token, Option<io::Error>),
}

impl<S: 'static> Context<'_, S> {
    /// Takes a source into the reactor, which owns it from now on and makes it non-blocking. Its
    /// `handler` is called when it is ready for something that is wanted of it.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to watch it. The source is given back in the error, which converts
    /// into an [`io::Error`] with `?`.
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

    /// As [`add`](Self::add), for a type of this crate's whose reads are the kernel's.
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

    /// Removes a source: it is told nothing more, and closed when the handler that is running has
    /// returned. A handler may remove any source, itself included, at any moment.
    ///
    /// # Errors
    ///
    /// `NotFound` if it is not_registered already.
    pub fn remove(&mut self, token: Token) -> io::Result<()> {
        if self.core.remove(token, None) { Ok(()) } else { Err(not_registered(token)) }
    }

    /// What is wanted of a source; `None` if it is not_registered.
    pub fn interest(&mut self, token: Token) -> Option<Interest> {
        self.core.registry.interest(token)
    }

    /// Wants `interest` of a source from now on. Costs nothing here: what is wanted when the next
    /// wait begins is applied then, once.
    ///
    /// # Errors
    ///
    /// `NotFound` if it is not_registered.
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
    /// `NotFound` if it is not_registered.
    pub fn arm(&mut self, token: Token) -> io::Result<()> {
        if self.core.registry.arm(token) { Ok(()) } else { Err(not_registered(token)) }
    }

    /// Has a source's handler called ([`Handler::notified`]), in this turn or the next: the way to
    /// hand it something, left for it in the [state](Self::state). Not called if it is not_registered by then.
    ///
    /// # Errors
    ///
    /// `NotFound` if it is not_registered.
    pub fn notify(&mut self, token: Token) -> io::Result<()> {
        self.core.registry.get(token).ok_or_else(|| not_registered(token))?;
        self.core.notified.push_back(token);
        Ok(())
    }

    /// Sets a source's deadline, in place of the one it had; `None` takes it away. When it comes,
    /// [`Handler::timed_out`] is called once. A source has one deadline, and takes it with it when
    /// it is removed.
    ///
    /// # Errors
    ///
    /// `NotFound` if it is not_registered.
    pub fn set_deadline(&mut self, token: Token, at: Option<Instant>) -> io::Result<()> {
        let Core { registry, timers, .. } = &mut *self.core;
        let entry = registry.get(token).ok_or_else(|| not_registered(token))?;
        entry.deadline = match (entry.deadline, at) {
            // Moved back: looked at again when the timer rings. So an idle timeout that every byte
            // moves costs nothing but this.
            (Some((timer, set_to)), Some(at)) if set_to <= at => Some((timer, at)),
            (old, at) => {
                if let Some((timer, _)) = old {
                    timers.take(timer);
                }
                at.map(|at| (timers.set(at, TimerAction::Deadline(token)), at))
            }
        };
        Ok(())
    }

    /// Has `job` run at `at`, or in the turn after it. Timers due at the same instant run in the
    /// order in which they were set. One that is set while timers run, runs in the next turn at the
    /// earliest.
    pub fn set_timer(
        &mut self,
        at: Instant,
        job: impl FnOnce(&mut Context<'_, S>) + 'static,
    ) -> TimerId {
        self.core.timers.set(at, TimerAction::Job(Box::new(job)))
    }

    /// Cancels a timer. True if it will now not run; false if it has run or was cancelled before.
    pub fn cancel_timer(&mut self, id: TimerId) -> bool {
        self.core.timers.take(id).is_some()
    }

    /// Ends in good order: every source's handler is told once
    /// ([`Handler::shutting_down`]) and may take its time to finish what is owed; the loop stops when
    /// the last source is not_registered, and at the latest after `grace`. They are told at the end of the turn,
    /// when everybody has been called of whom the kernel has told in it. A source that is added from
    /// now on is told in the turn in which it comes. Winding down once more changes nothing.
    pub fn shutdown(&mut self, grace: Duration) {
        if self.core.is_shutting_down {
            return;
        }
        self.core.is_shutting_down = true;
        let Core { registry, shutdown_queue, .. } = &mut *self.core;
        shutdown_queue.extend(registry.tokens());
        if let Some(end) = Instant::now().checked_add(grace) {
            self.set_timer(end, |cx| cx.stop());
        }
    }

    /// Whether [`shutdown`](Self::shutdown) has been called.
    pub fn is_shutting_down(&self) -> bool {
        self.core.is_shutting_down
    }

    /// Stops the loop when this turn has ended; see [`ReactorHandle::stop`].
    pub fn stop(&mut self) {
        self.core.wake_state.stop();
    }

    /// Reaches this reactor from other threads.
    pub fn handle(&self) -> ReactorHandle<S> {
        ReactorHandle::new(&self.core.wake_state)
    }

    /// Goes on with another backend: every source moves, open connections and unread events with
    /// it, and no handler can tell.
    ///
    /// # Errors
    ///
    /// When the new selector cannot be made, or cannot take one of the sources. Then nothing has
    /// changed.
    pub fn switch_to(&mut self, backend: Backend) -> io::Result<()> {
        self.switch_to_selector(backend.selector()?)
    }

    /// As [`switch_to`](Self::switch_to), with a selector that has settings of its own or comes from
    /// outside this crate. It must be new: nothing added.
    ///
    /// # Errors
    ///
    /// As [`switch_to`](Self::switch_to).
    pub fn switch_to_selector(&mut self, selector: Box<dyn Selector>) -> io::Result<()> {
        self.core.registry.switch_to(selector)?;
        self.core.counters.switches += 1;
        Ok(())
    }

    /// Lends the buffer that all of a reactor's connections read into, so that an idle one owns
    /// none. To be [given back](Self::return_scratch).
    pub(crate) fn take_scratch(&mut self) -> Vec<u8> {
        let mut scratch = std::mem::take(&mut self.core.scratch);
        scratch.resize(SCRATCH, 0);
        scratch
    }

    /// Takes the buffer back.
    pub(crate) fn return_scratch(&mut self, scratch: Vec<u8>) {
        self.core.scratch = scratch;
    }

    /// Every descriptor that this reactor holds, its own and its sources'.
    pub(crate) fn descriptors(&self) -> Vec<RawFd> {
        self.core.registry.descriptors().collect()
    }

    /// The name of the backend that is asked now.
    pub fn backend(&self) -> &'static str {
        self.core.registry.selector().name()
    }

    /// How the kernel was wished to be asked.
    pub fn trigger(&self) -> Trigger {
        self.core.registry.trigger()
    }

    /// How the kernel is asked: the trigger, or the nearest to it that the backend has. One-shot is
    /// the reactor's own doing ([`Next::Disarm`](super::Next::Disarm)), and asked by level.
    pub fn effective_trigger(&self) -> Trigger {
        self.core.registry.effective_trigger()
    }

    /// How many sources there are.
    pub fn len(&self) -> usize {
        self.core.registry.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many timers and deadlines are set.
    pub fn timers(&self) -> usize {
        self.core.timers.len()
    }

    /// What the reactor has done so far.
    pub fn counters(&self) -> Counters {
        self.core.counters()
    }
}

/// The size of the common read buffer.
const SCRATCH: usize = 64 << 10;

impl<S> Core<S> {
    pub(super) fn new(registry: Registry, wake_state: WakeState<S>) -> Self {
        Core {
            registry,
            timers: Timers::new(),
            wake_state: Arc::new(wake_state),
            deferred: VecDeque::new(),
            notified: VecDeque::new(),
            is_shutting_down: false,
            shutdown_queue: VecDeque::new(),
            scratch: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// Forgets a source, which is told and closed when no handler runs. False if it is not_registered.
    pub(super) fn remove(&mut self, token: Token, error: Option<io::Error>) -> bool {
        let Some(entry) = self.registry.remove(token) else { return false };
        if let Some((timer, _)) = entry.deadline {
            self.timers.take(timer);
        }
        if let Some(error) = &error {
            self.counters.errors += 1;
            log::debug!(target: "tripoll", "{token:?} ended: {error}");
        }
        self.deferred.push_back(Deferred::Remove(token, error));
        true
    }

    /// Whether the deadline for which a timer has just expired_at has come. If it was moved back since,
    /// the timer is set anew.
    pub(super) fn deadline_has_passed(&mut self, token: Token) -> bool {
        let Core { registry, timers, .. } = self;
        let Some(entry) = registry.get(token) else { return false };
        let Some((_, at)) = entry.deadline.take() else { return false };
        if at <= Instant::now() {
            return true;
        }
        entry.deadline = Some((timers.set(at, TimerAction::Deadline(token)), at));
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
            wakes,
            wakes_saved,
            ..self.counters
        }
    }
}

fn not_registered(token: Token) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{token:?} is not registered (any more)"))
}

impl<S> fmt::Debug for Context<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("registry", &self.core.registry).finish_non_exhaustive()
    }
}
