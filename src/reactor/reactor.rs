//! The reactor and its builder.

use std::os::fd::AsFd;
use std::time::Instant;
use std::{fmt, io};

use super::budget::Budget;
use super::clock::{Clock, ManualClock};
use super::context::Context;
use super::core::Core;
use super::handle::{ReactorHandle, WakeState};
use super::handler::AnyHandler;
use super::probe::Probe;
use super::registry::Registry;
use super::sources::timer_source::TimerSource;
use super::turn_state::{TIMER, TurnState, WAKER};
use crate::selector::{Backend, Deadline, Events, Selector, Trigger};
use crate::sys;

/// An event loop: owns sources, waits for their events, and calls their handlers.
///
/// `S` is the state that the handlers share. The [module's page](super) has the contract and the
/// phases of a turn. [`Reactor::builder`] has the options.
///
/// ```
/// use std::io::{self, PipeReader, Read, Write};
/// use tripoll::{Context, Interest, Next, Reactor, Source};
///
/// fn read(pipe: &mut Source<PipeReader>, cx: &mut Context<'_, Vec<u8>>) -> io::Result<Next> {
///     let mut buffer = [0; 64];
///     match pipe.read(&mut buffer)? {
///         0 => {
///             cx.stop();
///             Ok(Next::Remove)
///         }
///         n => {
///             cx.state.extend_from_slice(&buffer[..n]);
///             Ok(Next::Keep)
///         }
///     }
/// }
///
/// let mut reactor = Reactor::builder().build_with(Vec::new())?;
/// let (reader, mut writer) = io::pipe()?;
/// reactor.context().add(reader, Interest::READ, read)?;
/// writer.write_all(b"hello")?;
/// drop(writer);
/// reactor.run()?;
/// assert_eq!(reactor.state(), b"hello");
/// # io::Result::Ok(())
/// ```
#[doc(alias = "event loop")]
pub struct Reactor<S = ()> {
    // Dropped in this order: the selector before the sources, so that no source is closed while the
    // kernel watches it.
    pub(super) core: Core<S>,
    pub(super) handlers: Vec<Option<Box<dyn AnyHandler<S>>>>,
    pub(super) state: S,
    pub(super) timer_source: TimerSource,
    pub(super) before_wait: Vec<Hook<S>>,
    pub(super) after_wait: Vec<Hook<S>>,
    pub(super) probe: Option<Box<dyn Probe>>,
    pub(super) turn_state: TurnState<S>,
}

pub(super) type Hook<S> = Box<dyn FnMut(&mut Context<'_, S>)>;

impl Reactor {
    /// Returns a level-triggered reactor on the [default backend](Backend::default), without shared
    /// state.
    ///
    /// # Errors
    ///
    /// As [`ReactorBuilder::build`].
    pub fn new() -> io::Result<Self> {
        Reactor::builder().build()
    }

    /// Returns a builder, which sets the backend, the trigger and other options.
    pub fn builder() -> ReactorBuilder {
        ReactorBuilder::default()
    }
}

impl<S: 'static> Reactor<S> {
    pub(super) fn assemble(
        builder: ReactorBuilder,
        selector: Box<dyn Selector>,
        state: S,
    ) -> io::Result<Self> {
        // Created before any source, so that their numbers are low: `select` pays for the highest.
        let context =
            |what| move |error| sys::with_context(format!("a reactor needs {what}"), error);
        let timer_source = TimerSource::new().map_err(context("a timer descriptor"))?;
        let wake_state = WakeState::new().map_err(context("a waker"))?;
        let mut registry = Registry::new(selector, builder.trigger)?;
        registry.add_own(wake_state.waker().as_fd(), WAKER)?;
        registry.add_own(timer_source.as_fd(), TIMER)?;
        let mut core = Core::new(registry, wake_state, Clock::new(builder.clock));
        core.attention = builder.probe.is_some();
        Ok(Reactor {
            core,
            handlers: Vec::new(),
            state,
            timer_source,
            before_wait: Vec::new(),
            after_wait: Vec::new(),
            probe: builder.probe,
            turn_state: TurnState::new(builder.events, builder.budget),
        })
    }

    /// Returns the context, between turns: it adds sources, sets timers, switches the backend and
    /// reads the counters.
    pub fn context(&mut self) -> Context<'_, S> {
        self.core.clock.forget();
        self.cx()
    }

    /// As [`context`](Self::context), within a turn.
    #[inline]
    pub(super) fn cx(&mut self) -> Context<'_, S> {
        Context { core: &mut self.core, state: &mut self.state }
    }

    /// Returns the state that the handlers share.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// Returns the state that the handlers share, to change it between turns.
    pub fn state_mut(&mut self) -> &mut S {
        &mut self.state
    }

    /// Returns the state. Drops the reactor with all its sources.
    pub fn into_state(self) -> S {
        self.state
    }

    /// Returns a handle to this reactor, for other threads.
    pub fn handle(&self) -> ReactorHandle<S> {
        ReactorHandle::new(&self.core.wake_state)
    }

    /// Adds a hook that is called in every turn before the wait, for example to write out what a turn
    /// has gathered. Hooks are called in the order in which they were added. A panic of a hook is a
    /// panic of the turn.
    pub fn before_wait(&mut self, hook: impl FnMut(&mut Context<'_, S>) + 'static) {
        self.before_wait.push(Box::new(hook));
        self.core.attention = true;
    }

    /// Adds a hook that is called in every turn after the wait, before the first handler.
    pub fn after_wait(&mut self, hook: impl FnMut(&mut Context<'_, S>) + 'static) {
        self.after_wait.push(Box::new(hook));
        self.core.attention = true;
    }

    /// Returns when the next timer or deadline is due, at the earliest, by the reactor's
    /// [clock](ReactorBuilder::clock).
    pub fn next_deadline(&self) -> Option<Instant> {
        self.core.timers.next()
    }

    /// Makes the reactor usable in a forked child. It keeps its sources, timers, posted jobs and
    /// settings, and gets a selector, a timer and a waker of its own.
    ///
    /// Parent and child share the open files of the reactor: the epoll instance, the timer and the
    /// waker. A child that removed a source would make its parent deaf to it. So in the child
    /// [`turn`](Self::turn), [`run`](Self::run), [`prepare_poll`](Self::prepare_poll),
    /// [`Context::add`] and [`Context::switch_to`] return an error until this method is called, and
    /// removing a source does not touch what the kernel watches. A child that does not use the
    /// reactor may drop it, and need not call anything.
    ///
    /// Fork between turns, and while no other thread uses a [handle](Self::handle). The sources
    /// themselves are shared, as `fork(2)` says: what one process reads, the other does not. A fork by
    /// a bare `clone(2)` is not noticed. In a process that is no forked child, this method does
    /// nothing.
    ///
    /// The new selector is one of the same backend, with its defaults. For a selector of your own,
    /// or one with settings: [`reinit_with`](Self::reinit_with).
    ///
    /// # Errors
    ///
    /// Fails when the process has no free descriptors, when the selector is not one of a [`Backend`],
    /// and as [`Context::switch_to`]. Then it can be called again.
    pub fn reinit(&mut self) -> io::Result<()> {
        let name = self.core.registry.selector().name();
        let backend: Backend =
            name.parse().map_err(|error| io::Error::new(io::ErrorKind::Unsupported, error))?;
        self.reinit_with(backend.selector()?)
    }

    /// As [`reinit`](Self::reinit), with a selector that has settings or comes from outside this
    /// crate. It must be new: nothing may be added to it.
    ///
    /// # Errors
    ///
    /// As [`reinit`](Self::reinit).
    pub fn reinit_with(&mut self, selector: Box<dyn Selector>) -> io::Result<()> {
        if !self.core.registry.is_inherited() {
            return Ok(());
        }
        self.core.wake_state.renew()?;
        self.timer_source.renew()?;
        self.core.registry.reinit(selector)
    }

    /// Runs turns until the loop is [stopped](ReactorHandle::stop). It does not end by itself when the last
    /// source is removed: a handle may still post something. A program that ends then calls
    /// [`Context::stop`], or [`Context::shutdown`], which stops the loop after its last source.
    ///
    /// # Errors
    ///
    /// As [`turn`](Self::turn).
    pub fn run(&mut self) -> io::Result<()> {
        while !self.core.wake_state.is_stopped() {
            self.turn(Deadline::Never)?;
        }
        Ok(())
    }
}

/// Builds a [`Reactor`].
///
/// ```
/// use tripoll::{Backend, Reactor, Trigger};
///
/// let mut reactor = Reactor::builder().backend(Backend::Poll).trigger(Trigger::Edge).build()?;
/// assert_eq!(reactor.context().backend(), "poll");
/// assert_eq!(reactor.context().trigger(), Trigger::Edge);
/// assert_eq!(reactor.context().effective_trigger(), Trigger::Level); // poll has no edge trigger
/// # std::io::Result::Ok(())
/// ```
#[derive(Default)]
#[must_use = "nothing is built before `build`"]
pub struct ReactorBuilder {
    backend: Backend,
    selector: Option<Box<dyn Selector>>,
    pub(super) trigger: Trigger,
    pub(super) budget: Budget,
    pub(super) events: Events,
    pub(super) probe: Option<Box<dyn Probe>>,
    pub(super) clock: Option<ManualClock>,
}

impl ReactorBuilder {
    /// Sets the backend. Default: [`Backend::default`].
    pub fn backend(mut self, backend: Backend) -> Self {
        (self.backend, self.selector) = (backend, None);
        self
    }

    /// Sets the selector, instead of a backend: one with settings, or one from outside this crate.
    pub fn selector(mut self, selector: impl Selector + 'static) -> Self {
        self.selector = Some(Box::new(selector));
        self
    }

    /// Sets the trigger: how the kernel reports events. Default: level.
    ///
    /// Every trigger is accepted with every backend. Where the backend lacks it, the nearest one is
    /// used: see [`Context::effective_trigger`].
    pub fn trigger(mut self, trigger: Trigger) -> Self {
        self.trigger = trigger;
        self
    }

    /// Sets the budget of one call of a handler. Default: [`Budget::default`].
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Sets the initial capacity of the event buffer: see [`Events::with_capacity`]. Default: 64.
    pub fn events_capacity(mut self, capacity: usize) -> Self {
        self.events = Events::with_capacity(capacity);
        self
    }

    /// Sets the probe, which observes each turn. Default: none.
    pub fn probe(mut self, probe: impl Probe + 'static) -> Self {
        self.probe = Some(Box::new(probe));
        self
    }

    /// Sets a clock for tests, instead of the system's monotonic clock. All times of the reactor are
    /// its times, except the deadline of [`Reactor::turn`], the pause after a wait that failed, and
    /// those of the log. Default: the system's, which is [`Instant::now`].
    pub fn clock(mut self, clock: ManualClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Builds a reactor without shared state.
    ///
    /// # Errors
    ///
    /// Fails when the process has no free descriptors. A reactor needs one for its timers, one for its
    /// waker, and, on epoll and mio, one for its selector.
    pub fn build(self) -> io::Result<Reactor> {
        self.build_with(())
    }

    /// Builds a reactor whose handlers share `state`.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_with<S: 'static>(mut self, state: S) -> io::Result<Reactor<S>> {
        let selector = match self.selector.take() {
            Some(selector) => selector,
            None => self.backend.selector().map_err(|error| {
                sys::with_context(format!("a reactor needs a selector of {}", self.backend), error)
            })?,
        };
        Reactor::assemble(self, selector, state)
    }
}

impl fmt::Debug for ReactorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReactorBuilder")
            .field("backend", &self.backend)
            .field("selector", &self.selector)
            .field("trigger", &self.trigger)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Reactor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").field("registry", &self.core.registry).finish_non_exhaustive()
    }
}
