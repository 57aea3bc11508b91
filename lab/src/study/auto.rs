//! What [`Backend::Auto`] costs beside the better of poll and epoll: under steady loads, and under one
//! that changes.

use std::io;
use std::time::{Duration, Instant};

use tripoll::{Backend, Trigger};

use super::options::{Options, Steps};
use super::report::{Figure, Findings};
use super::table::Table;
use crate::compare::format::{counted, grouped};
use crate::compare::statistics::{Estimate, median};
use crate::workload::{Contender, Kind, Layer, Phases, Pipes, Xorshift};

pub(super) const TITLE: &str = "The backend auto beside poll and epoll";

/// Auto may cost so much more than the better call under a steady load.
const STEADY: f64 = 1.05;
/// And so much more than the better call of each phase under a load that changes.
const CHANGING: f64 = 1.15;

/// The numbers of watched descriptors. The last may be less by a few: 9,980 for 10,000.
const WATCHED: [usize; 6] = [4, 16, 48, 256, 1_000, 10_000];
/// A quick run has fewer.
const QUICK: [usize; 3] = [4, 48, 1_000];
/// The shares that are ready, in thousandths, and one alone.
const SHARES: [usize; 4] = [0, 100, 500, 1_000];
/// QEMU changes to epoll when so many are watched.
const QEMU: usize = 64;

/// The backends in the order of the samples.
const BACKENDS: [Backend; 3] = [Backend::Epoll, Backend::Poll, Backend::Auto];

fn contender(backend: Backend) -> Contender {
    Contender { layer: Layer::Selector, backend, trigger: Trigger::Level }
}

/// A point of the grid, with the samples of each backend in nanoseconds of processor time an event.
struct Point {
    kind: Kind,
    n: usize,
    active: usize,
    samples: [Vec<f64>; 3],
}

impl Point {
    fn new(kind: Kind, n: usize, active: usize) -> Self {
        Point { kind, n, active, samples: [const { Vec::new() }; 3] }
    }

    /// Returns the index of the better of the two calls.
    fn better(&self) -> usize {
        usize::from(median(&self.samples[1]) < median(&self.samples[0]))
    }

    /// Returns what a backend costs in terms of the better call.
    fn ratio(&self, index: usize) -> Estimate {
        Estimate::of_ratio(&self.samples[index], &self.samples[self.better()])
    }

    /// Returns the index of the call that QEMU's rule chooses.
    fn qemu(&self) -> usize {
        usize::from(self.n < QEMU)
    }

    fn place(&self) -> String {
        let ready = if self.active == 1 { "one".to_string() } else { grouped(self.active) };
        format!("{} watched and {ready} ready on {}", grouped(self.n), self.kind)
    }
}

/// A load that changes, with the costs of each backend in terms of the oracle, round by round.
struct Changing {
    kind: Kind,
    n: usize,
    ratios: [Vec<f64>; 3],
}

/// How often and how long each is measured.
struct Sizes {
    watched: &'static [usize],
    rounds: usize,
    sample: Duration,
    changing_rounds: usize,
    phases: usize,
    phase: Duration,
}

impl Sizes {
    fn new(quick: bool) -> Self {
        let millis = Duration::from_millis;
        match quick {
            true => Sizes {
                watched: &QUICK,
                rounds: 3,
                sample: millis(4),
                changing_rounds: 2,
                phases: 4,
                phase: millis(250),
            },
            false => Sizes {
                watched: &WATCHED,
                rounds: 5,
                sample: millis(20),
                changing_rounds: 3,
                phases: 6,
                phase: millis(1_000),
            },
        }
    }
}

pub(super) fn measure(options: Options, steps: &mut Steps<'_>) -> io::Result<Findings> {
    let sizes = Sizes::new(options.quick);
    let max = Pipes::max()?;
    let (mut points, mut changing) = (Vec::new(), Vec::new());
    let mut stopped = false;
    for (index, kind) in [Kind::Pipe, Kind::Tcp].into_iter().enumerate() {
        let done = index as f64 / 2.0;
        let pipes = Pipes::open_kind(kind, max.min(sizes.watched[sizes.watched.len() - 1]))?;
        let mut grid = grid(kind, sizes.watched, pipes.len());
        stopped |=
            steady(&mut grid, &sizes, &pipes, &mut |share, text| steps(done + share * 0.3, text))?;
        points.extend(grid.into_iter().filter(|point| !point.samples[2].is_empty()));
        if stopped {
            break;
        }
        let (load, was_stopped) =
            change(&sizes, &pipes, &mut |share, text| steps(done + 0.3 + share * 0.2, text))?;
        stopped |= was_stopped;
        changing.extend(load);
        if stopped {
            break;
        }
    }
    if points.is_empty() {
        return Ok(Findings::default());
    }
    Ok(Findings { stopped, ..findings(&points, &changing, &sizes) })
}

/// Returns the points of a kind.
fn grid(kind: Kind, watched: &[usize], max: usize) -> Vec<Point> {
    let mut points = Vec::new();
    for n in watched.iter().map(|&n| n.min(max)) {
        let mut counts: Vec<usize> =
            SHARES.iter().map(|share| (n * share / 1_000).max(1)).collect();
        counts.dedup();
        points.extend(counts.into_iter().map(|active| Point::new(kind, n, active)));
    }
    points.dedup_by_key(|point| (point.n, point.active));
    points
}

/// Measures the points, and returns whether it was stopped.
fn steady(
    points: &mut [Point],
    sizes: &Sizes,
    pipes: &Pipes,
    steps: &mut Steps<'_>,
) -> io::Result<bool> {
    let mut random = Xorshift::default();
    let count = points.len();
    for (index, point) in points.iter_mut().enumerate() {
        if steps(index as f64 / count as f64, &point.place()).is_break() {
            return Ok(true);
        }
        let mut events = [0; 3];
        for round in 0..=sizes.rounds {
            let mut order = [0, 1, 2];
            for last in (1..order.len()).rev() {
                order.swap(last, random.below(last + 1));
            }
            for backend in order {
                let one = contender(BACKENDS[backend]);
                let (n, active) = (point.n, point.active);
                let measurement = Phases::of(one, pipes, n, active, |phases| {
                    settle(phases, active, BACKENDS[backend])?;
                    // The first round finds how many events fill a sample.
                    if round == 0 {
                        events[backend] = calibrate(phases, active, sizes.sample)?;
                    }
                    phases.run(active, events[backend])
                })?;
                if round > 0 {
                    point.samples[backend].push(measurement.cpu_ns());
                }
            }
        }
    }
    Ok(false)
}

/// Runs the load until auto has chosen, and the caches are warm.
fn settle(phases: &mut Phases<'_>, active: usize, backend: Backend) -> io::Result<()> {
    const WAITS: u64 = 48;
    let start = Instant::now();
    let least = match backend {
        Backend::Auto => Duration::from_millis(5),
        _ => return phases.run(active, 4 * active as u64).map(drop),
    };
    loop {
        phases.run(active, WAITS * active as u64)?;
        if start.elapsed() >= least {
            return Ok(());
        }
    }
}

/// Returns how many events take about so long.
fn calibrate(phases: &mut Phases<'_>, active: usize, time: Duration) -> io::Result<u64> {
    let mut events = active as u64;
    loop {
        let measurement = phases.run(active, events)?;
        if measurement.wall >= time / 8 {
            return Ok((time.as_nanos() as f64 / measurement.wall_ns()) as u64);
        }
        events = measurement.events * 4;
    }
}

/// Measures a load of which one and all descriptors are ready in turn, and returns whether it was
/// stopped.
fn change(
    sizes: &Sizes,
    pipes: &Pipes,
    steps: &mut Steps<'_>,
) -> io::Result<(Option<Changing>, bool)> {
    let n = pipes.len().min(1_000);
    let loads = [1, n];
    let mut changing = Changing { kind: pipes.kind(), n, ratios: [const { Vec::new() }; 3] };
    for round in 0..sizes.changing_rounds {
        let text = format!("a load that changes, on {}", pipes.kind());
        if steps(round as f64 / sizes.changing_rounds as f64, &text).is_break() {
            let stopped = (!changing.ratios[0].is_empty()).then_some(changing);
            return Ok((stopped, true));
        }
        // What each call costs in each of the two loads, and how many events fill a phase.
        let mut costs = [[0.0; 2]; 2];
        for (backend, costs) in costs.iter_mut().enumerate() {
            Phases::of(contender(BACKENDS[backend]), pipes, n, n, |phases| {
                for (&active, cost) in loads.iter().zip(costs) {
                    let events = calibrate(phases, active, sizes.phase / 4)?;
                    *cost = phases.run(active, events)?.cpu_ns();
                }
                Ok(())
            })?;
        }
        let best = [0, 1].map(|load| costs[0][load].min(costs[1][load]));
        let events = best.map(|ns| (sizes.phase.as_nanos() as f64 / ns) as u64);
        let auto = Phases::of(contender(Backend::Auto), pipes, n, n, |phases| {
            let mut cpu = Duration::ZERO;
            for phase in 0..sizes.phases {
                cpu += phases.run(loads[phase % 2], events[phase % 2])?.cpu;
            }
            Ok(cpu.as_nanos() as f64)
        })?;
        let pairs = (sizes.phases / 2) as f64;
        let all =
            |costs: [f64; 2]| pairs * (costs[0] * events[0] as f64 + costs[1] * events[1] as f64);
        let oracle = all(best);
        let ratios = [all(costs[0]) / oracle, all(costs[1]) / oracle, auto / oracle];
        changing.ratios.iter_mut().zip(ratios).for_each(|(all, ratio)| all.push(ratio));
    }
    Ok((Some(changing), false))
}

fn findings(points: &[Point], changing: &[Changing], sizes: &Sizes) -> Findings {
    let sentences = sentences(points, changing, sizes);
    let mut findings = Findings { sentences, ..Findings::default() };
    for kind in [Kind::Pipe, Kind::Tcp] {
        let mut table = Table::new(
            format!(
                "Steady loads on {kind}: nanoseconds of processor time for an event, and what each \
                 choice costs in terms of the better call. !: above the bar of {STEADY}."
            ),
            2,
            &["watched", "ready", "epoll", "poll", "auto", "auto/best", "epoll/best", "QEMU/best"],
        );
        for point in points.iter().filter(|point| point.kind == kind) {
            let ns = |index: usize| grouped(median(&point.samples[index]).round() as usize);
            let ratio = |index: usize| format!("{:.2}", point.ratio(index).median);
            let above = if point.ratio(2).median > STEADY { "!" } else { " " };
            table.push(vec![
                grouped(point.n),
                grouped(point.active),
                ns(0),
                ns(1),
                ns(2),
                ratio(2) + above,
                ratio(0),
                ratio(point.qemu()),
            ]);
            for (backend, samples) in BACKENDS.iter().zip(&point.samples) {
                let at = format!("{}, {} watched, {} ready", kind.name(), point.n, point.active);
                findings.figures.push(Figure::new(backend.name(), at, "cpu_ns", samples));
            }
        }
        findings.tables.push(table);
    }
    let phase = seconds(sizes.phase);
    let mut table = Table::new(
        format!(
            "A load that changes every {phase} from one ready to all: processor time in terms of the \
             oracle, which takes the better call in each phase. The bar of auto is {CHANGING}."
        ),
        1,
        &["on", "watched", "auto", "always epoll", "always poll", "QEMU's 64"],
    );
    for Changing { kind, n, ratios } in changing {
        let at = format!("{}, {n} watched, 1 and {n} ready in turn", kind.name());
        for (backend, samples) in BACKENDS.iter().zip(ratios) {
            findings.figures.push(Figure::new(backend.name(), at.clone(), "of oracle", samples));
        }
        let [epoll, poll, auto] = ratios.each_ref().map(|all| format!("{:.2}", median(all)));
        let qemu = if *n < QEMU { &poll } else { &epoll }.clone();
        table.push(vec![kind.name().to_string(), grouped(*n), auto, epoll, poll, qemu]);
    }
    findings.tables.push(table);
    findings
}

fn seconds(duration: Duration) -> String {
    match duration.as_millis() {
        1_000 => "second".to_string(),
        millis => format!("{millis} ms"),
    }
}

/// Returns the point at which `cost` is greatest.
fn worst(points: &[Point], cost: impl Fn(&Point) -> f64) -> Option<(f64, &Point)> {
    let costs = points.iter().map(|point| (cost(point), point));
    costs.max_by(|a, b| a.0.total_cmp(&b.0))
}

fn sentences(points: &[Point], changing: &[Changing], sizes: &Sizes) -> Vec<String> {
    let mut all = Vec::new();
    let auto = |point: &Point| point.ratio(2).median;
    let above = points.iter().filter(|point| auto(point) > STEADY).count();
    let typical = median(&points.iter().map(auto).collect::<Vec<_>>());
    if let Some((most, point)) = worst(points, auto) {
        let interval = point.ratio(2);
        let interval = format!("{:.2} to {:.2}", interval.low, interval.high);
        let place = point.place();
        let of = counted(points.len(), "point");
        all.push(match above {
            0 => format!(
                "Auto holds its bar under steady loads: at each of {of} it costs at most {most:.2} \
                 times the better of poll and epoll, typically {typical:.2}. The most is at {place} \
                 ({interval})."
            ),
            _ => format!(
                "Auto misses its bar of {STEADY} times the better call at {above} of {of}: it costs \
                 up to {most:.2} times ({interval}), at {place}. Typically it costs {typical:.2} times."
            ),
        });
    }
    let epoll = worst(points, |point| point.ratio(0).median);
    let qemu = worst(points, |point| point.ratio(point.qemu()).median);
    if let (Some((epoll, at)), Some((qemu, qemu_at))) = (epoll, qemu) {
        all.push(format!(
            "Always epoll costs up to {epoll:.2} times the better call, at {}. QEMU's rule (poll \
             below {QEMU} watched, else epoll) costs up to {qemu:.2} times, at {}.",
            at.place(),
            qemu_at.place()
        ));
    }
    for Changing { kind, n, ratios } in changing {
        let [epoll, poll, auto] = ratios.each_ref().map(|samples| median(samples));
        let bar = if auto <= CHANGING { "holds" } else { "misses" };
        all.push(format!(
            "When the load changes every {} between one and {} ready, auto costs {auto:.2} times the \
             oracle on {kind} and {bar} its bar of {CHANGING}; always epoll costs {epoll:.2} times, \
             always poll {poll:.1}.",
            seconds(sizes.phase),
            grouped(*n)
        ));
    }
    all.push(
        "An event is its share of the wait, and the read and the write of a byte. Where these two \
         cost more, as on TCP, the choice of the call matters less. The costs of QEMU's rule are \
         those of the call that it chooses."
            .to_string(),
    );
    all
}
