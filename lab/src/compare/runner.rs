//! Measures the points of a plan, round by round.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use super::plan::{Call, Plan, Point};
use super::statistics::Estimate;
use crate::workload::{Contender, Layer, Measurement, Pipes, Xorshift};

/// The samples of one contender at one point, one from each round.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The point.
    pub point: Point,
    /// The contender.
    pub contender: Contender,
    /// The number of events in each sample.
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

/// Returns the samples of `call` through `layer` at `point`.
pub(super) fn samples(cells: &[Cell], point: Point, call: Call, layer: Layer) -> Option<&[f64]> {
    let contender = call.contender(layer);
    let cell = cells.iter().find(|cell| cell.point == point && cell.contender == contender)?;
    Some(&cell.cpu_ns)
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

/// The reason why a measurement has no result.
#[derive(Debug)]
pub enum MeasureError {
    /// `on_progress` stopped it.
    Stopped,
    /// A workload failed.
    Failed(io::Error),
}

impl From<io::Error> for MeasureError {
    fn from(error: io::Error) -> Self {
        MeasureError::Failed(error)
    }
}

/// Measures all points of `plan` on the same `pipes`. Calls `on_progress` before each run.
///
/// # Errors
///
/// [`MeasureError::Stopped`] if `on_progress` returned `Break`; [`MeasureError::Failed`] if a
/// workload failed.
pub fn measure(
    plan: &Plan,
    pipes: &Pipes,
    mut on_progress: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Vec<Cell>, MeasureError> {
    let mut cells: Vec<Cell> = plan
        .points
        .iter()
        .flat_map(|&point| plan.contenders().map(move |contender| new_cell(point, contender)))
        .collect();
    let per_point = plan.contenders().count();
    let mut done = 0;
    let mut random = Xorshift::default();

    for round in 0..=plan.rounds {
        for cells in cells.chunks_mut(per_point) {
            let mut order: Vec<usize> = (0..per_point).collect();
            for last in (1..per_point).rev() {
                order.swap(last, random.below(last + 1));
            }
            for index in order {
                let cell = &mut cells[index];
                if on_progress(Progress { done, round, point: cell.point }).is_break() {
                    return Err(MeasureError::Stopped);
                }
                match round {
                    0 => calibrate(cell, plan.sample_time, pipes)?,
                    _ => cell.record(run(cell, cell.events, pipes)?),
                }
                done += 1;
            }
        }
    }
    Ok(cells)
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
}

fn run(cell: &Cell, events: u64, pipes: &Pipes) -> io::Result<Measurement> {
    cell.point.workload(events).run(cell.contender, pipes)
}

/// Finds the number of events that take `sample_time`, by runs of increasing length.
fn calibrate(cell: &mut Cell, sample_time: Duration, pipes: &Pipes) -> io::Result<()> {
    loop {
        let measurement = run(cell, cell.events, pipes)?;
        if measurement.wall >= sample_time / 8 {
            cell.events = (sample_time.as_nanos() as f64 / measurement.wall_ns()) as u64;
            return Ok(());
        }
        cell.events = measurement.events * 4;
    }
}
