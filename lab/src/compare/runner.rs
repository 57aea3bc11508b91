//! Measures the points of a plan, round by round.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use super::plan::Plan;
use super::point::Point;
use super::statistics::Estimate;
use crate::workload::{Contender, Measurement, Pipes, Xorshift};

/// The samples of one contender at one point, one from each round.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The point.
    pub point: Point,
    /// The contender.
    pub contender: Contender,
    /// The number of events in each sample. Zero if the contender cannot be measured at this point.
    pub events: u64,
    /// Processor time of an event, in nanoseconds.
    pub cpu_ns: Vec<f64>,
    /// Wall-clock time of an event, in nanoseconds.
    pub wall_ns: Vec<f64>,
    /// Wall-clock time of a registration, in nanoseconds.
    pub registration_ns: Vec<f64>,
}

impl Cell {
    /// Returns the estimate of the processor time of an event, in nanoseconds.
    pub fn estimate(&self) -> Estimate {
        Estimate::of(&self.cpu_ns)
    }
}

/// The progress of a measurement.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The number of finished runs, of [`Plan::runs`].
    pub done: usize,
    /// The round. Round 0 is the calibration, which finds the number of events of a sample.
    pub round: usize,
    /// The point that is measured next.
    pub point: Point,
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The cells, point by point. The cells of a point have equally many samples, at least one.
    pub cells: Vec<Cell>,
    /// The number of rounds that were completed.
    pub rounds: usize,
    /// Whether `on_progress` stopped the measurement.
    pub stopped: bool,
}

/// Measures a plan on descriptors of each of its kinds, one kind after the other: the cost of `select`
/// depends on the numbers of the descriptors, and so they are the same for each kind. The plan keeps
/// the kinds that were measured before `on_progress` stopped it.
///
/// # Errors
///
/// Any error of opening the descriptors and of a workload.
pub fn measure_kinds(
    plan: &mut Plan,
    mut on_progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> io::Result<Measured> {
    let mut all = Measured { cells: Vec::new(), rounds: plan.rounds, stopped: false };
    let (mut before, mut kinds) = (0, Vec::new());
    for kind in plan.kinds.clone() {
        let mut part = plan.clone();
        part.keep(&[kind]);
        let pipes = Pipes::open_kind(kind, part.pipes())?;
        let measured = measure(&part, &pipes, |step| {
            on_progress(Progress { done: before + step.done, ..step })
        })?;
        before += part.runs();
        if measured.cells.is_empty() && !kinds.is_empty() {
            all.stopped = true;
            break;
        }
        kinds.push(kind);
        all.rounds = all.rounds.min(measured.rounds);
        all.cells.extend(measured.cells);
        all.stopped = measured.stopped;
        if all.stopped {
            break;
        }
    }
    plan.keep(&kinds);
    Ok(all)
}

/// Measures all points of `plan` on the same `pipes`. Calls `on_progress` before each run. If that
/// returns `Break`, the result has what was measured so far.
///
/// # Errors
///
/// Any error of a workload.
pub fn measure(
    plan: &Plan,
    pipes: &Pipes,
    mut on_progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> io::Result<Measured> {
    let mut all: Vec<Cell> = plan
        .points
        .iter()
        .flat_map(|&point| plan.contenders().map(move |contender| new_cell(point, contender)))
        .collect();
    let per_point = plan.contenders().count();
    let mut done = 0;
    let mut random = Xorshift::default();

    for round in 0..=plan.rounds {
        for cells in all.chunks_mut(per_point) {
            let mut order: Vec<usize> = (0..per_point).collect();
            for last in (1..per_point).rev() {
                order.swap(last, random.below(last + 1));
            }
            for index in order {
                let cell = &mut cells[index];
                if round > 0 && cell.events == 0 {
                    done += 1;
                    continue;
                }
                if on_progress(Progress { done, round, point: cell.point }).is_break() {
                    return Ok(stopped(all, per_point, round.saturating_sub(1)));
                }
                match round {
                    0 => calibrate(cell, plan.sample_time, pipes)?,
                    _ => cell.record(run(cell, cell.events, pipes)?),
                }
                done += 1;
            }
        }
    }
    all.retain(|cell| cell.events > 0);
    Ok(Measured { cells: all, rounds: plan.rounds, stopped: false })
}

/// Returns what has been measured when the measurement is stopped. The last point may have been
/// measured for some of its contenders only: a comparison needs all of them.
fn stopped(mut all: Vec<Cell>, per_point: usize, rounds: usize) -> Measured {
    for cells in all.chunks_mut(per_point) {
        let measurable = cells.iter().filter(|cell| cell.events > 0);
        let complete = measurable.map(|cell| cell.cpu_ns.len()).min().unwrap_or(0);
        cells.iter_mut().for_each(|cell| cell.truncate(complete));
    }
    all.retain(|cell| !cell.cpu_ns.is_empty());
    Measured { cells: all, rounds, stopped: true }
}

fn new_cell(point: Point, contender: Contender) -> Cell {
    let (cpu_ns, wall_ns, registration_ns) = (Vec::new(), Vec::new(), Vec::new());
    Cell { point, contender, events: 1, cpu_ns, wall_ns, registration_ns }
}

impl Cell {
    fn record(&mut self, measurement: Measurement) {
        self.cpu_ns.push(measurement.cpu_ns());
        self.wall_ns.push(measurement.wall_ns());
        self.registration_ns.push(measurement.registration_ns());
    }

    fn truncate(&mut self, samples: usize) {
        for all in [&mut self.cpu_ns, &mut self.wall_ns, &mut self.registration_ns] {
            all.truncate(samples);
        }
    }
}

fn run(cell: &Cell, events: u64, pipes: &Pipes) -> io::Result<Measurement> {
    cell.point.workload(events).run(cell.contender, pipes)
}

/// Finds the number of events that take `sample_time`, by runs of increasing length. It is zero if the
/// contender refuses this point: some libraries have no `select` with so many descriptors.
fn calibrate(cell: &mut Cell, sample_time: Duration, pipes: &Pipes) -> io::Result<()> {
    loop {
        let measurement = match run(cell, cell.events, pipes) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                cell.events = 0;
                return Ok(());
            }
            result => result?,
        };
        if measurement.wall >= sample_time / 8 {
            let events = sample_time.as_nanos() as f64 / measurement.wall_ns();
            cell.events = (events as u64).max(1);
            return Ok(());
        }
        cell.events = measurement.events * 4;
    }
}
