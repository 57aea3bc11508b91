//! A point of the plan: how many descriptors are watched, how many are ready, and what is done.

use serde::{Deserialize, Serialize};

use crate::workload::{Kind, Workload};

/// A point of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "workload", rename_all = "lowercase")]
pub enum Point {
    /// [`Workload::Watch`] over `n` pipes.
    Watch {
        /// The number of pipes that are watched.
        n: usize,
        /// What stands in the place of the pipes.
        #[serde(default)]
        kind: Kind,
    },
    /// [`Workload::Ring`] over `n` pipes.
    Ring {
        /// The number of pipes that are watched.
        n: usize,
        /// The number of pipes that are ready at any time.
        active: usize,
        /// How often each event changes the interest of its descriptor.
        changes: u8,
        /// What stands in the place of the pipes.
        #[serde(default)]
        kind: Kind,
    },
    /// [`Workload::Sleep`] over `n` pipes.
    Sleep {
        /// The number of pipes that are watched.
        n: usize,
        /// What stands in the place of the pipes.
        #[serde(default)]
        kind: Kind,
    },
}

impl Point {
    /// Returns the number of pipes that are watched.
    pub fn n(self) -> usize {
        match self {
            Point::Watch { n, .. } | Point::Ring { n, .. } | Point::Sleep { n, .. } => n,
        }
    }

    /// Returns the number of pipes that are ready in each wait.
    pub fn ready(self) -> usize {
        match self {
            Point::Watch { .. } | Point::Sleep { .. } => 1,
            Point::Ring { active, .. } => active,
        }
    }

    /// Returns what is watched.
    pub fn kind(self) -> Kind {
        match self {
            Point::Watch { kind, .. } | Point::Ring { kind, .. } | Point::Sleep { kind, .. } => {
                kind
            }
        }
    }

    /// Returns what its waits and its handlers do. The watch table has a table of its own.
    pub fn style(self) -> Option<Style> {
        match self {
            Point::Watch { .. } => None,
            Point::Ring { changes, kind, .. } => Some(Style { changes, sleeps: false, kind }),
            Point::Sleep { kind, .. } => Some(Style { changes: 0, sleeps: true, kind }),
        }
    }

    /// Returns the same point on descriptors of another kind.
    pub(super) fn on(mut self, of: Kind) -> Point {
        match &mut self {
            Point::Watch { kind, .. } | Point::Ring { kind, .. } | Point::Sleep { kind, .. } => {
                *kind = of;
            }
        }
        self
    }

    /// Returns the workload at this point with about `events` events.
    ///
    /// It has at least 16 events, and whole batches: a wait costs the same whether its last events
    /// are used or not.
    pub fn workload(self, events: u64) -> Workload {
        let events = events.max(16);
        match self {
            Point::Watch { n, .. } => Workload::Watch { n, operations: events },
            Point::Sleep { n, .. } => Workload::Sleep { n, operations: events },
            Point::Ring { n, active, changes, .. } => {
                let writes = events.next_multiple_of(active as u64);
                Workload::Ring { n, active, writes, changes }
            }
        }
    }
}

/// What the waits and the handlers of a load do, and on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Style {
    /// How often each event changes the interest of its descriptor.
    pub changes: u8,
    /// Whether each wait begins before a descriptor is ready, and sleeps. Then one is ready.
    pub sleeps: bool,
    /// What is watched.
    pub kind: Kind,
}

impl Style {
    pub(super) fn point(self, n: usize, active: usize) -> Point {
        let Style { changes, sleeps, kind } = self;
        match sleeps {
            true => Point::Sleep { n, kind },
            false => Point::Ring { n, active, changes, kind },
        }
    }
}

/// How many of the watched descriptors are ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Active {
    /// So many.
    Count(usize),
    /// So many of a thousand.
    PerMille(usize),
}

impl Active {
    /// Returns how many of `n` are ready: at least one, and at most all.
    pub fn of(self, n: usize) -> usize {
        match self {
            Active::Count(count) => count.clamp(1, n),
            Active::PerMille(share) => (n * share / 1_000).max(1),
        }
    }
}
