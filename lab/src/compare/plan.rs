//! The plan: the points that are measured, and how often.

use std::iter;
use std::time::Duration;

use serde::Serialize;
use tripoll::{Backend, Trigger};

use super::point::{Active, Point, Style};
use crate::workload::{Contender, Kind, Layer, Peer};

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

/// A line of points on which one number grows. Two calls may cross on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// More and more descriptors are watched.
    Watched {
        /// How many of them are ready.
        active: Active,
        /// The numbers of watched descriptors.
        counts: Vec<usize>,
        /// What the waits and the handlers do.
        style: Style,
    },
    /// More and more of the watched descriptors are ready.
    Ready {
        /// The number of watched descriptors.
        n: usize,
        /// The numbers of ready descriptors.
        counts: Vec<usize>,
        /// What the waits and the handlers do.
        style: Style,
    },
}

impl Line {
    /// Returns the points, each with the number that grows.
    pub fn points(&self) -> impl Iterator<Item = (usize, Point)> {
        let (Line::Watched { counts, style, .. } | Line::Ready { counts, style, .. }) = self;
        counts.iter().map(move |&count| match *self {
            Line::Watched { active, .. } => (count, style.point(count, active.of(count))),
            Line::Ready { n, .. } => (count, style.point(n, count)),
        })
    }

    /// Returns what its waits and its handlers do.
    pub fn style(&self) -> Style {
        let (Line::Watched { style, .. } | Line::Ready { style, .. }) = self;
        *style
    }
}

/// A load that somebody wants to know about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The numbers of watched descriptors.
    pub fds: Vec<usize>,
    /// How many of them are ready.
    pub active: Vec<Active>,
    /// What the waits and the handlers do.
    pub styles: Vec<Style>,
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
    /// What is watched: one kind or several.
    pub kinds: Vec<Kind>,
    /// The calls that are compared, among them at least one trigger of epoll.
    pub calls: Vec<Call>,
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
    /// What is measured at each point beside the calls: other libraries, and the other layer.
    pub beside: Vec<Contender>,
    /// The other libraries that cannot be measured here, each with the reason.
    pub missing: Vec<String>,
}

/// Plans that have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Where the calls cross.
    Crossover,
    /// Up to 10,000 descriptors, of which few are ready.
    C10k,
    /// The calls of tripoll beside other libraries.
    Peers,
    /// All that can be measured: changes of interest, and waits that sleep.
    Full,
}

impl Preset {
    /// All presets.
    pub const ALL: [Preset; 4] = [Preset::Crossover, Preset::C10k, Preset::Peers, Preset::Full];

    /// Returns its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Preset::Crossover => "crossover",
            Preset::C10k => "c10k",
            Preset::Peers => "peers",
            Preset::Full => "full",
        }
    }

    /// Returns what it measures.
    pub const fn description(self) -> &'static str {
        match self {
            Preset::Crossover => "where the calls cross: 1 to 256 watched, and 1 to 1,000 ready",
            Preset::C10k => "1,000 to 10,000 watched, of which one, 1% or 10% are ready",
            Preset::Peers => {
                "mio, polling, calloop, tokio, libevent, libuv, Python and bare C loops"
            }
            Preset::Full => "the default, changes of interest, and waits that sleep",
        }
    }
}

/// The numbers of watched pipes on the line on which one is ready.
const ONE_READY: [usize; 14] = [1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256, 1_000, 10_000];
/// The shares of ready pipes, in thousandths, on the line on which 1,000 are watched.
const SHARES_PER_MILLE: [usize; 11] = [1, 10, 50, 100, 200, 250, 300, 400, 500, 750, 1_000];
/// The numbers of watched pipes in the watch table and in the grid.
const PIPE_COUNTS: [usize; 4] = [10, 100, 1_000, 10_000];
/// The shares of ready pipes in the grid, in thousandths. A single ready pipe comes in addition.
const GRID_PER_MILLE: [usize; 3] = [100, 500, 1_000];
/// Two calls may cross on a line of so many points.
const SHORTEST_LINE: usize = 3;

impl Plan {
    /// Creates the plan for a process that can have `max` pipes, to compare `layer` with the raw
    /// loops. A `quick` plan has fewer and shorter rounds.
    pub fn new(layer: Layer, quick: bool, max: usize) -> Self {
        let mut plan = Plan::empty(layer, quick);
        let allowed = |counts: &[usize]| {
            let mut counts: Vec<usize> = counts.iter().map(|&n| n.min(max)).collect();
            counts.dedup();
            counts
        };
        let counts = allowed(&PIPE_COUNTS);
        let share_n = 1_000.min(max);
        let mut shares = SHARES_PER_MILLE.map(|share| Active::PerMille(share).of(share_n)).to_vec();
        shares.dedup();
        let style = Style::default();
        plan.lines = vec![
            Line::Watched { active: Active::Count(1), counts: allowed(&ONE_READY), style },
            Line::Ready { n: share_n, counts: shares, style },
        ];

        plan.points = plan.points_of_lines();
        for n in counts {
            plan.points.push(watch(n));
            plan.points.push(style.point(n, 1));
            let grid = GRID_PER_MILLE.map(|share| style.point(n, Active::PerMille(share).of(n)));
            plan.points.extend(grid);
        }
        // A little below is the same point: 9,980 for 10,000.
        let left_out = PIPE_COUNTS.iter().filter(|&&n| max < n / 10 * 9);
        plan.left_out = left_out.map(|&n| LeftOut { n, descriptors: 2 * n }).collect();
        plan.sorted()
    }

    /// Creates the plan for a load. Two calls may cross on a line of at least three points.
    pub fn of_load(load: &Load, layer: Layer, quick: bool, max: usize) -> Self {
        let mut plan = Plan::empty(layer, quick);
        let (mut fds, too_many): (Vec<usize>, Vec<usize>) =
            load.fds.iter().partition(|&&n| n <= max);
        fds.sort_unstable();
        fds.dedup();
        plan.left_out = too_many.into_iter().map(|n| LeftOut { n, descriptors: 2 * n }).collect();
        for &style in &load.styles {
            let actives = if style.sleeps { &[Active::Count(1)] } else { &load.active[..] };
            for &n in &fds {
                let mut counts: Vec<usize> = actives.iter().map(|active| active.of(n)).collect();
                counts.sort_unstable();
                counts.dedup();
                plan.points.extend(counts.iter().map(|&active| style.point(n, active)));
                if counts.len() >= SHORTEST_LINE {
                    plan.lines.push(Line::Ready { n, counts, style });
                }
            }
            if fds.len() >= SHORTEST_LINE {
                let line = |&active| Line::Watched { active, counts: fds.clone(), style };
                plan.lines.extend(actives.iter().map(line));
            }
        }
        plan.sorted()
    }

    /// Creates the plan of a preset, for a process that can have `max` pipes.
    pub fn of_preset(preset: Preset, layer: Layer, quick: bool, max: usize) -> Self {
        let load = |fds: &[usize], active: &[Active], styles: &[Style]| {
            let (fds, active, styles) = (fds.to_vec(), active.to_vec(), styles.to_vec());
            Plan::of_load(&Load { fds, active, styles }, layer, quick, max)
        };
        match preset {
            Preset::Crossover => {
                let mut plan = Plan::new(layer, quick, max);
                for line in &mut plan.lines {
                    if let Line::Watched { counts, .. } = line {
                        counts.retain(|&n| n <= 256);
                    }
                }
                plan.points = plan.points_of_lines();
                plan.left_out.clear();
                plan.sorted()
            }
            Preset::C10k => load(
                &[1_000, 2_000, 5_000, max.clamp(1, 10_000)],
                &[Active::Count(1), Active::PerMille(10), Active::PerMille(100)],
                &[Style::default()],
            ),
            Preset::Peers => {
                let mut plan = load(
                    &[10, 100, 1_000.min(max)],
                    &[Active::Count(1), Active::PerMille(100), Active::PerMille(1_000)],
                    &[Style::default()],
                );
                plan.points.extend([10, 100, 1_000].map(|n| watch(n.min(max))));
                let peers = Contender::peers();
                // Those of the layer that is asked for are measured in any case.
                let ours = peers.iter().filter_map(Contender::counterpart);
                let mut beside: Vec<Contender> = ours.filter(|one| one.layer != layer).collect();
                beside.sort_by_key(Contender::to_string);
                beside.dedup();
                beside.extend(peers);
                plan.beside = beside;
                plan.missing = Peer::ALL.into_iter().filter_map(missing).collect();
                plan.sorted()
            }
            Preset::Full => {
                let mut plan = Plan::new(layer, quick, max);
                let styles = [(1, false), (2, false), (0, true)];
                for (changes, sleeps) in styles {
                    let mut counts = ONE_READY.to_vec();
                    counts.retain(|&n| n <= max.min(1_000));
                    let style = Style { changes, sleeps, ..Style::default() };
                    plan.lines.push(Line::Watched { active: Active::Count(1), counts, style });
                }
                plan.points.extend(plan.points_of_lines());
                plan.sorted()
            }
        }
    }

    fn empty(layer: Layer, quick: bool) -> Self {
        let (rounds, sample_time) = match quick {
            true => (5, Duration::from_millis(4)),
            false => (9, Duration::from_millis(20)),
        };
        let (kinds, calls) = (vec![Kind::Pipe], Call::ALL.to_vec());
        let (points, lines, left_out) = (Vec::new(), Vec::new(), Vec::new());
        let (beside, missing) = (Vec::new(), Vec::new());
        Plan { layer, kinds, calls, rounds, sample_time, points, lines, left_out, beside, missing }
    }

    /// Returns the same plan on descriptors of these kinds.
    pub fn on(mut self, mut kinds: Vec<Kind>) -> Plan {
        kinds.sort();
        kinds.dedup();
        let line = |line: &Line, of: Kind| {
            let mut line = line.clone();
            let (Line::Watched { style, .. } | Line::Ready { style, .. }) = &mut line;
            style.kind = of;
            line
        };
        let of_kind = |&kind: &Kind| self.points.iter().map(move |point| point.on(kind));
        let points = kinds.iter().flat_map(of_kind).collect();
        let of_kind = |&kind: &Kind| self.lines.iter().map(move |one| line(one, kind));
        let lines = kinds.iter().flat_map(of_kind).collect();
        (self.points, self.lines, self.kinds) = (points, lines, kinds);
        self.sorted()
    }

    /// Keeps of the plan what is on descriptors of these kinds.
    pub(super) fn keep(&mut self, kinds: &[Kind]) {
        self.points.retain(|point| kinds.contains(&point.kind()));
        self.lines.retain(|line| kinds.contains(&line.style().kind));
        self.kinds.retain(|kind| kinds.contains(kind));
    }

    fn points_of_lines(&self) -> Vec<Point> {
        self.lines.iter().flat_map(Line::points).map(|(_, point)| point).collect()
    }

    fn sorted(mut self) -> Self {
        self.points.sort();
        self.points.dedup();
        self
    }

    /// Returns the calls whose crossing is looked for: poll and the first trigger of epoll.
    pub fn rivals(&self) -> [Call; 2] {
        let epoll = self.calls.iter().find(|call| call.backend == Backend::Epoll);
        [Call::POLL, epoll.copied().unwrap_or(Call::EPOLL_LEVEL)]
    }

    /// Returns the contenders at each point: every call through the layer, its raw loops, and what is
    /// measured beside them.
    pub fn contenders(&self) -> impl Iterator<Item = Contender> {
        let layer = self.layer;
        let calls = self.calls.iter().flat_map(move |&call| {
            iter::once(layer)
                .chain(call.raw_layers().iter().copied())
                .map(move |layer| call.contender(layer))
        });
        calls.chain(self.beside.iter().copied())
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

    /// Returns all points but those of the watch table.
    pub fn ring(&self) -> impl Iterator<Item = Point> {
        self.points.iter().copied().filter(|point| point.style().is_some())
    }

    /// Returns what the waits and the handlers do at the points, without duplicates.
    pub fn styles(&self) -> Vec<Style> {
        let mut styles: Vec<Style> = self.ring().filter_map(Point::style).collect();
        styles.sort();
        styles.dedup();
        styles
    }
}

/// Returns a point of the watch table.
fn watch(n: usize) -> Point {
    Point::Watch { n, kind: Kind::default() }
}

/// Returns the name of a library that cannot be measured, and the reason.
fn missing(peer: Peer) -> Option<String> {
    peer.missing().map(|reason| format!("{} ({reason})", peer.name()))
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
        assert!(plan.points.contains(&watch(400)));
        for line in &plan.lines {
            assert!(line.points().all(|(_, point)| plan.points.contains(&point)));
        }
        let last = |active| Some((400, Style::default().point(400, active)));
        assert_eq!(plan.lines[0].points().last(), last(1));
        assert_eq!(plan.lines[1].points().last(), last(400));
    }

    #[test]
    fn the_plan_has_every_point_once_and_no_more_bytes_than_pipes() {
        for max in [1, 7, 10, 999, 1_000, 9_990, 10_000, 500_000] {
            let plan = Plan::new(Layer::Reactor, true, max);
            assert!(plan.points.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(plan.pipes() <= max.min(10_000));
            for &point in &plan.points {
                if let Point::Ring { n, active, .. } = point {
                    assert!((1..=n).contains(&active), "{point:?}");
                }
            }
        }
        assert!(Plan::new(Layer::Selector, false, 10_000).left_out.is_empty());
    }

    #[test]
    fn a_load_has_its_points_and_lines_where_there_are_enough_of_them() {
        let plan = |fds: &[usize], active: &[Active], styles: &[Style]| {
            let (fds, active, styles) = (fds.to_vec(), active.to_vec(), styles.to_vec());
            Plan::of_load(&Load { fds, active, styles }, Layer::Selector, true, 1_000)
        };
        let (share, style) = (Active::PerMille(100), Style::default());
        let one = plan(&[200], &[share], &[style]);
        assert_eq!((one.points, one.lines), (vec![style.point(200, 20)], vec![]));

        let line = plan(&[10, 100, 1_000, 5_000], &[share], &[style]);
        let counts = vec![10, 100, 1_000];
        assert_eq!(line.lines, [Line::Watched { active: share, counts, style }]);
        assert_eq!(line.left_out[0].n, 5_000);

        let [few, many] = [1, 500].map(Active::Count);
        let sleeps = Style { sleeps: true, ..style };
        let both = plan(&[100], &[few, share, many], &[style, sleeps]);
        // No more are ready than are watched; and one, where the waits sleep.
        assert_eq!(both.points.len(), 4);
        assert_eq!(both.lines, [Line::Ready { n: 100, counts: vec![1, 10, 100], style }]);
        assert!(both.points.contains(&sleeps.point(100, 1)));
    }

    #[test]
    fn a_plan_on_several_kinds_has_each_point_and_each_line_on_each() {
        let pipes = Plan::new(Layer::Selector, true, 1_000);
        let kinds = vec![Kind::Tcp, Kind::Pipe, Kind::Tcp];
        let mut both = pipes.clone().on(kinds);
        assert_eq!(both.kinds, [Kind::Pipe, Kind::Tcp]);
        assert_eq!(both.points.len(), 2 * pipes.points.len());
        assert_eq!(both.lines[..2], pipes.lines);
        assert!(both.lines[2..].iter().all(|line| line.style().kind == Kind::Tcp));
        assert!(both.points.windows(2).all(|pair| pair[0] < pair[1]));
        both.keep(&[Kind::Pipe]);
        assert_eq!((both.points, both.lines), (pipes.points, pipes.lines));
    }

    #[test]
    fn every_preset_fits_every_limit() {
        for preset in Preset::ALL {
            for max in [1, 3, 400, 9_980, 500_000] {
                let plan = Plan::of_preset(preset, Layer::Selector, true, max);
                assert!(plan.pipes() <= max, "{preset:?} {max}");
                assert!(plan.points.windows(2).all(|pair| pair[0] < pair[1]), "{preset:?}");
                for line in &plan.lines {
                    assert!(line.points().all(|(_, point)| plan.points.contains(&point)));
                }
            }
        }
    }
}
