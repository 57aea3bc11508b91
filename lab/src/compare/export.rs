//! The report as Markdown and as CSV.

use std::fmt::Write;

use super::figure::Figure;
use super::format::{grouped, on_kind};
use super::point::Point;
use super::report::Report;

/// The columns of the CSV.
const COLUMNS: &str = "workload,watched,ready,changes,layer,backend,trigger,events,samples,\
                       cpu_ns,cpu_ns_low,cpu_ns_high,wall_ns,wall_ns_low,wall_ns_high,\
                       registration_ns,kind";

impl Report {
    /// Returns the figures as CSV (RFC 4180): a row for each contender at each point. Times are in
    /// nanoseconds for an event; `low` and `high` are the ends of the 90 % interval of the median.
    pub fn csv(&self) -> String {
        let mut text = format!("{COLUMNS}\r\n");
        for cell in &self.cells {
            let Figure { backend, trigger, layer, events, .. } = *cell;
            let changes = cell.point.style().map_or(0, |style| style.changes);
            let _ = write!(
                text,
                "{},{},{},{changes},{layer},{backend},{trigger},{events},{}",
                workload(cell.point),
                cell.point.n(),
                cell.point.ready(),
                cell.samples_cpu_ns.len()
            );
            for estimate in [cell.cpu_ns, cell.wall_ns] {
                for ns in [estimate.median, estimate.low, estimate.high] {
                    let _ = write!(text, ",{ns:.1}");
                }
            }
            let kind = cell.point.kind().name();
            let _ = write!(text, ",{:.1},{kind}\r\n", cell.registration_ns.median);
        }
        text
    }

    /// Returns the report as Markdown: the sentences, a table of what an event costs by each call,
    /// and the machine.
    pub fn markdown(&self) -> String {
        let mut text = String::from("# select, poll and epoll on this machine\n\n");
        for (index, sentence) in self.sentences.iter().enumerate() {
            let _ = match index {
                0 => writeln!(text, "**{}**\n", escaped(sentence)),
                _ => writeln!(text, "* {}", escaped(sentence)),
            };
        }
        let mut contenders: Vec<[&str; 3]> = Vec::new();
        let mut points: Vec<Point> = Vec::new();
        for cell in &self.cells {
            let contender = [cell.layer, cell.backend, cell.trigger];
            if !contenders.contains(&contender) {
                contenders.push(contender);
            }
            if points.last() != Some(&cell.point) {
                points.push(cell.point);
            }
        }
        let _ = writeln!(
            text,
            "\nProcessor time for an event, in nanoseconds, with half the width of its 90 % \
             interval.\n"
        );
        text.push_str("| load | watched | ready |");
        for [layer, backend, trigger] in &contenders {
            let edge = if *trigger == "edge" { " edge" } else { "" };
            let _ = write!(text, " {layer} {backend}{edge} |");
        }
        let _ = writeln!(text, "\n|---|{}", "---:|".repeat(2 + contenders.len()));
        for point in points {
            let _ = write!(
                text,
                "| {} | {} | {} |",
                load(point),
                grouped(point.n()),
                grouped(point.ready())
            );
            for contender in &contenders {
                let is_it = |cell: &&Figure| {
                    cell.point == point && [cell.layer, cell.backend, cell.trigger] == *contender
                };
                let _ = match self.cells.iter().find(is_it) {
                    Some(Figure { cpu_ns, .. }) => {
                        let ns = grouped(cpu_ns.median.round() as usize);
                        write!(text, " {ns} ±{:.0}% |", cpu_ns.spread() * 100.0)
                    }
                    None => write!(text, " |"),
                };
            }
            text.push('\n');
        }
        let _ = writeln!(text, "\n{}\n", escaped(&self.machine.to_string()));
        let _ = writeln!(text, "tripoll {}, {}", self.tripoll, self.date);
        text
    }
}

/// Returns the name of a point's workload, as in the JSON.
fn workload(point: Point) -> &'static str {
    match point {
        Point::Watch { .. } => "watch",
        Point::Ring { .. } => "ring",
        Point::Sleep { .. } => "sleep",
    }
}

/// Returns the name of a point's workload, with its changes of interest.
fn load(point: Point) -> String {
    let on = on_kind(point.kind());
    match point {
        Point::Ring { changes, .. } if changes > 0 => format!("ring{on}, {changes} changes"),
        _ => format!("{}{on}", workload(point)),
    }
}

/// Escapes what Markdown would read as a mark.
fn escaped(text: &str) -> String {
    text.replace('*', "\\*").replace('_', "\\_").replace('<', "&lt;").replace('|', "\\|")
}
