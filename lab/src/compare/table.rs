//! The tables of figures.

use std::fmt::Write;

use super::figures::Figures;
use super::format::{grouped, of_style, on_kind, percent};
use super::plan::{Call, Plan};
use super::point::{Point, Style};
use super::statistics::{Estimate, Verdict};
use crate::workload::{Kind, Layer};

/// The tables of the report.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    /// What an event costs by each call: a table for each style, and the watch table.
    pub(super) calls: Vec<Table>,
    /// What the layer costs beside the raw loops.
    pub(super) layer: Table,
}

/// A table: a row for each point, and a block of columns for each call.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// What the figures are.
    pub(super) caption: String,
    /// The number of watched and of ready descriptors: the head, then the rows.
    points: Vec<String>,
    /// The columns of each call: the head, then the rows.
    calls: Vec<Vec<TableCell>>,
}

/// The figures of a call at a point.
#[derive(Debug, Clone)]
struct TableCell {
    text: String,
    /// Whether no other call of its row is cheaper for certain.
    cheapest: bool,
}

/// What makes the cheapest figures green on a terminal, and what ends that.
const GREEN: [&str; 2] = ["\x1b[32m", "\x1b[0m"];

impl Tables {
    pub(super) fn new(plan: &Plan, figures: Figures<'_>) -> Self {
        let ring = |style: Style| {
            format!(
                "Nanoseconds for an event{}, by the number of watched and of ready descriptors. The \
                 spread (±) has nine of ten medians. *: the cheapest, and all that are too close to \
                 it to call.",
                of_style(style)
            )
        };
        let watch = |kind: Kind| {
            format!(
                "Seconds for 100,000 times{}: a write to a random one of the watched descriptors, a \
                 wait, and a read (table 63-9 of The Linux Programming Interface).",
                on_kind(kind)
            )
        };
        let layer = format!(
            "The cost of the {} of tripoll beside bare C loops that make the same calls; 1.00 is \
             equal. sleeps: beside one that sleeps at once, without asking first.",
            plan.layer.name()
        );
        let nanoseconds = |ns: f64| grouped(ns.round() as usize);
        let seconds = |ns: f64| {
            let seconds = ns * 1e-9 * 100_000.0;
            let digits = if seconds < 1.0 { 3 } else { 1 };
            format!("{seconds:.digits$}")
        };
        let ring_points: Vec<Point> = plan.ring().collect();
        let of_style = |style: Option<Style>| -> Vec<Point> {
            plan.points.iter().copied().filter(|point| point.style() == style).collect()
        };
        let mut calls: Vec<Table> = plan
            .styles()
            .into_iter()
            .map(|style| {
                let points = of_style(Some(style));
                Table::of_calls(&ring(style), &points, plan.layer, figures, nanoseconds)
            })
            .collect();
        calls.extend(plan.kinds.iter().map(|&kind| {
            let mut points = of_style(None);
            points.retain(|point| point.kind() == kind);
            Table::of_calls(&watch(kind), &points, plan.layer, figures, seconds)
        }));
        Tables { calls, layer: Table::of_layer(layer, &ring_points, plan.layer, figures) }
    }
}

impl Table {
    /// Creates a table of what an event costs.
    fn of_calls(
        caption: &str,
        points: &[Point],
        layer: Layer,
        figures: Figures<'_>,
        figure: impl Fn(f64) -> String,
    ) -> Self {
        Table::new(caption.to_string(), points, figures, layer, |call| {
            let rows = points.iter().map(|&point| cost(point, call, layer, figures, &figure));
            std::iter::once(TableCell::plain(format!(" │ {:<13}", call.name())))
                .chain(rows)
                .collect()
        })
    }

    /// Creates a table of what the layer costs.
    fn of_layer(caption: String, points: &[Point], layer: Layer, figures: Figures<'_>) -> Self {
        Table::new(caption, points, figures, layer, |call| {
            let rows = points.iter().map(|&point| ratios(point, call, layer, figures));
            let head = TableCell::plain(layer_head(call));
            std::iter::once(head).chain(rows).collect()
        })
    }

    fn new(
        caption: String,
        points: &[Point],
        figures: Figures<'_>,
        layer: Layer,
        columns: impl Fn(Call) -> Vec<TableCell>,
    ) -> Self {
        let measured =
            |call: &Call| points.iter().any(|&p| figures.samples(p, *call, layer).is_some());
        let calls = Call::ALL.into_iter().filter(measured).map(columns).collect();
        let head = std::iter::once(format!("{:>7} {:>5}", "watched", "ready"));
        Table { caption, points: head.chain(points.iter().copied().map(numbers)).collect(), calls }
    }

    /// Returns whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty() || self.points.len() < 2
    }

    /// Formats the table. If it is wider than `width` columns, it is divided between two calls.
    /// With `colour`, the cheapest figures are green.
    pub(super) fn text(&self, width: usize, colour: bool) -> String {
        let columns = |text: &str| text.chars().count();
        let mut text = String::new();
        let mut rest = &self.calls[..];
        while !rest.is_empty() {
            let mut used = columns(&self.points[0]);
            let fits = rest.iter().take_while(|call| {
                used += columns(&call[0].text);
                used <= width
            });
            let (block, after) = rest.split_at(fits.count().max(1));
            if !text.is_empty() {
                text.push('\n');
            }
            for (index, point) in self.points.iter().enumerate() {
                let cells = block.iter().map(|call| &call[index]);
                let line = cells.fold(point.clone(), |line, cell| line + &cell.coloured(colour));
                let line = line.trim_end();
                let _ = writeln!(text, "{line}");
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

impl TableCell {
    fn plain(text: String) -> Self {
        TableCell { text, cheapest: false }
    }

    /// Returns the text. The rule at its left keeps its colour.
    fn coloured(&self, colour: bool) -> String {
        match self.text.strip_prefix(" │") {
            Some(figures) if colour && self.cheapest => {
                format!(" │{}{figures}{}", GREEN[0], GREEN[1])
            }
            _ => self.text.clone(),
        }
    }
}

/// Formats the numbers of a point.
fn numbers(point: Point) -> String {
    let ready = match point {
        Point::Watch { .. } | Point::Sleep { .. } => "1".to_string(),
        Point::Ring { n, active, .. } if active == 1 || n < 10 => grouped(active),
        Point::Ring { n, active, .. } => percent(active, n),
    };
    format!("{:>7} {ready:>5}", grouped(point.n()))
}

/// Formats the cost of a call at a point.
fn cost(
    point: Point,
    call: Call,
    layer: Layer,
    figures: Figures<'_>,
    figure: impl Fn(f64) -> String,
) -> TableCell {
    let Some(samples) = figures.samples(point, call, layer) else {
        return TableCell::plain(format!(" │{:14}", ""));
    };
    let is_cheaper = |&other: &Call| {
        let ratio = figures.ratio(point, [call, other], layer);
        other != call && ratio.is_some_and(|ratio| ratio.verdict() == Verdict::Second)
    };
    let cheapest = !Call::ALL.iter().any(is_cheaper);
    let mark = if cheapest { '*' } else { ' ' };
    let estimate = Estimate::of(samples);
    let spread = (estimate.spread() * 100.0).min(99.0);
    let text = format!(" │{:>8}{mark} ±{spread:>2.0}%", figure(estimate.median));
    TableCell { text, cheapest }
}

/// Formats the heads of the ratios of a call.
fn layer_head(call: Call) -> String {
    match call.raw_layers() {
        [_] => format!(" │ {:>11}", call.name()),
        _ => format!(" │ {:>6} sleeps", call.name()),
    }
}

/// Formats the cost of the layer relative to the raw loops of a call.
fn ratios(point: Point, call: Call, layer: Layer, figures: Figures<'_>) -> TableCell {
    let to = |raw| {
        let samples = figures.samples(point, call, layer).zip(figures.samples(point, call, raw));
        let ratio = samples.map(|(ours, raw)| Estimate::of_ratio(ours, raw).median);
        ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"))
    };
    TableCell::plain(match call.raw_layers() {
        [raw] => format!(" │ {:>11}", to(*raw)),
        [raw, zero, ..] => format!(" │ {:>6} {:>6}", to(*zero), to(*raw)),
        [] => String::new(),
    })
}
