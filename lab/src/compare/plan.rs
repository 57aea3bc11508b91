//! What is measured, and how often.

use std::iter;
use std::time::Duration;

use serde::Serialize;
use tripoll::{Backend, Trigger};

use crate::workload::{Contender, Layer, Workload};

/// A kernel call, asked in one way: what the user chooses between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Call {
    /// Which call.
    pub backend: Backend,
    /// Asked how.
    pub trigger: Trigger,
}

impl Call {
    /// `select(2)`.
    pub const SELECT: Call = Call { backend: Backend::Select, trigger: Trigger::Level };
    /// `poll(2)`.
    pub const POLL: Call = Call { backend: Backend::Poll, trigger: Trigger::Level };
    /// `epoll(7)`, told for as long as something is ready.
    pub const EPOLL_LEVEL: Call = Call { backend: Backend::Epoll, trigger: Trigger::Level };
    /// `epoll(7)`, told of each change.
    pub const EPOLL_EDGE: Call = Call { backend: Backend::Epoll, trigger: Trigger::Edge };

    /// All that are compared.
    pub const ALL: [Call; 4] = [Call::SELECT, Call::POLL, Call::EPOLL_LEVEL, Call::EPOLL_EDGE];

    /// Its name in the tables.
    pub fn name(self) -> String {
        match self.backend {
            Backend::Epoll => format!("epoll {}", self.trigger),
            backend => backend.to_string(),
        }
    }

    /// Its bare loops.
    pub fn raw_layers(self) -> &'static [Layer] {
        match self.backend {
            Backend::Select | Backend::Poll => &[Layer::Raw, Layer::RawZero],
            _ => &[Layer::Raw],
        }
    }

    /// This call through `layer`.
    pub fn contender(self, layer: Layer) -> Contender {
        Contender { layer, backend: self.backend, trigger: self.trigger }
    }
}

/// A place in the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "workload", rename_all = "lowercase")]
pub enum Point {
    /// [`Workload::Watch`] over `n` pipes.
    Watch {
        /// Pipes watched.
        n: usize,
    },
    /// [`Workload::Ring`] over `n` pipes.
    Ring {
        /// Pipes watched.
        n: usize,
        /// Pipes ready at any time.
        active: usize,
    },
}

impl Point {
    /// How many pipes are watched.
    pub fn n(self) -> usize {
        match self {
            Point::Watch { n } | Point::Ring { n, .. } => n,
        }
    }

    /// The work at this point with about `events` events: enough to mean something, and whole
    /// batches, because a wait costs the same whether its last events are used or not.
    pub fn workload(self, events: u64) -> Workload {
        let events = events.max(16);
        match self {
            Point::Watch { n } => Workload::Watch { n, operations: events },
            Point::Ring { n, active } => {
                Workload::Ring { n, active, writes: events.next_multiple_of(active as u64) }
            }
        }
    }
}

/// What could not be measured here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// So many pipes were wanted.
    pub n: usize,
    /// They need so many descriptors.
    pub descriptors: usize,
}

/// What is measured, and how often.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which layer is ours: the one that stands beside the bare loops.
    pub layer: Layer,
    /// How often the whole plan is gone round, at least once.
    pub rounds: usize,
    /// How long each contender is measured at each point in each round.
    pub sample_time: Duration,
    /// Where. Sorted, and each once.
    pub points: Vec<Point>,
    /// How many pipes are watched on the line of shares.
    pub share_n: usize,
    /// What would have been measured too if there were more descriptors.
    pub left_out: Vec<LeftOut>,
}

/// The line on which one pipe is ready.
const ONE_READY: [usize; 12] = [1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256];
/// The line on which 1,000 are watched: how many in a thousand are ready.
const SHARES_PER_MILLE: [usize; 11] = [1, 10, 50, 100, 200, 250, 300, 400, 500, 750, 1_000];
/// How many pipes are watched in the watch table and in the grid.
const PIPE_COUNTS: [usize; 4] = [10, 100, 1_000, 10_000];
/// How many in a thousand are ready in the grid, beside a single one.
const GRID_PER_MILLE: [usize; 3] = [100, 500, 1_000];

impl Plan {
    /// The plan for a process that may have `most` pipes, with `layer` as ours; `quick` for a first
    /// impression.
    pub fn new(layer: Layer, quick: bool, most: usize) -> Self {
        let (rounds, sample_time) = match quick {
            true => (5, Duration::from_millis(4)),
            false => (9, Duration::from_millis(20)),
        };
        let mut counts: Vec<usize> = PIPE_COUNTS.iter().map(|&n| n.min(most)).collect();
        counts.dedup();
        let share_n = 1_000.min(most);

        let mut points: Vec<Point> = Vec::new();
        points.extend(ONE_READY.iter().filter(|&&n| n <= most).map(|&n| ring(n, 1)));
        points.extend(SHARES_PER_MILLE.iter().map(|&share| ring(share_n, part(share_n, share))));
        for n in counts {
            points.push(Point::Watch { n });
            points.push(ring(n, 1));
            points.extend(GRID_PER_MILLE.iter().map(|&share| ring(n, part(n, share))));
        }
        points.sort();
        points.dedup();

        let left_out = PIPE_COUNTS.iter().filter(|&&n| n > most);
        let left_out = left_out.map(|&n| LeftOut { n, descriptors: 2 * n }).collect();
        Plan { layer, rounds, sample_time, points, share_n, left_out }
    }

    /// Everybody who is measured at a point: each call through our layer, and its bare loops.
    pub fn contenders(&self) -> impl Iterator<Item = Contender> {
        let ours = self.layer;
        Call::ALL.into_iter().flat_map(move |call| {
            iter::once(ours)
                .chain(call.raw_layers().iter().copied())
                .map(move |layer| call.contender(layer))
        })
    }

    /// The most pipes that any point needs.
    pub fn pipes(&self) -> usize {
        self.points.iter().map(|point| point.n()).max().unwrap_or(0)
    }

    /// How many runs there are: everybody once at each point in each round, and in one round before
    /// them which finds out how long a run is.
    pub fn runs(&self) -> usize {
        self.points.len() * self.contenders().count() * (self.rounds + 1)
    }

    /// The points at which one pipe of the ring is ready, by how many are watched.
    pub fn one_ready(&self) -> impl Iterator<Item = (usize, Point)> {
        self.points.iter().filter_map(|&point| match point {
            Point::Ring { n, active: 1 } => Some((n, point)),
            _ => None,
        })
    }

    /// The points at which [`share_n`](Self::share_n) are watched, by how many are ready.
    pub fn shares(&self) -> impl Iterator<Item = (usize, Point)> {
        self.points.iter().filter_map(|&point| match point {
            Point::Ring { n, active } if n == self.share_n => Some((active, point)),
            _ => None,
        })
    }
}

fn ring(n: usize, active: usize) -> Point {
    Point::Ring { n, active }
}

/// So many in a thousand of `n`, and at least one.
fn part(n: usize, per_mille: usize) -> usize {
    (n * per_mille / 1_000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_limit_leaves_out_what_does_not_fit_and_says_so() {
        let plan = Plan::new(Layer::Selector, false, 400);
        assert_eq!(plan.pipes(), 400);
        assert_eq!(plan.share_n, 400);
        let left_out: Vec<_> = plan.left_out.iter().map(|row| (row.n, row.descriptors)).collect();
        assert_eq!(left_out, [(1_000, 2_000), (10_000, 20_000)]);
        assert!(plan.points.contains(&Point::Watch { n: 400 }));
        assert_eq!(plan.shares().last(), Some((400, ring(400, 400))));
    }

    #[test]
    fn the_plan_has_every_point_once_and_no_more_bytes_than_pipes() {
        for most in [1, 7, 10, 999, 1_000, 9_990, 10_000, 500_000] {
            let plan = Plan::new(Layer::Reactor, true, most);
            assert!(plan.points.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(plan.pipes() <= most.min(10_000));
            for &point in &plan.points {
                if let Point::Ring { n, active } = point {
                    assert!((1..=n).contains(&active), "{point:?}");
                }
            }
        }
        assert!(Plan::new(Layer::Selector, false, 10_000).left_out.is_empty());
    }
}
