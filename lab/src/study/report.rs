//! The report of a study: sentences and tables for the reader, samples for programs.

use std::fmt::Write;

use chrono::{SecondsFormat, Utc};
use serde::Serialize;

use super::chart::Chart;
use super::table::Table;
use crate::compare::format::wrapped;
use crate::compare::statistics::Estimate;
use crate::compare::{Machine, busy};

/// What a study has found.
#[derive(Debug, Clone, Serialize)]
pub struct Study {
    /// The version of the format of the JSON.
    pub schema: u32,
    /// The version of tripoll that was measured.
    pub tripoll: &'static str,
    /// When the report was made, in UTC: `2026-01-31T12:00:00Z`.
    pub date: String,
    /// The machine on which it was measured.
    pub machine: Machine,
    /// The name of the workload on the command line.
    pub workload: &'static str,
    /// Whether it was stopped before its end.
    pub stopped: bool,
    /// The conclusions in sentences, the most important first.
    pub sentences: Vec<String>,
    /// Everything that was measured.
    pub figures: Vec<Figure>,
    #[serde(skip)]
    title: &'static str,
    #[serde(skip)]
    tables: Vec<Table>,
    #[serde(skip)]
    charts: Vec<Chart>,
}

/// Something that was measured several times.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// What was measured: `auto`, `epoll`, `p99`.
    pub what: String,
    /// Under which load: `tcp, 1,000 watched, 1 ready`.
    pub at: String,
    /// The unit.
    pub unit: &'static str,
    /// The median of the samples, with its interval.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// The samples.
    pub samples: Vec<f64>,
}

impl Figure {
    pub(super) fn new(
        what: impl Into<String>,
        at: impl Into<String>,
        unit: &'static str,
        samples: &[f64],
    ) -> Self {
        let (what, at) = (what.into(), at.into());
        Figure { what, at, unit, estimate: Estimate::of(samples), samples: samples.to_vec() }
    }
}

/// What a topic hands over to its report.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) sentences: Vec<String>,
    pub(super) tables: Vec<Table>,
    pub(super) charts: Vec<Chart>,
    pub(super) figures: Vec<Figure>,
    /// Whether it was stopped before its end.
    pub(super) stopped: bool,
}

impl Study {
    pub(super) fn new(
        workload: &'static str,
        title: &'static str,
        machine: Machine,
        findings: Findings,
    ) -> Self {
        let Findings { mut sentences, tables, charts, figures, stopped } = findings;
        let of_cpu = figures.iter().filter(|figure| ["cpu_ns", "us"].contains(&figure.unit));
        let spreads: Vec<f64> = of_cpu.map(|figure| figure.estimate.spread()).collect();
        if let Some(warning) = busy(&machine, &spreads) {
            sentences.insert(1, warning);
        }
        if stopped && !sentences.is_empty() {
            let early = "Stopped before the end: the figures are a first impression.";
            sentences.insert(1, early.to_string());
        }
        if cfg!(debug_assertions) {
            let debug = "These figures are of a debug build. Measure again with --release.";
            sentences.push(debug.to_string());
        }
        Study {
            schema: 1,
            tripoll: env!("CARGO_PKG_VERSION"),
            date: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            machine,
            workload,
            stopped,
            sentences,
            figures,
            title,
            tables: tables.into_iter().filter(|table| !table.is_empty()).collect(),
            charts: charts.into_iter().filter(Chart::is_drawn).collect(),
        }
    }

    pub(super) fn title(&self) -> &str {
        self.title
    }

    pub(super) fn charts(&self) -> &[Chart] {
        &self.charts
    }

    pub(super) fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Returns the study as text. No line is longer than `width` columns, and at least 40.
    pub fn text(&self, width: usize) -> String {
        let width = width.max(40);
        let mut text = String::new();
        for sentence in &self.sentences {
            let _ = writeln!(text, "{}", wrapped(sentence, width));
        }
        for table in &self.tables {
            let _ = write!(text, "\n{}\n{}", wrapped(&table.caption, width), table.text(width));
        }
        let _ = writeln!(text, "\n{}", wrapped(&self.machine.to_string(), width));
        text
    }

    /// Returns the study as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", self.title);
        for (index, sentence) in self.sentences.iter().enumerate() {
            let _ = match index {
                0 => writeln!(text, "**{sentence}**\n"),
                _ => writeln!(text, "* {sentence}"),
            };
        }
        for table in &self.tables {
            let _ = write!(text, "\n{}\n\n{}", table.caption, table.markdown());
        }
        let _ = writeln!(text, "\n{}\n\ntripoll {}, {}", self.machine, self.tripoll, self.date);
        text
    }

    /// Returns the figures as CSV (RFC 4180): a row for each.
    pub fn csv(&self) -> String {
        let mut text = String::from("workload,what,at,unit,median,low,high,samples\r\n");
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        for Figure { what, at, unit, estimate, samples } in &self.figures {
            let Estimate { median, low, high } = estimate;
            let _ = write!(
                text,
                "{},{},{},{unit},{median:.3},{low:.3},{high:.3},{}\r\n",
                self.workload,
                quoted(what),
                quoted(at),
                samples.len()
            );
        }
        text
    }
}
