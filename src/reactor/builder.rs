//! Choosing a reactor.

use std::io;

use super::{Budget, Probe, Reactor};
use crate::selector::{Backend, Events, Selector, Trigger};

/// Makes a [`Reactor`].
///
/// ```
/// use tripoll::{Backend, Reactor, Trigger};
///
/// let reactor = Reactor::builder().backend(Backend::Poll).trigger(Trigger::Edge).build()?;
/// assert_eq!(reactor.backend(), "poll");
/// assert_eq!(reactor.trigger(), Trigger::Edge);
/// assert_eq!(reactor.effective_trigger(), Trigger::Level); // poll has no edge to offer
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
    /// [`Reactor::effective_trigger`] says.
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

impl std::fmt::Debug for ReactorBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReactorBuilder")
            .field("backend", &self.backend)
            .field("selector", &self.selector)
            .field("trigger", &self.trigger)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
