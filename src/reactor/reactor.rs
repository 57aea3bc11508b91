//! The reactor's face: what it owns, and what can be done with it from outside.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use super::context::Core;
use super::handle::WakeState;
use super::handler::{AnyHandler, Handler};
use super::probe::Probe;
use super::registry::Registry;
use super::timer_source::TimerSource;
use super::turn_state::{TIMER, TurnState, WAKER};
use super::{AddError, Context, Counters, ReactorBuilder, ReactorHandle};
use crate::selector::{Backend, Deadline, Interest, Selector, Token, Trigger};

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
