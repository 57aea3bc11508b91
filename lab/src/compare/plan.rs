//! The plan: the points that are measured, and how often.

use std::iter;
use std::time::Duration;

use serde::Serialize;
use tripoll::{Backend, Trigger};

use crate::workload::{Contender, Layer, Workload};

/// A system call with a trigger: the alternatives between which the user chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Call {
    /// The system call.
    pub backend: Backend,
    /// The trigger.
    pub trigger: Trigger,
}

impl Call {
    /// `select(2)`.
    pub const SELECT: Call = Call { backend: Backend::Select, trigger: Trigger::Level };
    /// `poll(2)`.
    pub const POLL: Call = Call { backend: Backend::Poll, trigger: Trigger::Level };
    /// `epoll(7)`, level-triggered.
    pub const EPOLL_LEVEL: Call = Call { backend: Backend::Epoll, trigger: Trigger::Level };
    /// `epoll(7)`, edge-triggered.
    pub const EPOLL_EDGE: Call = Call { backend: Backend::Epoll, trigger: Trigger::Edge };

    /// All calls that are compared.
    pub const ALL: [Call; 4] = [Call::SELECT, Call::POLL, Call::EPOLL_LEVEL, Call::EPOLL_EDGE];

    /// Returns its name in the tables.
    pub fn name(self) -> String {
        match self.backend {
            Backend::Epoll => format!("epoll {}", self.trigger),
            backend => backend.to_string(),
        }
    }

    /// Returns the layers of its raw loops.
    pub fn raw_layers(self) -> &'static [Layer] {
        match self.backend {
            Backend::Select | Backend::Poll => &[Layer::Raw, Layer::RawZero],
            _ => &[Layer::Raw],
        }
    }

    /// Returns this call through `layer`.
    pub fn contender(self, layer: Layer) -> Contender {
        Contender { layer, backend: self.backend, trigger: self.trigger }
    }
}

/// A point of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "workload", rename_all = "lowercase")]
pub enum Point {
    /// [`Workload::Watch`] over `n` pipes.
    Watch {
        /// The number of pipes that are watched.
        n: usize,
    },
    /// [`Workload::Ring`] over `n` pipes.
    Ring {
        /// The number of pipes that are watched.
        n: usize,
        /// The number of pipes that are ready at any time.
        active: usize,
    },
}

impl Point {
    /// Returns the number of pipes that are watched.
    pub fn n(self) -> usize {
        match self {
            Point::Watch { n } | Point::Ring { n, .. } => n,
        }
    }

    /// Returns the number of pipes that are ready in each wait.
    pub fn ready(self) -> usize {
        match self {
            Point::Watch { .. } => 1,
            Point::Ring { active, .. } => active,
        }
    }

    /// Returns the workload at this point with about `events` events.
    ///
    /// It has at least 16 events, and whole batches: a wait costs the same whether its last events
    /// are used or not.
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

/// A line of points on which one number grows. Two calls may cross on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// More and more descriptors are watched.
    Watched {
        /// How many of them are ready.
        active: Active,
        /// The numbers of watched descriptors.
        counts: Vec<usize>,
    },
    /// More and more of the watched descriptors are ready.
    Ready {
        /// The number of watched descriptors.
        n: usize,
        /// The numbers of ready descriptors.
        counts: Vec<usize>,
    },
}

impl Line {
    /// Returns the points, each with the number that grows.
    pub fn points(&self) -> impl Iterator<Item = (usize, Point)> {
        let (Line::Watched { counts, .. } | Line::Ready { counts, .. }) = self;
        counts.iter().map(move |&count| match *self {
            Line::Watched { active, .. } => (count, ring(count, active.of(count))),
            Line::Ready { n, .. } => (count, ring(n, count)),
        })
    }
}

/// A point that the descriptor limit does not allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The number of pipes of the point.
    pub n: usize,
    /// The number of descriptors of these pipes.
    pub descriptors: usize,
}

/// The points that are measured, and how often.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The layer of tripoll that is compared with the raw loops.
    pub layer: Layer,
    /// How often every point is measured; at least once.
    pub rounds: usize,
    /// How long each contender runs at each point in each round.
    pub sample_time: Duration,
    /// The points, sorted and without duplicates.
    pub points: Vec<Point>,
    /// The lines on which the calls may cross, the most important first.
    pub lines: Vec<Line>,
    /// The points that were left out because the descriptor limit is too low.
    pub left_out: Vec<LeftOut>,
}

/// The numbers of watched pipes on the line on which one is ready.
const ONE_READY: [usize; 14] = [1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256, 1_000, 10_000];
/// The shares of ready pipes, in thousandths, on the line on which 1,000 are watched.
const SHARES_PER_MILLE: [usize; 11] = [1, 10, 50, 100, 200, 250, 300, 400, 500, 750, 1_000];
/// The numbers of watched pipes in the watch table and in the grid.
const PIPE_COUNTS: [usize; 4] = [10, 100, 1_000, 10_000];
/// The shares of ready pipes in the grid, in thousandths. A single ready pipe comes in addition.
const GRID_PER_MILLE: [usize; 3] = [100, 500, 1_000];

impl Plan {
    /// Creates the plan for a process that can have `max` pipes, to compare `layer` with the raw
    /// loops. A `quick` plan has fewer and shorter rounds.
    pub fn new(layer: Layer, quick: bool, max: usize) -> Self {
        let (rounds, sample_time) = match quick {
            true => (5, Duration::from_millis(4)),
            false => (9, Duration::from_millis(20)),
        };
        let allowed = |counts: &[usize]| {
            let mut counts: Vec<usize> = counts.iter().map(|&n| n.min(max)).collect();
            counts.dedup();
            counts
        };
        let counts = allowed(&PIPE_COUNTS);
        let share_n = 1_000.min(max);
        let mut shares = SHARES_PER_MILLE.map(|share| Active::PerMille(share).of(share_n)).to_vec();
        shares.dedup();
        let lines = vec![
            Line::Watched { active: Active::Count(1), counts: allowed(&ONE_READY) },
            Line::Ready { n: share_n, counts: shares },
        ];

        let mut points: Vec<Point> =
            lines.iter().flat_map(Line::points).map(|(_, point)| point).collect();
        for n in counts {
            points.push(Point::Watch { n });
            points.push(ring(n, 1));
            points.extend(GRID_PER_MILLE.map(|share| ring(n, Active::PerMille(share).of(n))));
        }
        points.sort();
        points.dedup();

        // A little below is the same point: 9,980 for 10,000.
        let left_out = PIPE_COUNTS.iter().filter(|&&n| max < n / 10 * 9);
        let left_out = left_out.map(|&n| LeftOut { n, descriptors: 2 * n }).collect();
        Plan { layer, rounds, sample_time, points, lines, left_out }
    }

    /// Returns the contenders at each point: every call through the layer, and its raw loops.
    pub fn contenders(&self) -> impl Iterator<Item = Contender> {
        let layer = self.layer;
        Call::ALL.into_iter().flat_map(move |call| {
            iter::once(layer)
                .chain(call.raw_layers().iter().copied())
                .map(move |layer| call.contender(layer))
        })
    }

    /// Returns the greatest number of pipes of any point.
    pub fn pipes(&self) -> usize {
        self.points.iter().map(|point| point.n()).max().unwrap_or(0)
    }

    /// Returns the number of runs: one for each contender, point and round, and one more for the
    /// calibration.
    pub fn runs(&self) -> usize {
        self.points.len() * self.contenders().count() * (self.rounds + 1)
    }

    /// Returns the points of the ring.
    pub fn ring(&self) -> impl Iterator<Item = Point> {
        self.points.iter().copied().filter(|point| matches!(point, Point::Ring { .. }))
    }
}

fn ring(n: usize, active: usize) -> Point {
    Point::Ring { n, active }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_above_a_low_limit_are_left_out_and_listed() {
        let plan = Plan::new(Layer::Selector, false, 400);
        assert_eq!(plan.pipes(), 400);
        let left_out: Vec<_> = plan.left_out.iter().map(|row| (row.n, row.descriptors)).collect();
        assert_eq!(left_out, [(1_000, 2_000), (10_000, 20_000)]);
        assert!(plan.points.contains(&Point::Watch { n: 400 }));
        for line in &plan.lines {
            assert!(line.points().all(|(_, point)| plan.points.contains(&point)));
        }
        assert_eq!(plan.lines[0].points().last(), Some((400, ring(400, 1))));
        assert_eq!(plan.lines[1].points().last(), Some((400, ring(400, 400))));
    }

    #[test]
    fn the_plan_has_every_point_once_and_no_more_bytes_than_pipes() {
        for max in [1, 7, 10, 999, 1_000, 9_990, 10_000, 500_000] {
            let plan = Plan::new(Layer::Reactor, true, max);
            assert!(plan.points.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(plan.pipes() <= max.min(10_000));
            for &point in &plan.points {
                if let Point::Ring { n, active } = point {
                    assert!((1..=n).contains(&active), "{point:?}");
                }
            }
        }
        assert!(Plan::new(Layer::Selector, false, 10_000).left_out.is_empty());
    }
}
