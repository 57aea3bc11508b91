//! The reactor's face: what it owns, and what can be done with it from outside.

use std::os::fd::AsFd;
use std::time::Instant;
use std::{fmt, io};

use super::budget::Budget;
use super::context::{Context, Core};
use super::handle::{ReactorHandle, WakeState};
use super::handler::AnyHandler;
use super::probe::Probe;
use super::registry::Registry;
use super::sources::timer_source::TimerSource;
use super::turn_state::{TIMER, TurnState, WAKER};
use crate::selector::{Backend, Deadline, Events, Selector, Trigger};

/// Owns sources, waits for them, and calls their handlers.
///
/// `S` is what the handlers share. See the [module](super) for the contract, and
/// [`Reactor::builder`] for the choices.
pub struct Reactor<S = ()> {
    // Dropped in this order: the selector before the sources, so that nothing is closed while
    // the kernel watches it.
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
    /// A reactor on the [default backend](Backend::default), by level, whose handlers share nothing.
    ///
    /// # Errors
    ///
    /// As [`ReactorBuilder::build`].
    pub fn new() -> io::Result<Self> {
        Reactor::builder().build()
    }

    /// A reactor of one's own choice, with a state of one's own.
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
        // Made before any source, so that their descriptors are low: `select` pays for the highest.
        let (timer_source, wake_state) = (TimerSource::new()?, WakeState::new()?);
        let mut registry = Registry::new(selector, builder.trigger)?;
        registry.add_own(wake_state.waker().as_fd(), WAKER)?;
        registry.add_own(timer_source.as_fd(), TIMER)?;
        Ok(Reactor {
            core: Core::new(registry, wake_state),
            handlers: Vec::new(),
            state,
            timer_source,
            before_wait: Vec::new(),
            after_wait: Vec::new(),
            probe: builder.probe,
            turn_state: TurnState::new(builder.events, builder.budget),
        })
    }

    /// All that a handler can do to the reactor, between turns: add sources, set timers, switch the
    /// backend, read the counters.
    pub fn context(&mut self) -> Context<'_, S> {
        Context { core: &mut self.core, state: &mut self.state }
    }

    /// What the handlers share.
    pub fn state(&mut self) -> &mut S {
        &mut self.state
    }

    /// Reaches this reactor from other threads.
    pub fn handle(&self) -> ReactorHandle<S> {
        ReactorHandle::new(&self.core.wake_state)
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

    /// When the next timer or deadline is due, at the earliest.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.core.timers.next()
    }

    /// Turns until [stopped](ReactorHandle::stop).
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

/// Makes a [`Reactor`].
///
/// ```
/// use tripoll::{Backend, Reactor, Trigger};
///
/// let mut reactor = Reactor::builder().backend(Backend::Poll).trigger(Trigger::Edge).build()?;
/// assert_eq!(reactor.context().backend(), "poll");
/// assert_eq!(reactor.context().trigger(), Trigger::Edge);
/// assert_eq!(reactor.context().effective_trigger(), Trigger::Level); // poll has no edge to offer
/// # std::io::Result::Ok(())
/// ```
#[derive(Default)]
#[must_use = "it makes nothing before `build`"]
pub struct ReactorBuilder {
    backend: Backend,
    selector: Option<Box<dyn Selector>>,
    pub(super) trigger: Trigger,
    pub(super) budget: Budget,
    pub(super) events: Events,
    pub(super) probe: Option<Box<dyn Probe>>,
}

impl ReactorBuilder {
    /// Which kernel call is asked; [`Backend::default`] if not said.
    pub fn backend(mut self, backend: Backend) -> Self {
        (self.backend, self.selector) = (backend, None);
        self
    }

    /// Which selector is asked: one with settings of its own, or one from outside this crate.
    pub fn selector(mut self, selector: impl Selector + 'static) -> Self {
        self.selector = Some(Box::new(selector));
        self
    }

    /// How the kernel is asked to tell; level if not said. Every trigger is accepted with every
    /// backend. Where the kernel's call lacks it, it is asked in the nearest way, which
    /// [`Context::effective_trigger`] says.
    pub fn trigger(mut self, trigger: Trigger) -> Self {
        self.trigger = trigger;
        self
    }

    /// How much one call of a handler may do.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// How many events there is room for to begin with, see [`Events::with_capacity`].
    pub fn events_capacity(mut self, capacity: usize) -> Self {
        self.events = Events::with_capacity(capacity);
        self
    }

    /// Who looks on.
    pub fn probe(mut self, probe: impl Probe + 'static) -> Self {
        self.probe = Some(Box::new(probe));
        self
    }

    /// A reactor whose handlers share nothing.
    ///
    /// # Errors
    ///
    /// When the process is out of descriptors: a reactor needs one for its timer_source clock, one for its
    /// waker, and one for its selector on epoll and mio.
    pub fn build(self) -> io::Result<Reactor> {
        self.build_with(())
    }

    /// A reactor whose handlers share `state`.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_with<S: 'static>(mut self, state: S) -> io::Result<Reactor<S>> {
        let selector = match self.selector.take() {
            Some(selector) => selector,
            None => self.backend.selector()?,
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

impl<S> Drop for Reactor<S> {
    fn drop(&mut self) {
        self.core.wake_state.close();
    }
}

impl<S> fmt::Debug for Reactor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").field("registry", &self.core.registry).finish_non_exhaustive()
    }
}
