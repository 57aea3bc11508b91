//! What is left to do in the current turn.

use std::collections::VecDeque;
use std::time::Instant;

use super::budget::Budget;
use super::core::IntervalJob;
use super::failed_waits::FailedWaits;
use super::handle::Job;
use super::interval::Interval;
use super::io_state::IoState;
use super::timers::TimerId;
use crate::selector::{Events, Token};

/// What is left to do in the current turn. Each list is consumed from its front, so that a panic
/// loses nothing but the call that panicked.
pub(super) struct TurnState<S> {
    pub(super) events: Events,
    pub(super) next_event: usize,
    /// The ready list as it was when the turn began.
    pub(super) ready: Vec<Token>,
    pub(super) next_ready: usize,
    /// The interval whose job is running.
    pub(super) interval: Option<(TimerId, Box<Interval<IntervalJob<S>>>)>,
    pub(super) jobs: VecDeque<Job<S>>,
    /// The number of sources whose `shutting_down` is called in this turn.
    pub(super) shutdown_due: usize,
    /// The state of the current call.
    pub(super) io: IoState,
    /// Whether a handler is running: that of `io.token`.
    pub(super) is_in_handler: bool,
    /// The waits that failed.
    pub(super) waits: FailedWaits,
    /// Whether the timer descriptor could not be set before the wait.
    pub(super) is_timer_unset: bool,
    /// When the timer descriptor was seen readable.
    pub(super) expired_at: Option<Instant>,
    /// Whether jobs were posted.
    pub(super) has_new_jobs: bool,
    /// When the current call began, if the probe asks how long it takes.
    pub(super) call_began: Option<Instant>,
    /// Whether calls are reported to a probe or to the log.
    pub(super) is_observed: bool,
}

/// The tokens of the reactor's own descriptors. No source can have them: there are never so many
/// descriptors.
pub(super) const WAKER: Token = Token::new(u32::MAX, 0);
pub(super) const TIMER: Token = Token::new(u32::MAX, 1);
pub(super) const PARKING: Token = Token::new(u32::MAX, 2);

impl<S> TurnState<S> {
    pub(super) fn new(events: Events, budget: Budget) -> Self {
        TurnState {
            events,
            next_event: 0,
            ready: Vec::new(),
            next_ready: 0,
            interval: None,
            jobs: VecDeque::new(),
            shutdown_due: 0,
            io: IoState::new(budget),
            is_in_handler: false,
            waits: FailedWaits::new(),
            is_timer_unset: false,
            expired_at: None,
            has_new_jobs: false,
            call_began: None,
            is_observed: false,
        }
    }

    /// Returns whether the last turn was interrupted, by an error of the wait or a panic of a hook,
    /// and left events unhandled.
    pub(super) fn is_unfinished(&self) -> bool {
        self.next_event < self.events.len() || self.next_ready < self.ready.len()
    }
}
