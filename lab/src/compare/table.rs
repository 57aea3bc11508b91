//! The tables of figures.

use std::fmt::Write;

use super::plan::{Call, Plan, Point};
use super::runner::{Cell, samples};
use super::sentences::{grouped, percent};
use super::statistics::Estimate;
use crate::workload::Layer;

/// The table of the ring and the watch table.
#[derive(Debug, Clone)]
pub(super) struct Tables([Table; 2]);

/// A table: a row for each point, and a block of columns for each call.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// What the figures are.
    pub(super) caption: String,
    /// The number of watched and of ready descriptors: the head, then the rows.
    points: Vec<String>,
    /// The columns of each call: the head, then the rows.
    calls: Vec<Vec<String>>,
}

impl Tables {
    pub(super) fn new(plan: &Plan, cells: &[Cell]) -> Self {
        let layer = plan.layer.name();
        let ring = format!(
            "The ring: CPU nanoseconds per event through the {layer}, with its read and write, and \
             the spread. ×raw: relative to the raw C loop of the same call; ×zero: relative to the \
             one that polls with a zero timeout first."
        );
        let watch = format!(
            "The watch table (The Linux Programming Interface, 63-9): CPU seconds per 100,000 \
             operations through the {layer}, with the write and the read; measured on fewer, and \
             scaled."
        );
        let points = |is_ring| {
            let of_kind = move |point: &&Point| matches!(point, Point::Ring { .. }) == is_ring;
            plan.points.iter().copied().filter(move |point| of_kind(&point))
        };
        let nanoseconds = |ns: f64| grouped(ns.round() as usize);
        let seconds = |ns: f64| {
            let seconds = ns * 1e-9 * 100_000.0;
            let digits = if seconds < 1.0 { 3 } else { 1 };
            format!("{seconds:.digits$}")
        };
        Tables([
            Table::new(ring, plan.layer, points(true), cells, nanoseconds),
            Table::new(watch, plan.layer, points(false), cells, seconds),
        ])
    }

    pub(super) fn all(&self) -> &[Table] {
        &self.0
    }
}

impl Table {
    fn new(
        caption: String,
        layer: Layer,
        points: impl Iterator<Item = Point> + Clone,
        cells: &[Cell],
        figure: impl Fn(f64) -> String,
    ) -> Self {
        let columns = |call: Call| {
            let rows = points.clone().map(|point| row(point, call, layer, cells, &figure));
            std::iter::once(head(call)).chain(rows).collect()
        };
        Table {
            caption,
            points: std::iter::once(format!("{:>6} {:>5}", "N", "ready"))
                .chain(points.clone().map(place))
                .collect(),
            calls: Call::ALL.into_iter().map(columns).collect(),
        }
    }

    /// Formats the table. If it is wider than `width` columns, it is divided between two calls.
    pub(super) fn text(&self, width: usize) -> String {
        let columns = |column: &[String]| column[0].chars().count();
        let mut text = String::new();
        let mut rest = &self.calls[..];
        while !rest.is_empty() {
            let mut used = columns(&self.points);
            let fits = rest.iter().take_while(|call| {
                used += columns(call);
                used <= width
            });
            let (block, after) = rest.split_at(fits.count().max(1));
            if !text.is_empty() {
                text.push('\n');
            }
            for (index, point) in self.points.iter().enumerate() {
                let line: String = std::iter::once(point)
                    .chain(block.iter().map(|call| &call[index]))
                    .cloned()
                    .collect();
                let _ = writeln!(text, "{}", line.trim_end());
                if index == 0 {
                    let rule = line.chars().map(|c| if c == '│' { '┼' } else { '─' });
                    let _ = writeln!(text, "{}", rule.collect::<String>());
                }
            }
            rest = after;
        }
        text
    }
}

/// Formats the numbers of a point.
fn place(point: Point) -> String {
    let ready = match point {
        Point::Watch { .. } => "1".to_string(),
        Point::Ring { n, active } if active == 1 || n < 10 => grouped(active),
        Point::Ring { n, active } => percent(active, n),
    };
    format!("{:>6} {ready:>5}", grouped(point.n()))
}

/// Formats the heads of the columns of a call.
fn head(call: Call) -> String {
    let mut head = format!(" │ {:<13}", call.name());
    for layer in call.raw_layers() {
        head.push_str(if *layer == Layer::RawZero { " ×zero" } else { "  ×raw" });
    }
    head
}

/// Formats the figures of a call at a point.
fn row(
    point: Point,
    call: Call,
    layer: Layer,
    cells: &[Cell],
    figure: impl Fn(f64) -> String,
) -> String {
    let of = |layer| samples(cells, point, call, layer);
    let Some(samples) = of(layer) else { return format!(" │{:14}", "") };
    let estimate = Estimate::of(samples);
    let spread = (estimate.spread() * 100.0).min(99.0);
    let mut row = format!(" │{:>9} ±{spread:>2.0}%", figure(estimate.median));
    for &raw in call.raw_layers() {
        if let Some(raw) = of(raw) {
            let _ = write!(row, " {:>5.2}", Estimate::of_ratio(samples, raw).median);
        }
    }
    row
}
