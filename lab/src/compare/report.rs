//! What `compare` found: for the reader in words and tables, for programs as JSON.

use std::fmt::Write;

use serde::Serialize;

use super::crossing::{LinePoint, segments};
use super::findings::{Axis, Cost, Line, Ratios};
use super::machine::Machine;
use super::plan::{Call, LeftOut, Plan, Point};
use super::runner::{Cell, samples};
use super::statistics::Estimate;
use super::{sentences, table};
use crate::workload::{Layer, Pipes};

/// Everything that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// How.
    pub config: Config,
    /// What the figures say, most wanted first.
    pub sentences: Vec<String>,
    /// The lines behind the first sentences.
    pub lines: Vec<Line>,
    /// What our layer costs.
    pub costs: Vec<Cost>,
    /// What could not be measured.
    pub left_out: Vec<LeftOut>,
    /// All figures.
    pub cells: Vec<Figure>,
    #[serde(skip)]
    tables: String,
}

/// How it was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The shape of this report.
    pub version: u32,
    /// Which layer is ours: the one that stands beside the bare loops.
    pub layer: &'static str,
    /// Rounds that count.
    pub rounds: usize,
    /// How long each contender was measured at each point in each round, in milliseconds.
    #[serde(rename = "stretch_ms")]
    pub sample_time_ms: f64,
    /// What the figures are.
    pub figure: &'static str,
}

/// One contender at one point.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// Where.
    #[serde(flatten)]
    pub point: Point,
    /// Which call.
    pub backend: &'static str,
    /// Asked how.
    pub trigger: &'static str,
    /// Through what.
    pub layer: &'static str,
    /// Events in each sample.
    pub events: u64,
    /// Nanoseconds of the processor for an event.
    pub cpu_ns: Estimate,
    /// The same, round by round.
    pub samples_cpu_ns: Vec<f64>,
    /// Nanoseconds by the clock for an event.
    pub wall_ns: Estimate,
    /// Nanoseconds by the clock for registering a descriptor.
    pub registration_ns: Estimate,
}

impl Report {
    /// Draws the conclusions from what [`measure`](super::measure) returned for `plan`.
    pub fn new(plan: &Plan, machine: Machine, cells: &[Cell]) -> Self {
        let line = |layer: Layer, along: Axis| {
            let (fixed, points): (usize, Vec<_>) = match along {
                Axis::Watched => (1, plan.one_ready().collect()),
                Axis::Ready => (plan.share_n, plan.shares().collect()),
            };
            let segments = segments(&along_of(cells, &points, layer));
            Line { layer: layer.name(), along, fixed, segments }
        };
        let ours = [Axis::Watched, Axis::Ready].map(|along| line(plan.layer, along));
        let bare = [Axis::Watched, Axis::Ready].map(|along| line(Layer::Raw, along));
        let costs: Vec<Cost> =
            Call::ALL.into_iter().filter_map(|call| cost(plan.layer, cells, call)).collect();
        let watch = widest_watch(plan.layer, cells);
        let sentences = sentences::sentences(ours.each_ref(), bare.each_ref(), watch, &costs);
        Report {
            tables: table::tables(plan, cells),
            machine,
            config: Config {
                version: 2,
                layer: plan.layer.name(),
                rounds: plan.rounds,
                sample_time_ms: plan.sample_time.as_secs_f64() * 1e3,
                figure: "CPU nanoseconds per event: median, and the interval in which it lies \
                         nine times out of ten",
            },
            sentences,
            lines: ours.into_iter().chain(bare).collect(),
            costs,
            left_out: plan.left_out.clone(),
            cells: cells.iter().map(figure).collect(),
        }
    }

    /// The report as it is read: the sentences, the tables, the machine.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for sentence in &self.sentences {
            let _ = writeln!(text, "{}", wrapped(sentence));
        }
        let most = Pipes::max().unwrap_or_default();
        for row in &self.left_out {
            let row = sentences::left_out(row, self.machine.descriptor_limit, most);
            let _ = writeln!(text, "{}", wrapped(&row));
        }
        if cfg!(debug_assertions) {
            text.push_str("These are the figures of a debug build: ask again with --release.\n");
        }
        let _ = write!(text, "\n{}", self.tables);
        let Config { rounds, sample_time_ms, .. } = self.config;
        let _ = writeln!(
            text,
            "{} · {rounds} interleaved rounds of {sample_time_ms:.0} ms a cell",
            self.machine
        );
        text
    }
}

/// The samples of every call at each of `points`.
fn along_of<'a>(cells: &'a [Cell], points: &[(usize, Point)], layer: Layer) -> Vec<LinePoint<'a>> {
    let all = |point| {
        let [select, poll, level, edge] = Call::ALL.map(|call| samples(cells, point, call, layer));
        Some([select?, poll?, level?, edge?])
    };
    points.iter().filter_map(|&(x, point)| Some((x, all(point)?))).collect()
}

fn cost(ours: Layer, cells: &[Cell], call: Call) -> Option<Cost> {
    let to = |layer| {
        let ratios: Vec<f64> = cells
            .iter()
            .filter(|cell| cell.contender == call.contender(ours))
            .filter(|cell| matches!(cell.point, Point::Ring { .. }))
            .filter_map(|ours| {
                let bare = samples(cells, ours.point, call, layer)?;
                Some(Estimate::of_ratio(&ours.cpu_ns, bare).median)
            })
            .collect();
        Some(Ratios {
            least: ratios.iter().copied().min_by(f64::total_cmp)?,
            median: Estimate::of(&ratios).median,
            most: ratios.iter().copied().max_by(f64::total_cmp)?,
        })
    };
    Some(Cost { call: call.name(), to_raw: to(Layer::Raw)?, to_raw_zero: to(Layer::RawZero) })
}

/// At the widest point of the watch table: how many times poll costs what epoll does.
fn widest_watch(ours: Layer, cells: &[Cell]) -> Option<(usize, f64)> {
    let widest = cells.iter().filter(|cell| matches!(cell.point, Point::Watch { .. }));
    let point = widest.map(|cell| cell.point).max()?;
    let poll = samples(cells, point, Call::POLL, ours)?;
    let epoll = samples(cells, point, Call::EPOLL_EDGE, ours)?;
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

/// A paragraph broken into lines that fit a terminal.
fn wrapped(sentence: &str) -> String {
    const WIDTH: usize = 96;
    let mut text = String::new();
    let mut column = 0;
    for word in sentence.split(' ') {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > WIDTH {
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
