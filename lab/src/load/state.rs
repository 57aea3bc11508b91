//! What the connections of a load share.

use tripoll::Token;

use super::options::Load;
use super::schedule::Schedule;
use super::tally::{Tally, UnderWay};

/// What the connections share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) load: Load,
    pub(super) request: Vec<u8>,
    /// When requests are due, from the time on at which all connections are open.
    pub(super) schedule: Option<Schedule>,
    /// The number of the request that becomes due next.
    pub(super) next: u64,
    pub(super) slots: Vec<Slot>,
    /// How many connections have been begun, and how many have been open.
    pub(super) begun: usize,
    pub(super) opened: usize,
    pub(super) tally: Tally,
    /// Whether all is done: what is closed now is no error.
    pub(super) is_over: bool,
}

/// A connection, which is made again when it is lost.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) token: Option<Token>,
    pub(super) was_open: bool,
    /// How many requests have become due on it.
    pub(super) due: u64,
    /// How many of them were sent.
    pub(super) sent: u64,
    /// The request under way.
    pub(super) under_way: Option<UnderWay>,
}

/// The progress of a load.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The number of connections that are open.
    pub connected: usize,
    /// The number of requests that have become due.
    pub due: u64,
    /// The number of requests in all.
    pub requests: u64,
    /// The number of right answers.
    pub answered: u64,
    /// The number of requests without a right answer.
    pub errors: u64,
}

impl State {
    pub(super) fn new(load: Load) -> Self {
        let request = load.ask.request();
        let slots = (0..load.connections).map(|_| Slot::default()).collect();
        State {
            load,
            request,
            schedule: None,
            next: 0,
            slots,
            begun: 0,
            opened: 0,
            tally: Tally::default(),
            is_over: false,
        }
    }

    /// Returns how far it is.
    pub(super) fn progress(&self) -> Progress {
        Progress {
            connected: self.opened,
            due: self.next,
            requests: self.schedule.map_or(0, |schedule| schedule.requests),
            answered: self.tally.right,
            errors: self.tally.errors.requests(),
        }
    }
}
