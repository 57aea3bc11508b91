//! The tables of figures.

use std::fmt::Write;

use super::plan::{Call, Plan, Point};
use super::runner::{Cell, samples};
use super::sentences::{grouped, percent};
use super::statistics::Estimate;
use crate::workload::Layer;

/// Formats the table of the ring and the watch table.
pub(super) fn tables(plan: &Plan, cells: &[Cell]) -> String {
    let layer = plan.layer.name();
    let mut text = format!(
        "The ring: CPU nanoseconds per event through the {layer}, with its read and write, and the\n\
         spread. ×raw: relative to the raw C loop of the same call; ×zero: relative to the one that\n\
         polls with a zero timeout first.\n"
    );
    let ring = plan.points.iter().filter(|point| matches!(point, Point::Ring { .. }));
    rows(&mut text, plan.layer, ring, cells, |ns| grouped(ns.round() as usize));
    let _ = write!(
        text,
        "\nThe watch table (The Linux Programming Interface, 63-9): CPU seconds per 100,000 operations\n\
         through the {layer}, with the write and the read; measured on fewer, and scaled.\n"
    );
    let watch = plan.points.iter().filter(|point| matches!(point, Point::Watch { .. }));
    rows(&mut text, plan.layer, watch, cells, |ns| {
        let seconds = ns * 1e-9 * 100_000.0;
        let digits = if seconds < 1.0 { 3 } else { 1 };
        format!("{seconds:.digits$}")
    });
    text.push('\n');
    text
}

fn rows<'a>(
    text: &mut String,
    layer: Layer,
    points: impl Iterator<Item = &'a Point>,
    cells: &[Cell],
    figure: impl Fn(f64) -> String,
) {
    heading(text);
    for &point in points {
        let ready = match point {
            Point::Watch { .. } => "1".to_string(),
            Point::Ring { n, active } if active == 1 || n < 10 => grouped(active),
            Point::Ring { n, active } => percent(active, n),
        };
        let mut line = format!("{:>6} {ready:>6}", grouped(point.n()));
        for call in Call::ALL {
            let of = |layer| samples(cells, point, call, layer);
            let Some(samples) = of(layer) else { continue };
            let estimate = Estimate::of(samples);
            let _ = write!(line, " │{:>9}", figure(estimate.median));
            let _ = write!(line, " ±{:>2.0}%", (estimate.spread() * 100.0).min(99.0));
            for &raw in call.raw_layers() {
                if let Some(raw) = of(raw) {
                    let _ = write!(line, " {:>5.2}", Estimate::of_ratio(samples, raw).median);
                }
            }
        }
        let _ = writeln!(text, "{line}");
    }
}

fn heading(text: &mut String) {
    let mut names = format!("{:>6} {:>6}", "N", "ready");
    for call in Call::ALL {
        let ratios: String = call
            .raw_layers()
            .iter()
            .map(|layer| if *layer == Layer::RawZero { " ×zero" } else { "  ×raw" })
            .collect();
        let _ = write!(names, " │ {:<13}{ratios}", call.name());
    }
    let rule: String = names.chars().map(|c| if c == '│' { '┼' } else { '─' }).collect();
    let _ = writeln!(text, "{names}\n{rule}");
}
