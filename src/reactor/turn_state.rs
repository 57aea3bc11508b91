//! What a turn has still to do.

use std::collections::VecDeque;
use std::time::Instant;

use super::budget::Budget;
use super::handle::Job;
use super::io_state::IoState;
use super::timers::TimerId;
use crate::selector::{Events, Token};

/// What is still to be done in this turn. It is used up from the front, so that a panic in the
/// middle loses nothing but the one who panicked.
pub(super) struct TurnState<S> {
    pub(super) events: Events,
    pub(super) next_event: usize,
    /// Who was on the ready list when the turn began.
    pub(super) ready: Vec<Token>,
    pub(super) next_ready: usize,
    pub(super) expired: VecDeque<TimerId>,
    pub(super) jobs: std::vec::IntoIter<Job<S>>,
    /// What is lent to the handler that is called.
    pub(super) io: IoState,
    /// Whether a handler is running: the one whose `io` it is.
    pub(super) is_in_handler: bool,
    /// When the timer_source clock rang.
    pub(super) expired_at: Option<Instant>,
    /// Whether somebody has sent jobs.
    pub(super) has_new_jobs: bool,
    /// Whether the timer_source rang, or somebody has sent jobs, and not all of that is done.
    pub(super) has_internal_work: bool,
    /// Whether anybody looks on: a probe, or the log.
    pub(super) is_observed: bool,
}

/// The names of the reactor's own descriptors. No source has them: there are fewer descriptors.
pub(super) const WAKER: Token = Token::new(u32::MAX, 0);
pub(super) const TIMER: Token = Token::new(u32::MAX, 1);

impl<S> TurnState<S> {
    pub(super) fn new(events: Events, budget: Budget) -> Self {
        TurnState {
            events,
            next_event: 0,
            ready: Vec::new(),
            next_ready: 0,
            expired: VecDeque::new(),
            jobs: Vec::new().into_iter(),
            io: IoState::new(budget),
            is_in_handler: false,
            expired_at: None,
            has_new_jobs: false,
            has_internal_work: false,
            is_observed: false,
        }
    }

    /// Whether a turn broke off, by an error of the wait or a panic of a hook, and left somebody
    /// uncalled.
    pub(super) fn is_unfinished(&self) -> bool {
        self.next_event < self.events.len() || self.next_ready < self.ready.len()
    }
}
