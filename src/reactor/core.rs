//! The parts of a reactor that a running handler can reach.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::clock::Clock;
use super::context::Context;
use super::counters::Counters;
use super::handle::WakeState;
use super::handler::AnyHandler;
use super::id::Message;
use super::interval::Interval;
use super::registry::Registry;
use super::source_info::SourceInfo;
use super::timers::{Slot, Timers};
use crate::selector::Token;
use crate::sync::LogLimit;
use crate::sys;

/// The parts of a reactor that a running handler can reach.
pub(super) struct Core<S> {
    pub(super) clock: Clock,
    pub(super) registry: Registry,
    pub(super) timers: Timers<TimerAction<S>>,
    pub(super) wake_state: Arc<WakeState<S>>,
    /// Whether a turn must look at more than events: something was put into one of the fields below,
    /// timers expired, jobs were posted, a wait has failed, or there are hooks or a probe. An ordinary
    /// turn looks only at this flag.
    pub(super) attention: bool,
    /// What must wait until no handler runs.
    pub(super) deferred: VecDeque<Deferred<S>>,
    /// What is called at the end of the turn.
    pub(super) late_calls: VecDeque<LateCall<S>>,
    /// Messages for sources that cannot take them yet: see [`Context::hold`].
    pub(super) held: HashMap<Token, Vec<Message<S>>>,
    pub(super) is_shutting_down: bool,
    /// The sources whose `shutting_down` was not called yet.
    pub(super) shutdown_queue: VecDeque<Token>,
    /// The read buffer that all connections share.
    pub(super) scratch: Box<[u8]>,
    pub(super) counters: Counters,
    /// The error that the turn returns: see [`Context::fail`].
    pub(super) failure: Option<io::Error>,
    /// The pauses after changes of interest that were refused.
    refusals: Backoff,
    /// Whether a timer is set to try them again.
    pub(super) is_retry_set: bool,
}

/// The closure of a timer.
pub(super) type TimerJob<S> = Box<dyn FnOnce(&mut Context<'_, S>)>;

/// The closure of an interval.
pub(super) type IntervalJob<S> = Box<dyn FnMut(&mut Context<'_, S>)>;

/// What happens when a timer fires.
pub(super) enum TimerAction<S> {
    Job(TimerJob<S>),
    /// `None` while it runs.
    Interval(Option<Box<Interval<IntervalJob<S>>>>),
    /// Try the refused changes of interest again.
    RetryInterests,
}

/// What cannot be done while a handler runs, because the table of handlers is borrowed then.
pub(super) enum Deferred<S> {
    /// A source was added: store its handler, and call `added`.
    Add(Token, Box<dyn AnyHandler<S>>),
    /// A source was removed, perhaps because of an error: call `removed`, and drop its handler.
    Remove(Token, Option<io::Error>),
    /// A source was taken: call `removed`, drop its handler, and pass the source on.
    Take(Token, TakeJob<S>),
}

/// What is called at the end of a turn.
pub(super) enum LateCall<S> {
    /// The `notified` of a handler.
    Notified(Token),
    /// A closure, with a handler and its source.
    Told(Token, Message<S>),
    Job(TimerJob<S>),
}

/// The closure that receives a source which was taken.
pub(super) type TakeJob<S> = Box<dyn FnOnce(Box<dyn Any>, &mut Context<'_, S>)>;

impl<S> Core<S> {
    pub(super) fn new(registry: Registry, wake_state: WakeState<S>, clock: Clock) -> Self {
        Core {
            timers: Timers::new(clock.read()),
            clock,
            registry,
            wake_state: Arc::new(wake_state),
            attention: false,
            deferred: VecDeque::new(),
            late_calls: VecDeque::new(),
            held: HashMap::new(),
            is_shutting_down: false,
            shutdown_queue: VecDeque::new(),
            scratch: Box::default(),
            counters: Counters::default(),
            failure: None,
            refusals: Backoff::new(Duration::from_millis(10), Duration::from_secs(1)),
            is_retry_set: false,
        }
    }

    /// Returns the time of this turn.
    pub(super) fn now(&self) -> Instant {
        self.clock.now(self.counters.turns)
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
            static LINES: LogLimit = LogLimit::new();
            if let Some(left_out) = LINES.pass() {
                log::error!(
                    "an interest was refused and is tried again in {pause:?}: {error}{left_out}"
                );
            }
            self.timers.set(self.clock.read() + pause, TimerAction::RetryInterests);
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
        if !self.unregister(token) {
            return false;
        }
        if let Some(error) = &error {
            self.counters.errors += 1;
            log::debug!("{token:?} was removed: {error}");
        }
        self.defer(Deferred::Remove(token, error));
        true
    }

    /// Ends the watch of a source. Returns false if it was removed before.
    pub(super) fn unregister(&mut self, token: Token) -> bool {
        if self.registry.remove(token).is_none() {
            return false;
        }
        for slot in [Slot::User, Slot::Handler] {
            self.timers.set_deadline(token.index(), slot, None);
        }
        if !self.held.is_empty() {
            self.held.remove(&token);
        }
        true
    }

    pub(super) fn defer(&mut self, deferred: Deferred<S>) {
        self.attention = true;
        self.deferred.push_back(deferred);
    }

    pub(super) fn call_late(&mut self, call: LateCall<S>) {
        self.attention = true;
        self.late_calls.push_back(call);
    }

    /// Sets a deadline of a source. Returns false if the source was removed.
    pub(super) fn set_deadline(&mut self, token: Token, slot: Slot, at: Option<Instant>) -> bool {
        let is_there = self.registry.get(token).is_some();
        if is_there {
            self.timers.set_deadline(token.index(), slot, at);
        }
        is_there
    }

    /// Returns what can be seen of all sources.
    pub(super) fn sources(&self) -> impl Iterator<Item = SourceInfo> {
        self.registry.sources().map(|source| {
            let deadline = self.timers.deadline(source.token.index(), Slot::User);
            SourceInfo { deadline, ..source }
        })
    }

    pub(super) fn counters(&self) -> Counters {
        let kernel = self.registry.selector_counters();
        let (wakes, wakes_saved) = self.wake_state.wakes();
        Counters {
            waits: kernel.waits,
            controls: kernel.controls,
            controls_saved: self.registry.controls_saved(),
            repairs: kernel.repairs,
            switches: self.counters.switches + kernel.switches,
            parked: self.registry.parked(),
            wakes,
            wakes_saved,
            ..self.counters
        }
    }
}

impl<S> Drop for Core<S> {
    fn drop(&mut self) {
        self.wake_state.close();
    }
}
