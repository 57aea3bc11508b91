//! Goes round the plan, and keeps what everything took.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use super::plan::{Call, Plan, Point};
use super::statistics::Estimate;
use crate::workload::{Contender, Dice, Layer, Measurement, Pipes};

/// One contender at one point, with a sample from each round.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Where.
    pub point: Point,
    /// Who.
    pub contender: Contender,
    /// Events in each sample.
    pub events: u64,
    /// Nanoseconds of the processor for an event.
    pub cpu_ns: Vec<f64>,
    /// Nanoseconds by the clock for an event.
    pub wall_ns: Vec<f64>,
    /// Nanoseconds by the clock for registering a descriptor.
    pub registration_ns: Vec<f64>,
}

impl Cell {
    /// The figure: nanoseconds of the processor for an event.
    pub fn estimate(&self) -> Estimate {
        Estimate::of(&self.cpu_ns)
    }
}

/// The samples of `call` through `layer` at `point`.
pub(super) fn samples(cells: &[Cell], point: Point, call: Call, layer: Layer) -> Option<&[f64]> {
    let contender = call.through(layer);
    let cell = cells.iter().find(|cell| cell.point == point && cell.contender == contender)?;
    Some(&cell.cpu_ns)
}

/// How far the measuring is.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Runs done, of [`Plan::runs`].
    pub done: usize,
    /// Round 0 finds out how many events a stretch has, and is not counted.
    pub round: usize,
    /// What comes next.
    pub point: Point,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Ended {
    /// It was asked to stop.
    Stopped,
    /// A workload failed.
    Failed(io::Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Ended::Failed(error)
    }
}

/// Measures everything that the plan has, on the same `pipes`. Before each run `step` is told,
/// and may end it all.
///
/// # Errors
///
/// When `step` said so, and when a workload failed.
pub fn measure(
    plan: &Plan,
    pipes: &Pipes,
    mut step: impl FnMut(Step) -> ControlFlow<()>,
) -> Result<Vec<Cell>, Ended> {
    let mut cells: Vec<Cell> = plan
        .points
        .iter()
        .flat_map(|&point| plan.contenders().map(move |contender| new_cell(point, contender)))
        .collect();
    let at_a_point = plan.contenders().count();
    let mut done = 0;
    let mut dice = Dice::default();

    for round in 0..=plan.rounds {
        for cells in cells.chunks_mut(at_a_point) {
            let mut order: Vec<usize> = (0..at_a_point).collect();
            for last in (1..at_a_point).rev() {
                order.swap(last, dice.throw(last + 1));
            }
            for index in order {
                let cell = &mut cells[index];
                if step(Step { done, round, point: cell.point }).is_break() {
                    return Err(Ended::Stopped);
                }
                match round {
                    0 => calibrate(cell, plan.stretch, pipes)?,
                    _ => cell.take(run(cell, cell.events, pipes)?),
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
    fn take(&mut self, took: Measurement) {
        self.cpu_ns.push(took.cpu_ns());
        self.wall_ns.push(took.wall_ns());
        self.registration_ns.push(took.registration_ns());
    }
}

fn run(cell: &Cell, events: u64, pipes: &Pipes) -> io::Result<Measurement> {
    cell.point.workload(events).run(cell.contender, pipes)
}

/// Finds out how many events fill a stretch, from ever longer runs.
fn calibrate(cell: &mut Cell, stretch: Duration, pipes: &Pipes) -> io::Result<()> {
    loop {
        let took = run(cell, cell.events, pipes)?;
        if took.wall >= stretch / 8 {
            cell.events = (stretch.as_nanos() as f64 / took.wall_ns()) as u64;
            return Ok(());
        }
        cell.events = took.events * 4;
    }
}
