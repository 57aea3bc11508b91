//! The report of `compare`: sentences and tables for the reader, JSON for programs.

use std::fmt::Write;

use chrono::{SecondsFormat, Utc};
use serde::Serialize;

use super::crossing::{LinePoint, segments};
use super::findings::{Axis, Cost, Line, Ratios};
use super::machine::Machine;
use super::plan::{Call, LeftOut, Plan, Point};
use super::runner::{Cell, samples};
use super::sentences::{self, counted};
use super::statistics::Estimate;
use super::table::Tables;
use crate::workload::{Layer, Pipes};

/// All results of a comparison.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The version of tripoll that was measured.
    pub tripoll: &'static str,
    /// When the report was made, in UTC: `2026-01-31T12:00:00Z`.
    pub date: String,
    /// The machine on which it was measured.
    pub machine: Machine,
    /// How it was measured.
    pub config: Config,
    /// The conclusions in sentences, the most important first.
    pub sentences: Vec<String>,
    /// The data of the first sentences.
    pub lines: Vec<Line>,
    /// The cost of the layer, call by call.
    pub costs: Vec<Cost>,
    /// The points that could not be measured.
    pub left_out: Vec<LeftOut>,
    /// The figures of every contender at every point.
    pub cells: Vec<Figure>,
    #[serde(skip)]
    tables: Tables,
}

/// How it was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The version of the format of this report.
    pub version: u32,
    /// The layer of tripoll that is compared with the raw loops.
    pub layer: &'static str,
    /// The number of rounds, without the calibration.
    pub rounds: usize,
    /// How long each contender ran at each point in each round, in milliseconds.
    #[serde(rename = "stretch_ms")]
    pub sample_time_ms: f64,
    /// What the figures measure.
    pub figure: &'static str,
}

/// The figures of one contender at one point.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// The point.
    #[serde(flatten)]
    pub point: Point,
    /// The system call.
    pub backend: &'static str,
    /// The trigger.
    pub trigger: &'static str,
    /// The layer.
    pub layer: &'static str,
    /// The number of events in each sample.
    pub events: u64,
    /// Processor time of an event, in nanoseconds.
    pub cpu_ns: Estimate,
    /// The samples of `cpu_ns`, round by round.
    pub samples_cpu_ns: Vec<f64>,
    /// Wall-clock time of an event, in nanoseconds.
    pub wall_ns: Estimate,
    /// Wall-clock time of a registration, in nanoseconds.
    pub registration_ns: Estimate,
}

impl Report {
    /// Creates the report from the cells that [`measure`](super::measure) returned for `plan`.
    pub fn new(plan: &Plan, machine: Machine, cells: &[Cell]) -> Self {
        let line = |layer: Layer, along: Axis| {
            let (fixed, points): (usize, Vec<_>) = match along {
                Axis::Watched => (1, plan.one_ready().collect()),
                Axis::Ready => (plan.share_n, plan.shares().collect()),
            };
            let segments = segments(&along_of(cells, &points, layer));
            Line { layer: layer.name(), along, fixed, segments }
        };
        let layer_lines = [Axis::Watched, Axis::Ready].map(|along| line(plan.layer, along));
        let raw_lines = [Axis::Watched, Axis::Ready].map(|along| line(Layer::Raw, along));
        let costs: Vec<Cost> =
            Call::ALL.into_iter().filter_map(|call| cost(plan.layer, cells, call)).collect();
        let watch = widest_watch(plan.layer, cells);
        let sentences =
            sentences::sentences(layer_lines.each_ref(), raw_lines.each_ref(), watch, &costs);
        Report {
            tripoll: env!("CARGO_PKG_VERSION"),
            date: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            tables: Tables::new(plan, cells),
            machine,
            config: Config {
                version: 3,
                layer: plan.layer.name(),
                rounds: plan.rounds,
                sample_time_ms: plan.sample_time.as_secs_f64() * 1e3,
                figure: "CPU nanoseconds per event: median, and the interval in which it lies \
                         nine times out of ten",
            },
            sentences,
            lines: layer_lines.into_iter().chain(raw_lines).collect(),
            costs,
            left_out: plan.left_out.clone(),
            cells: cells.iter().map(figure).collect(),
        }
    }

    /// Returns the report as text: the sentences, the tables, the machine.
    ///
    /// No line is longer than `width` columns, and at least 40.
    pub fn text(&self, width: usize) -> String {
        let width = width.max(40);
        let wrapped = |paragraph: &str| wrapped(paragraph, width);
        let mut text = String::new();
        for sentence in &self.sentences {
            let _ = writeln!(text, "{}", wrapped(sentence));
        }
        let max = Pipes::max().unwrap_or_default();
        for row in &self.left_out {
            let row = sentences::left_out(row, self.machine.descriptor_limit, max);
            let _ = writeln!(text, "{}", wrapped(&row));
        }
        if cfg!(debug_assertions) {
            let debug = "These figures are of a debug build. Measure again with --release.";
            let _ = writeln!(text, "{}", wrapped(debug));
        }
        for table in self.tables.all() {
            let _ = write!(text, "\n{}\n{}", wrapped(&table.caption), table.text(width));
        }
        let Config { rounds, sample_time_ms, .. } = self.config;
        let rounds = counted(rounds, "interleaved round");
        let facts = format!("{} · {rounds} of {sample_time_ms:.0} ms a cell", self.machine);
        let _ = writeln!(text, "\n{}", wrapped(&facts));
        text
    }
}

/// Returns the samples of every call through `layer` at each of `points`.
fn along_of<'a>(cells: &'a [Cell], points: &[(usize, Point)], layer: Layer) -> Vec<LinePoint<'a>> {
    let all = |point| {
        let [select, poll, level, edge] = Call::ALL.map(|call| samples(cells, point, call, layer));
        Some([select?, poll?, level?, edge?])
    };
    points.iter().filter_map(|&(x, point)| Some((x, all(point)?))).collect()
}

fn cost(layer: Layer, cells: &[Cell], call: Call) -> Option<Cost> {
    let relative_to = |raw| {
        let ratios: Vec<f64> = cells
            .iter()
            .filter(|cell| cell.contender == call.contender(layer))
            .filter(|cell| matches!(cell.point, Point::Ring { .. }))
            .filter_map(|cell| {
                let raw = samples(cells, cell.point, call, raw)?;
                Some(Estimate::of_ratio(&cell.cpu_ns, raw).median)
            })
            .collect();
        Some(Ratios {
            least: ratios.iter().copied().min_by(f64::total_cmp)?,
            median: Estimate::of(&ratios).median,
            most: ratios.iter().copied().max_by(f64::total_cmp)?,
        })
    };
    Some(Cost {
        call: call.name(),
        to_raw: relative_to(Layer::Raw)?,
        to_raw_zero: relative_to(Layer::RawZero),
    })
}

/// Returns the greatest number of pipes in the watch table, and the ratio of poll to epoll there.
fn widest_watch(layer: Layer, cells: &[Cell]) -> Option<(usize, f64)> {
    let widest = cells.iter().filter(|cell| matches!(cell.point, Point::Watch { .. }));
    let point = widest.map(|cell| cell.point).max()?;
    let poll = samples(cells, point, Call::POLL, layer)?;
    let epoll = samples(cells, point, Call::EPOLL_EDGE, layer)?;
    Some((point.n(), Estimate::of_ratio(poll, epoll).median))
}

fn figure(cell: &Cell) -> Figure {
    Figure {
        point: cell.point,
        backend: cell.contender.backend.name(),
        trigger: cell.contender.trigger.name(),
        layer: cell.contender.layer.name(),
        events: cell.events,
        cpu_ns: cell.estimate(),
        samples_cpu_ns: cell.cpu_ns.clone(),
        wall_ns: Estimate::of(&cell.wall_ns),
        registration_ns: Estimate::of(&cell.registration_ns),
    }
}

/// Breaks a paragraph into lines that fit a terminal.
fn wrapped(sentence: &str, most: usize) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in sentence.split(' ') {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > most {
            text.push_str("\n  ");
            column = 2;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
    }
    text
}
