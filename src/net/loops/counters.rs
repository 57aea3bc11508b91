//! What several loops have done, readable while they run.

use crate::sync::Counter;

/// What one loop of [`Loops`](super::Loops) does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoopState {
    /// It takes new connections.
    #[default]
    Running,
    /// It takes no more, and serves those that it has.
    Draining,
    /// Its thread has ended.
    Ended,
}

/// Counts the connections of one loop, or of the thread that accepts for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoopCounters {
    /// What the loop does.
    pub state: LoopState,
    /// Connections that are open, those that are handed to the loop and not taken yet included. Zero
    /// for the thread that accepts for all: its connections belong to the loops.
    pub alive: usize,
    /// Connections that the loop has begun to serve. For the thread that accepts for all: those that
    /// it has accepted for the loops.
    pub accepted: u64,
    /// Connections that were closed at once, because their peer had as many as
    /// [`max_connections_per_peer`](super::LoopsBuilder::max_connections_per_peer) allows.
    pub refused_per_peer: u64,
    /// How often accepting paused, because as many connections were open as
    /// [`max_connections`](super::LoopsBuilder::max_connections) allows. Those that came meanwhile have
    /// waited in the backlog.
    pub paused_at_limit: u64,
}

/// Counts the connections of all loops of [`Loops`](super::Loops).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoopsCounters {
    /// One entry for each loop, in their order.
    pub loops: Vec<LoopCounters>,
    /// The thread that accepts for all, if there is one.
    pub acceptor: Option<LoopCounters>,
    /// Connections that were accepted and closed without having been served, because no loop was left
    /// that takes connections.
    pub closed_unserved: u64,
}

impl LoopsCounters {
    /// Returns the number of open connections of all loops.
    pub fn alive(&self) -> usize {
        self.loops.iter().map(|counters| counters.alive).sum()
    }

    /// Returns the number of connections that all loops have begun to serve.
    pub fn accepted(&self) -> u64 {
        self.loops.iter().map(|counters| counters.accepted).sum()
    }

    /// Returns the number of connections that were refused because of their peer.
    pub fn refused_per_peer(&self) -> u64 {
        self.loops.iter().chain(&self.acceptor).map(|counters| counters.refused_per_peer).sum()
    }

    /// Returns how often accepting paused at the limit of all connections.
    pub fn paused_at_limit(&self) -> u64 {
        self.loops.iter().chain(&self.acceptor).map(|counters| counters.paused_at_limit).sum()
    }
}

/// The counts of one thread that accepts or serves.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) accepted: Counter,
    pub(super) refused_per_peer: Counter,
    pub(super) paused_at_limit: Counter,
}

impl Tally {
    pub(super) fn new() -> Self {
        Tally {
            accepted: Counter::new(),
            refused_per_peer: Counter::new(),
            paused_at_limit: Counter::new(),
        }
    }

    pub(super) fn counters(&self, state: LoopState, alive: usize) -> LoopCounters {
        LoopCounters {
            state,
            alive,
            accepted: self.accepted.get(),
            refused_per_peer: self.refused_per_peer.get(),
            paused_at_limit: self.paused_at_limit.get(),
        }
    }
}
