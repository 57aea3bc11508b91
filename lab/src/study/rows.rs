//! Operations that are measured in several passes: wall-clock time, processor time, system calls.

use std::io;
use std::time::{Duration, Instant};

use super::report::{Figure, Findings};
use super::table::Table;
use crate::compare::format::grouped;
use crate::compare::statistics::{Estimate, median};
use crate::workload::cpu_time;

/// What an operation cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    /// Wall-clock time, in nanoseconds.
    pub(super) wall: f64,
    /// Processor time of this thread, in nanoseconds.
    pub(super) cpu: f64,
    /// System calls, if they are counted.
    pub(super) calls: Option<f64>,
}

/// Measures so many operations of this thread.
pub(super) fn timed(count: usize, body: impl FnOnce() -> io::Result<()>) -> io::Result<Cost> {
    let start = (Instant::now(), cpu_time());
    body()?;
    let each = |time: Duration| time.as_nanos() as f64 / count as f64;
    let (wall, cpu) = (each(start.0.elapsed()), each(cpu_time() - start.1));
    Ok(Cost { wall, cpu, calls: None })
}

/// An operation with its samples.
struct Row {
    what: String,
    at: String,
    wall: Vec<f64>,
    cpu: Vec<f64>,
    calls: Option<f64>,
}

/// The operations, in the order of the table.
#[derive(Default)]
pub(super) struct Rows(Vec<Row>);

impl Rows {
    /// Adds a sample.
    pub(super) fn add(&mut self, what: &str, at: &str, cost: Cost) {
        let index = self.0.iter().position(|row| row.what == what && row.at == at);
        let index = index.unwrap_or_else(|| {
            let (what, at) = (what.to_string(), at.to_string());
            self.0.push(Row { what, at, wall: Vec::new(), cpu: Vec::new(), calls: None });
            self.0.len() - 1
        });
        let row = &mut self.0[index];
        row.wall.push(cost.wall);
        row.cpu.push(cost.cpu);
        row.calls = cost.calls.or(row.calls);
    }

    fn find(&self, what: &str, at: &str) -> Option<&Row> {
        self.0.iter().find(|row| row.what == what && row.at == at)
    }

    /// Returns the processor time of an operation, in nanoseconds.
    pub(super) fn cpu(&self, what: &str, at: &str) -> Option<f64> {
        self.find(what, at).map(|row| median(&row.cpu))
    }

    /// Returns the wall-clock time of an operation, in nanoseconds.
    pub(super) fn wall(&self, what: &str, at: &str) -> Option<f64> {
        self.find(what, at).map(|row| median(&row.wall))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the findings with their table and figures.
    pub(super) fn findings(&self, caption: &str, sentences: Vec<String>) -> Findings {
        let heads = ["", "among", "wall ns", "±", "CPU ns", "±", "calls"];
        let mut table = Table::new(caption, 2, &heads);
        let mut findings = Findings { sentences, ..Findings::default() };
        for Row { what, at, wall, cpu, calls } in &self.0 {
            let ns = |samples: &[f64]| grouped(median(samples).round() as usize);
            let spread =
                |samples: &[f64]| format!("{:.0}%", Estimate::of(samples).spread() * 100.0);
            table.push(vec![
                what.clone(),
                at.clone(),
                ns(wall),
                spread(wall),
                ns(cpu),
                spread(cpu),
                calls.map_or(String::new(), |calls| format!("{calls:.2}")),
            ]);
            findings.figures.push(Figure::new(what.as_str(), at.as_str(), "wall_ns", wall));
            findings.figures.push(Figure::new(what.as_str(), at.as_str(), "cpu_ns", cpu));
        }
        findings.tables.push(table);
        findings
    }
}
