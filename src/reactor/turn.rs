//! The loop.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::alarm::Alarm;
use super::context::{Core, Move, Notice, Ring};
use super::handle::{Job, Shared};
use super::handler::{Bound, Handler, Next};
use super::io::Io;
use super::probe::{Dispatch, Probe};
use super::registry::{Registry, Told};
use super::{AddError, Budget, Builder, Context, Counters, Handle};
use crate::selector::Selector;
use crate::{Backend, Deadline, Event, Events, Interest, Token, Trigger};

/// Owns sources, waits for them, and calls their handlers.
///
/// `S` is what the handlers share. See the [module](super) for the contract, and
/// [`Reactor::builder`] for the choices.
pub struct Reactor<S = ()> {
    // Dropped in this order: the selector before the sources, so that nothing is closed while
    // the kernel watches it.
    core: Core<S>,
    handlers: Vec<Option<Box<dyn Bound<S>>>>,
    state: S,
    alarm: Alarm,
    budget: Budget,
    before_wait: Vec<Hook<S>>,
    after_wait: Vec<Hook<S>>,
    probe: Option<Box<dyn Probe>>,
    turn: Turn<S>,
}

type Hook<S> = Box<dyn FnMut(&mut Context<'_, S>)>;

/// What is still to be done in this turn. It is used up from the front, so that a panic in the
/// middle loses nothing but the one who panicked.
struct Turn<S> {
    events: Events,
    next_event: usize,
    /// Who was on the ready list when the turn began.
    ready: Vec<Token>,
    next_ready: usize,
    due: VecDeque<super::TimerId>,
    jobs: std::vec::IntoIter<Job<S>>,
    /// Who is to end before anybody is called: whom the kernel would not have, and who panicked.
    failed: Vec<(Token, io::Error)>,
    /// Whose handler is running.
    running: Option<Token>,
    /// When the alarm clock rang.
    rung: Option<Instant>,
    /// Whether somebody has sent jobs.
    is_notified: bool,
    /// Whether anybody looks on: a probe, or the log.
    is_watched: bool,
}

/// The names of the reactor's own descriptors. No source has them: there are fewer descriptors.
const BELL: Token = Token::new(u32::MAX, 0);
const ALARM: Token = Token::new(u32::MAX, 1);

impl Reactor {
    /// A reactor on the [default backend](Backend::default), by level, whose handlers share nothing.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`].
    pub fn new() -> io::Result<Self> {
        Reactor::builder().build()
    }

    /// A reactor of one's own choice, with a state of one's own.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl<S: 'static> Reactor<S> {
    pub(super) fn assemble(
        builder: Builder,
        selector: Box<dyn Selector>,
        state: S,
    ) -> io::Result<Self> {
        // Made before any source, so that their descriptors are low: `select` pays for the highest.
        let (alarm, shared) = (Alarm::new()?, Shared::new()?);
        let mut registry = Registry::new(selector, builder.trigger);
        registry.add_own(shared.bell().as_fd(), BELL)?;
        registry.add_own(alarm.as_fd(), ALARM)?;
        Ok(Reactor {
            core: Core::new(registry, shared),
            handlers: Vec::new(),
            state,
            alarm,
            budget: builder.budget,
            before_wait: Vec::new(),
            after_wait: Vec::new(),
            probe: builder.probe,
            turn: Turn {
                events: builder.events,
                next_event: 0,
                ready: Vec::new(),
                next_ready: 0,
                due: VecDeque::new(),
                jobs: Vec::new().into_iter(),
                failed: Vec::new(),
                running: None,
                rung: None,
                is_notified: false,
                is_watched: false,
            },
        })
    }

    /// Takes a source into the reactor; see [`Context::add`].
    ///
    /// # Errors
    ///
    /// As [`Context::add`].
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
        self.context().add(source, interest, handler)
    }

    /// Everything else that a handler can do to the reactor, between turns.
    pub fn context(&mut self) -> Context<'_, S> {
        Context { core: &mut self.core, state: &mut self.state }
    }

    /// What the handlers share.
    pub fn state(&mut self) -> &mut S {
        &mut self.state
    }

    /// Reaches this reactor from other threads.
    pub fn handle(&self) -> Handle<S> {
        Handle::new(&self.core.shared)
    }

    /// Calls `hook` in every turn before the wait: the place to write out what a turn has gathered.
    /// Hooks are called in the order in which they were added. A hook that panics, panics the turn.
    pub fn before_wait(&mut self, hook: impl FnMut(&mut Context<'_, S>) + 'static) {
        self.before_wait.push(Box::new(hook));
    }

    /// Calls `hook` in every turn after the wait, before the first handler.
    pub fn after_wait(&mut self, hook: impl FnMut(&mut Context<'_, S>) + 'static) {
        self.after_wait.push(Box::new(hook));
    }

    /// Goes on with another backend; see [`Context::switch_to`].
    ///
    /// # Errors
    ///
    /// As [`Context::switch_to`].
    pub fn switch_to(&mut self, backend: Backend) -> io::Result<()> {
        self.context().switch_to(backend)
    }

    /// The name of the backend that is asked now.
    pub fn backend(&self) -> &'static str {
        self.core.registry.selector().name()
    }

    /// How the kernel was wished to be asked.
    pub fn trigger(&self) -> Trigger {
        self.core.registry.trigger()
    }

    /// How the kernel is asked; see [`Context::effective_trigger`].
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

    /// What the reactor has done so far.
    pub fn counters(&self) -> Counters {
        self.core.counters()
    }

    /// When the next timer or deadline is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.core.timers.next()
    }

    /// The selector's own descriptor where it has one (epoll, mio): readable when a turn would find
    /// something. For turning this reactor inside another loop, by level.
    pub fn selector_fd(&self) -> Option<BorrowedFd<'_>> {
        self.core.registry.selector().own_fd()
    }

    /// Turns until [stopped](Handle::stop).
    ///
    /// # Errors
    ///
    /// As [`turn`](Self::turn).
    pub fn run(&mut self) -> io::Result<()> {
        while !self.core.shared.is_stopped() {
            self.turn(Deadline::Never)?;
        }
        Ok(())
    }

    /// One round: waits until somebody is ready or the deadline has come, and calls the handlers of
    /// those who are. Returns how many calls that were.
    ///
    /// # Errors
    ///
    /// Only when the wait itself fails, which with this crate's selectors is a fault of the crate's
    /// or of the kernel's.
    pub fn turn(&mut self, deadline: Deadline) -> io::Result<u64> {
        self.core.counters.turns += 1;
        let dispatches = self.core.counters.dispatches;
        self.turn.is_watched =
            self.probe.is_some() || log::log_enabled!(target: "tripoll", log::Level::Trace);
        Self::call_hooks(&mut self.before_wait, &mut self.core, &mut self.state);
        self.prepare();
        self.wait(deadline)?;
        Self::call_hooks(&mut self.after_wait, &mut self.core, &mut self.state);
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.serve())) {
            self.note_panic(&*panic);
        }
        if let Some(probe) = &mut self.probe {
            probe.turned(&self.core.counters());
        }
        Ok(self.core.counters.dispatches - dispatches)
    }

    #[inline]
    fn call_hooks(hooks: &mut [Hook<S>], core: &mut Core<S>, state: &mut S) {
        for hook in hooks {
            hook(&mut Context { core, state });
        }
    }

    /// Before the wait: places are filled, changes applied, the alarm set, the ready list taken.
    #[inline]
    fn prepare(&mut self) {
        self.settle();
        let Self { core, turn, probe, .. } = self;
        core.registry.apply(
            |token, interest| {
                if let Some(probe) = probe {
                    probe.applied(token, interest);
                }
            },
            |token, error| turn.failed.push((token, error)),
        );
        turn.ready.drain(..turn.next_ready); // all of them, unless the turn before broke off
        turn.next_ready = 0;
        core.registry.take_ready(&mut turn.ready);
    }

    #[inline]
    fn wait(&mut self, deadline: Deadline) -> io::Result<()> {
        let Self { core, turn, .. } = self;
        self.alarm.set(core.timers.next())?;
        let is_awake = deadline == Deadline::Now
            || !turn.ready.is_empty()
            || !turn.failed.is_empty()
            || !core.notices.is_empty()
            || core.shared.is_stopped()
            || !core.shared.fall_asleep();
        let deadline = if is_awake { Deadline::Now } else { deadline };

        let began = self.probe.as_mut().map(|probe| {
            probe.waiting(deadline);
            Instant::now()
        });
        let waited = core.registry.selector_mut().wait(&mut turn.events, deadline);
        turn.is_notified |= core.shared.wake_up();
        waited?;
        turn.next_event = 0;
        core.counters.events += turn.events.len() as u64;
        if let (Some(probe), Some(began)) = (&mut self.probe, began) {
            probe.waited(began.elapsed(), &turn.events);
        }
        Ok(())
    }

    /// After the wait: everybody who is to be called is called. After a panic it is begun again, and
    /// goes on where it was.
    #[inline]
    fn serve(&mut self) {
        self.settle();
        while let Some((token, error)) = self.turn.failed.pop() {
            self.fail(token, error);
        }
        while let Some(event) = self.turn.events.at(self.turn.next_event) {
            self.turn.next_event += 1;
            match self.core.registry.tell(event, self.budget) {
                Told::Call(mut io) => self.call(&mut io),
                Told::Noted => {}
                Told::Stranger => self.tell_own(event),
            }
        }
        while let Some(&token) = self.turn.ready.get(self.turn.next_ready) {
            self.turn.next_ready += 1;
            if let Some(mut io) = self.core.registry.lend_due(token, self.budget) {
                self.call(&mut io);
            }
        }
        self.ring();
        if std::mem::take(&mut self.turn.is_notified) {
            self.turn.jobs = self.core.shared.take_jobs().into_iter();
        }
        while let Some(job) = self.turn.jobs.next() {
            job(&mut self.context());
            self.settle();
        }
        while let Some((token, notice)) = self.core.notices.pop_front() {
            match notice {
                Notice::Added => self.call_unasked(token, |bound, io, cx| bound.added(io, cx)),
                Notice::WindingDown => {
                    self.call_unasked(token, |bound, io, cx| bound.winding_down(io, cx));
                }
            }
        }
        while let Some((token, error)) = self.turn.failed.pop() {
            self.fail(token, error);
        }
        if self.core.is_winding_down && self.is_empty() {
            self.core.shared.stop();
        }
    }

    /// An event of one of the reactor's own descriptors, or of a source that is gone.
    #[cold]
    fn tell_own(&mut self, event: Event) {
        match event.token() {
            BELL => {
                self.core.shared.bell().hush();
                self.turn.is_notified = true;
            }
            ALARM => {
                self.alarm.hush();
                self.turn.rung = Some(Instant::now());
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
    #[inline]
    fn ring(&mut self) {
        if let Some(now) = self.turn.rung.take() {
            let mut due = Vec::new();
            self.core.timers.due(now, &mut due);
            self.turn.due.extend(due);
        }
        while let Some(timer) = self.turn.due.pop_front() {
            let Some(ring) = self.core.timers.take(timer) else { continue };
            self.core.counters.timers += 1;
            match ring {
                Ring::Job(job) => {
                    job(&mut self.context());
                    self.settle();
                }
                Ring::Deadline(token) => {
                    if let Some(entry) = self.core.registry.get(token) {
                        entry.deadline = None;
                    }
                    self.call_unasked(token, |bound, io, cx| bound.timed_out(io, cx));
                }
            }
        }
    }

    /// Calls a handler because its source is ready.
    #[inline]
    fn call(&mut self, io: &mut Io) {
        let Self { core, handlers, state, turn, .. } = self;
        core.counters.dispatches += 1;
        let index = io.token.index() as usize;
        let Some(bound) = handlers.get_mut(index).and_then(Option::as_mut) else { return };
        turn.running = Some(io.token);
        let next = bound.ready(io, &mut Context { core, state });
        let did_nothing = io.operations == 0 && io.changes == 0 && !io.cut_off;
        if did_nothing && next.as_ref().map_or_else(is_no_error, |next| *next == Next::Keep) {
            self.core.counters.idle += 1;
        }
        self.finish(io, next);
    }

    /// Calls another method of a handler than the one for a ready source.
    fn call_unasked(
        &mut self,
        token: Token,
        method: fn(&mut dyn Bound<S>, &mut Io, &mut Context<'_, S>) -> io::Result<Next>,
    ) {
        let Some(mut io) = self.core.registry.lend(token, self.budget) else { return };
        let Self { core, handlers, state, turn, .. } = self;
        let index = token.index() as usize;
        let Some(bound) = handlers.get_mut(index).and_then(Option::as_mut) else { return };
        turn.running = Some(token);
        let next = method(&mut **bound, &mut io, &mut Context { core, state });
        self.finish(&mut io, next);
    }

    /// After a handler: does what it said, and takes back what it was lent.
    #[inline]
    fn finish(&mut self, io: &mut Io, next: io::Result<Next>) {
        self.turn.running = None;
        let counters = &mut self.core.counters;
        counters.spurious += u64::from(io.spurious);
        counters.cut_off += u64::from(io.cut_off);
        let mut disarm = false;
        match next {
            Ok(Next::Done) if io.cut_off => {} // it took the budget's WouldBlock for the kernel's
            Ok(Next::Done) => io.ready.remove(io.wanted_before),
            Ok(Next::Disarm) => disarm = true,
            Ok(Next::Remove) => {
                self.core.remove(io.token);
            }
            Ok(Next::Keep) => {}
            Err(error) if is_no_error(&error) => {}
            Err(error) => self.fail(io.token, error),
        }
        self.core.registry.take_back(io, disarm);
        if !self.core.moves.is_empty() {
            self.settle();
        }
        if self.turn.is_watched {
            self.report(io);
        }
    }

    /// Fills and clears the places of those that came and went while a handler was running.
    fn settle(&mut self) {
        // One by one: a source may panic when it is dropped, and the others must not be lost.
        while let Some(place) = self.core.moves.pop_front() {
            match place {
                Move::In(index, bound) => {
                    if index >= self.handlers.len() {
                        self.handlers.resize_with(index + 1, || None);
                    }
                    self.handlers[index] = Some(bound);
                }
                Move::Out(index) => self.handlers[index] = None,
            }
        }
    }

    /// Ends a source because of an error.
    #[cold]
    fn fail(&mut self, token: Token, error: io::Error) {
        if !self.core.remove(token) {
            return;
        }
        self.core.counters.errors += 1;
        log::debug!(target: "tripoll", "{token:?} ended: {error}");
        let bound = self.handlers.get_mut(token.index() as usize).and_then(Option::take);
        if let Some(mut bound) = bound {
            bound.failed(token, &error, &mut self.context());
        }
        self.settle();
    }

    /// A handler, timer or job has panicked: if it was a handler, its source ends.
    #[cold]
    fn note_panic(&mut self, panic: &(dyn Any + Send)) {
        self.core.counters.panics += 1;
        let said = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        let message = format!("panicked: {said}");
        log::error!(target: "tripoll", "{message}");
        if let Some(token) = self.turn.running.take() {
            self.turn.failed.push((token, io::Error::other(message)));
        }
    }

    /// Tells whoever looks on about a call.
    #[cold]
    fn report(&mut self, io: &Io) {
        let outcome = self.core.registry.outcome(io.token);
        let dispatch = Dispatch {
            token: io.token,
            told: io.told,
            interest: io.wanted_before,
            operations: io.operations,
            bytes_read: io.bytes_read,
            bytes_written: io.bytes_written,
            spurious: io.spurious,
            cut_off: io.cut_off,
            outcome,
        };
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

impl<S> Drop for Reactor<S> {
    fn drop(&mut self) {
        self.core.shared.close();
    }
}

impl<S> fmt::Debug for Reactor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").field("registry", &self.core.registry).finish_non_exhaustive()
    }
}
