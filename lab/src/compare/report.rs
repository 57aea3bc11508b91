//! The report of `compare`: sentences and tables for the reader, JSON for programs.

use std::fmt::Write;
use std::io;

use chrono::{SecondsFormat, Utc};
use serde::Serialize;

use super::baseline::{Baseline, Changes};
use super::chart::{Chart, Series, colour, form, letter};
use super::crossing::Outcome;
use super::figure::Figure;
use super::figures::Figures;
use super::findings::{Cost, Finding, Ratios};
use super::format::{counted, grouped, wrapped};
use super::machine::Machine;
use super::page::{self, Page};
use super::peer_chart;
use super::peers::{self, PeerFinding};
use super::picture::Picture;
use super::plan::{Call, LeftOut, Line, Plan};
use super::point::Point;
use super::runner::{Cell, Measured};
use super::sentences;
use super::statistics::Estimate;
use super::table::Tables;
use crate::workload::{Layer, Pipes};

/// The version of the format of the JSON. It grows when a field changes its meaning or goes away.
pub(super) const SCHEMA: u32 = 5;

/// All results of a comparison.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The version of the format of this report.
    pub schema: u32,
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
    /// The number of sentences about the calls. The others are about tripoll itself, and stand last.
    #[serde(skip)]
    about_calls: usize,
    /// Where the calls cross, through the layer and then in raw loops.
    pub lines: Vec<Finding>,
    /// The cost of the layer, call by call.
    pub costs: Vec<Cost>,
    /// What other libraries cost, if they were measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<PeerFinding>,
    /// How the figures have changed since an earlier report, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Changes>,
    /// The points that could not be measured.
    pub left_out: Vec<LeftOut>,
    /// The figures of every contender at every point.
    pub cells: Vec<Figure>,
    #[serde(skip)]
    tables: Tables,
    #[serde(skip)]
    charts: Vec<Chart>,
}

/// How it was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// The layer of tripoll that is compared with the raw loops.
    pub layer: &'static str,
    /// What was watched: the names of the kinds, with commas.
    pub kind: String,
    /// The number of rounds, without the calibration.
    pub rounds: usize,
    /// How long each contender ran at each point in each round, in milliseconds.
    #[serde(rename = "stretch_ms")]
    pub sample_time_ms: f64,
    /// What the figures measure.
    pub figure: &'static str,
}

impl Report {
    /// Creates the report from what [`measure`](super::measure) returned for `plan`.
    pub fn new(plan: &Plan, machine: Machine, measured: &Measured) -> Self {
        let cells = &measured.cells;
        let figures = Figures(cells);
        let outcomes = |layer: Layer| -> Vec<Outcome> {
            plan.lines.iter().map(|line| figures.meet(line, plan.rivals(), layer)).collect()
        };
        let [of_layer, of_raw] = [plan.layer, Layer::Raw].map(outcomes);
        let costs: Vec<Cost> =
            plan.calls.iter().filter_map(|&call| cost(plan.layer, cells, call)).collect();

        let of_layer_only = cells.iter().filter(|cell| cell.contender.layer == plan.layer);
        let spreads: Vec<f64> = of_layer_only.map(|cell| cell.estimate().spread()).collect();
        let stopped = measured.stopped.then(|| sentences::stopped(measured.rounds, plan));
        let warnings = stopped.into_iter().chain(sentences::busy(&machine, &spreads)).collect();
        let peers = peers::findings(plan, cells);
        let mut sentences = peers::sentences(&peers, &plan.missing);
        sentences.extend(sentences::about_calls(plan, figures, warnings, &of_layer));
        let about_calls = sentences.len();
        sentences.extend(sentences::about_tripoll(plan, &of_raw, &costs));

        let charts = plan.lines.iter().zip(&of_layer);
        let charts = charts.map(|(line, outcome)| chart(plan, figures, line, outcome));
        let charts = charts.filter(Chart::is_drawn).collect();
        let findings = |layer: Layer, outcomes: Vec<Outcome>| {
            let lines = plan.lines.iter().zip(outcomes);
            lines.map(move |(line, outcome)| {
                Finding::new(layer.name(), line, plan.rivals(), outcome)
            })
        };
        Report {
            schema: SCHEMA,
            tripoll: env!("CARGO_PKG_VERSION"),
            date: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            tables: Tables::new(plan, figures),
            charts,
            machine,
            config: Config {
                layer: plan.layer.name(),
                kind: plan.kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(","),
                rounds: measured.rounds,
                sample_time_ms: plan.sample_time.as_secs_f64() * 1e3,
                figure: "CPU nanoseconds per event: median, and the interval in which it lies \
                         nine times out of ten",
            },
            sentences,
            about_calls,
            lines: findings(plan.layer, of_layer).chain(findings(Layer::Raw, of_raw)).collect(),
            costs,
            peers,
            baseline: None,
            left_out: plan.left_out.clone(),
            cells: cells.iter().map(Figure::of).collect(),
        }
    }

    /// Says how the figures have changed since an earlier report, in sentences behind the answer.
    pub fn compare_with(&mut self, baseline: &Baseline) {
        let changes = Changes::new(self.config.layer, &self.machine, &self.cells, baseline);
        for (index, sentence) in changes.sentences().into_iter().enumerate() {
            self.sentences.insert(1 + index, sentence);
            self.about_calls += 1;
        }
        self.baseline = Some(changes);
    }

    /// Returns the report as one page of HTML, with charts. It needs no network and no script.
    /// `command` is the command that makes such a report.
    ///
    /// # Errors
    ///
    /// `Other` if a chart cannot be drawn.
    pub fn html(&self, command: &str) -> io::Result<String> {
        let summary = self.sentences.first().map_or("", String::as_str);
        let peers = match self.peers.is_empty() {
            true => String::new(),
            false => peer_chart::html(&self.peers, summary, command)?,
        };
        page::html(&Page {
            sentences: &self.sentences,
            peers: &peers,
            charts: &self.charts,
            tables: &self.tables_of_calls(100, false),
            machine: &self.machine,
            made: &format!("tripoll {}, {}", self.tripoll, self.date),
            command,
        })
    }

    /// Returns the first chart as a picture of its own, as SVG, with its date and machine. `command`
    /// is the command that makes such a picture.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there is no chart: a line of two points is needed. `Other` if it cannot be
    /// drawn.
    pub fn svg(&self, command: &str) -> io::Result<String> {
        let none = "there is no chart: measure two or more numbers of descriptors";
        let chart = self.charts.first();
        let chart = chart.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, none))?;
        let day = self.date.split('T').next().unwrap_or_default();
        let calls = chart.series.iter().map(|series| series.call);
        Ok(Picture {
            title: &chart.title,
            legend: calls.map(|call| (colour(call), form(call), call.name())).collect(),
            chart: chart.svg()?,
            sentence: &chart.sentence,
            facts: [
                self.machine.to_string(),
                format!("{day}, tripoll {}: {command}", self.tripoll),
            ],
        }
        .svg())
    }

    /// Returns the tables of what an event costs by each call.
    fn tables_of_calls(&self, width: usize, colour: bool) -> String {
        let tables = self.tables.calls.iter().filter(|table| !table.is_empty());
        let tables = tables.map(|table| {
            format!("\n{}\n{}", wrapped(&table.caption, width), table.text(width, colour))
        });
        tables.collect()
    }

    /// Returns the report as text: the answer, the tables, what tripoll costs, the machine.
    ///
    /// No line is longer than `width` columns, and at least 40. With `colour`, the cheapest figures
    /// are green.
    pub fn text(&self, width: usize, colour: bool) -> String {
        let width = width.max(40);
        let mut text = String::new();
        let paragraph = |text: &mut String, paragraph: &str| {
            let _ = writeln!(text, "{}", wrapped(paragraph, width));
        };
        let (about_calls, about_tripoll) = self.sentences.split_at(self.about_calls);
        about_calls.iter().for_each(|sentence| paragraph(&mut text, sentence));
        let max = Pipes::max().unwrap_or_default();
        for row in &self.left_out {
            let row = sentences::left_out(row, self.machine.descriptor_limit, max);
            paragraph(&mut text, &row);
        }
        if cfg!(debug_assertions) {
            let debug = "These figures are of a debug build. Measure again with --release.";
            paragraph(&mut text, debug);
        }
        if let Some(chart) = self.charts.first() {
            let calls = chart.series.iter().map(|series| series.call);
            let legend: Vec<String> =
                calls.map(|call| format!("{} {}", letter(call), call.name())).collect();
            let caption = format!(
                "{} (left to right), in nanoseconds: {}, * several. Both scales are logarithmic.",
                chart.title,
                legend.join(", ")
            );
            text.push('\n');
            paragraph(&mut text, &caption);
            text.push_str(&chart.text(width));
        }
        if !self.peers.is_empty() {
            let caption = "What other libraries cost, in terms of tripoll by the same call; the \
                           interval has nine of ten medians. C: a bare loop.";
            text.push('\n');
            paragraph(&mut text, caption);
            text.push_str(&peers::table(&self.peers, width));
        }
        text.push_str(&self.tables_of_calls(width, colour));
        text.push('\n');
        about_tripoll.iter().for_each(|sentence| paragraph(&mut text, sentence));
        text.push('\n');
        paragraph(&mut text, &self.tables.layer.caption);
        text.push_str(&self.tables.layer.text(width, colour));
        let Config { rounds, sample_time_ms, .. } = self.config;
        let rounds = counted(rounds, "interleaved round");
        let facts = format!("{} · {rounds} of {sample_time_ms:.0} ms a cell", self.machine);
        text.push('\n');
        paragraph(&mut text, &facts);
        text
    }
}

/// Returns the chart of a line.
fn chart(plan: &Plan, figures: Figures<'_>, line: &Line, outcome: &Outcome) -> Chart {
    let series = |&call: &Call| {
        let cost = |(x, point): (usize, Point)| {
            let ns = figures.ns(point, call, plan.layer)?;
            Some((x as f64, ns * point.ready() as f64))
        };
        Series { call, points: line.points().filter_map(cost).collect() }
    };
    let x_label = match line {
        Line::Watched { .. } => "watched".to_string(),
        Line::Ready { n, .. } => format!("ready of {}", grouped(*n)),
    };
    let crossing = match *outcome {
        Outcome::Cross(crossing) => Some(crossing),
        _ => None,
    };
    Chart {
        title: sentences::title(line),
        x_label,
        series: plan.calls.iter().map(series).collect(),
        crossing,
        sentence: sentences::about_line(line, outcome, plan.rivals()),
    }
}

fn cost(layer: Layer, cells: &[Cell], call: Call) -> Option<Cost> {
    let relative_to = |raw| {
        let ratios: Vec<f64> = cells
            .iter()
            .filter(|cell| cell.contender == call.contender(layer))
            .filter(|cell| cell.point.style().is_some())
            .filter_map(|cell| {
                let raw = Figures(cells).samples(cell.point, call, raw)?;
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
