//! What a turn has still to do.

use std::collections::VecDeque;
use std::time::Instant;

use super::handle::Job;
use super::io_state::Io;
use super::{Budget, TimerId};
use crate::selector::{Events, Token};

/// What is still to be done in this turn. It is used up from the front, so that a panic in the
/// middle loses nothing but the one who panicked.
pub(super) struct Agenda<S> {
    pub(super) events: Events,
    pub(super) next_event: usize,
    /// Who was on the ready list when the turn began.
    pub(super) ready: Vec<Token>,
    pub(super) next_ready: usize,
    pub(super) due: VecDeque<TimerId>,
    pub(super) jobs: std::vec::IntoIter<Job<S>>,
    /// What is lent to the handler that is called.
    pub(super) io: Io,
    /// Whether a handler is running: the one whose `io` it is.
    pub(super) is_in_handler: bool,
    /// When the alarm clock rang.
    pub(super) rung: Option<Instant>,
    /// Whether somebody has sent jobs.
    pub(super) is_notified: bool,
    /// Whether the alarm rang, or somebody has sent jobs, and not all of that is done.
    pub(super) has_own_work: bool,
    /// Whether anybody looks on: a probe, or the log.
    pub(super) is_watched: bool,
}

/// The names of the reactor's own descriptors. No source has them: there are fewer descriptors.
pub(super) const BELL: Token = Token::new(u32::MAX, 0);
pub(super) const ALARM: Token = Token::new(u32::MAX, 1);

impl<S> Agenda<S> {
    pub(super) fn new(events: Events, budget: Budget) -> Self {
        Agenda {
            events,
            next_event: 0,
            ready: Vec::new(),
            next_ready: 0,
            due: VecDeque::new(),
            jobs: Vec::new().into_iter(),
            io: Io::new(budget),
            is_in_handler: false,
            rung: None,
            is_notified: false,
            has_own_work: false,
            is_watched: false,
        }
    }

    /// Whether a turn broke off, by an error of the wait or a panic of a hook, and left somebody
    /// uncalled.
    pub(super) fn is_unfinished(&self) -> bool {
        self.next_event < self.events.len() || self.next_ready < self.ready.len()
    }
}
