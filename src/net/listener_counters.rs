//! What a listener has done, readable while it accepts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sync::Counter;

/// Counts the connections of a [`Listener`](super::Listener), readable from any thread while it accepts:
/// see [`Listener::meter`](super::Listener::meter).
#[derive(Debug, Clone, Default)]
pub struct ListenerMeter {
    tally: Arc<Tally>,
}

/// What a [`Listener`](super::Listener) that is [served](super::Listener::serve) has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerCounters {
    /// Connections that are open.
    pub alive: usize,
    /// Connections that were accepted and passed on: to the closure, or to the pool.
    pub accepted: u64,
    /// Connections that were closed at once: by an error or a panic of the closure, or because the pool
    /// was [full](crate::pool::WhenFull::Shed).
    pub refused: u64,
    /// Connections that were closed at once, because the process had no descriptors or no memory for a
    /// second.
    pub shed: u64,
    /// How often accepting paused because of an error, such as a shortage of descriptors.
    pub pauses: u64,
    /// How often accepting paused because as many connections were open as
    /// [`max_connections`](super::ListenerBuilder::max_connections) allows, or because the pool was full.
    /// Those that came meanwhile have waited in the backlog.
    pub paused_at_limit: u64,
}

#[derive(Debug)]
struct Tally {
    alive: AtomicUsize,
    accepted: Counter,
    refused: Counter,
    shed: Counter,
    pauses: Counter,
    paused_at_limit: Counter,
}

impl Default for Tally {
    fn default() -> Self {
        Tally {
            alive: AtomicUsize::new(0),
            accepted: Counter::new(),
            refused: Counter::new(),
            shed: Counter::new(),
            pauses: Counter::new(),
            paused_at_limit: Counter::new(),
        }
    }
}

impl ListenerMeter {
    /// Returns the counters now.
    pub fn counters(&self) -> ListenerCounters {
        let Tally { alive, accepted, refused, shed, pauses, paused_at_limit } = &*self.tally;
        ListenerCounters {
            alive: alive.load(Ordering::Relaxed),
            accepted: accepted.get(),
            refused: refused.get(),
            shed: shed.get(),
            pauses: pauses.get(),
            paused_at_limit: paused_at_limit.get(),
        }
    }

    /// Counts a connection, as open until the result is dropped.
    pub(super) fn accept(&self) -> Alive {
        self.tally.accepted.add_one();
        self.tally.alive.fetch_add(1, Ordering::Relaxed);
        Alive(Arc::clone(&self.tally))
    }

    pub(super) fn note_refused(&self) {
        self.tally.refused.add_one();
    }

    pub(super) fn note_shed(&self, connections: usize) {
        for _ in 0..connections {
            self.tally.shed.add_one();
        }
    }

    pub(super) fn note_pause(&self) {
        self.tally.pauses.add_one();
    }

    pub(super) fn note_limit(&self) {
        self.tally.paused_at_limit.add_one();
    }
}

/// A connection that is open.
#[derive(Debug)]
pub(super) struct Alive(Arc<Tally>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::Relaxed);
    }
}
