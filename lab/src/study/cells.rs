//! The bare calls under some loads, measured in interleaved rounds.

use std::io;
use std::time::Duration;

use tripoll::{Backend, Trigger};

use super::options::Steps;
use crate::compare::statistics::{Estimate, median};
use crate::workload::{Contender, Layer, Pipes, Workload, Xorshift};

/// A load of a bare loop over the C library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// A random one of so many is ready.
    Watch(usize),
    /// The ring.
    Ring { n: usize, active: usize, changes: u8 },
}

/// A call under a load, with its samples in nanoseconds of processor time an event.
#[derive(Debug)]
struct Cell {
    load: Load,
    backend: Backend,
    trigger: Trigger,
    events: u64,
    samples: Vec<f64>,
}

impl Cell {
    fn run(&self, events: u64, pipes: &Pipes) -> io::Result<crate::workload::Measurement> {
        let Cell { load, backend, trigger, .. } = *self;
        let workload = match load {
            Load::Watch(n) => Workload::Watch { n, operations: events.max(4) },
            Load::Ring { n, active, changes } => {
                let writes = events.max(16).next_multiple_of(active as u64);
                Workload::Ring { n, active, writes, changes }
            }
        };
        workload.run(Contender { layer: Layer::Raw, backend, trigger }, pipes)
    }
}

/// All that is measured.
#[derive(Debug, Default)]
pub(super) struct Cells(Vec<Cell>);

impl Cells {
    /// Adds what has to be measured, once.
    pub(super) fn want(&mut self, load: Load, backend: Backend, trigger: Trigger) {
        if self.find(load, backend, trigger).is_none() {
            self.0.push(Cell { load, backend, trigger, events: 0, samples: Vec::new() });
        }
    }

    fn find(&self, load: Load, backend: Backend, trigger: Trigger) -> Option<&Cell> {
        self.0
            .iter()
            .find(|cell| (cell.load, cell.backend, cell.trigger) == (load, backend, trigger))
    }

    /// Measures all of them in each round, in random order, for about `time` each. Returns whether it
    /// was stopped, after whole rounds.
    pub(super) fn measure(
        &mut self,
        rounds: usize,
        time: Duration,
        pipes: &Pipes,
        steps: &mut Steps<'_>,
    ) -> io::Result<bool> {
        let mut random = Xorshift::default();
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        let all = ((rounds + 1) * order.len()) as f64;
        for round in 0..=rounds {
            for last in (1..order.len()).rev() {
                order.swap(last, random.below(last + 1));
            }
            let mut samples = Vec::new();
            for (done, &index) in order.iter().enumerate() {
                let text = match round {
                    0 => "calibration".to_string(),
                    _ => format!("round {round} of {rounds}"),
                };
                if steps((round * order.len() + done) as f64 / all, &text).is_break() {
                    return Ok(true);
                }
                let cell = &mut self.0[index];
                match round {
                    0 => {
                        let mut events = 16;
                        let measurement = loop {
                            let measurement = cell.run(events, pipes)?;
                            if measurement.wall * 8 >= time {
                                break measurement;
                            }
                            events = measurement.events * 4;
                        };
                        cell.events = (time.as_nanos() as f64 / measurement.wall_ns()) as u64;
                    }
                    _ => samples.push((index, cell.run(cell.events, pipes)?.cpu_ns())),
                }
            }
            samples.into_iter().for_each(|(index, sample)| self.0[index].samples.push(sample));
        }
        Ok(false)
    }

    /// Returns what an event costs.
    pub(super) fn ns(&self, load: Load, backend: Backend, trigger: Trigger) -> f64 {
        self.find(load, backend, trigger).map_or(f64::NAN, |cell| median(&cell.samples))
    }

    /// Returns what one costs in terms of another.
    pub(super) fn ratio(
        &self,
        (load, backend, trigger): (Load, Backend, Trigger),
        other: (Load, Backend, Trigger),
    ) -> Estimate {
        let samples =
            |cell: Option<&Cell>| cell.map(|cell| cell.samples.clone()).unwrap_or_default();
        let a = samples(self.find(load, backend, trigger));
        let b = samples(self.find(other.0, other.1, other.2));
        Estimate::of_ratio(&a, &b)
    }

    /// Returns the names, the loads and the samples of all.
    pub(super) fn all(&self) -> impl Iterator<Item = (String, String, &[f64])> {
        self.0.iter().map(|cell| {
            let at = match cell.load {
                Load::Watch(n) => format!("watch, {n} watched"),
                Load::Ring { n, active, changes } => {
                    format!("ring, {n} watched, {active} ready, {changes} changes")
                }
            };
            let trigger = if cell.trigger == Trigger::Edge { " edge" } else { "" };
            (format!("{}{trigger}", cell.backend.name()), at, cell.samples.as_slice())
        })
    }
}
