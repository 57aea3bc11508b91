//! What other libraries and bare C loops cost beside tripoll.

use std::fmt::Write;

use serde::Serialize;
use tripoll::{Backend, Trigger};

use super::format::{listed, place};
use super::plan::Plan;
use super::point::Point;
use super::runner::Cell;
use super::statistics::{Estimate, Verdict};
use crate::workload::{Contender, Layer, Peer};

/// How another library compares with tripoll, by one call.
#[derive(Debug, Clone, Serialize)]
pub struct PeerFinding {
    /// The library, or `raw` and `raw-zero` for the bare C loops.
    pub name: &'static str,
    /// The system call.
    pub backend: &'static str,
    /// The trigger.
    pub trigger: &'static str,
    /// The layer of tripoll that it is compared with, by the same call.
    pub layer: &'static str,
    /// Its cost in terms of tripoll's, over all points.
    pub ratio: Estimate,
    /// The same at each point.
    pub points: Vec<RatioAt>,
    #[serde(skip)]
    contender: Contender,
}

/// A ratio at a point.
#[derive(Debug, Clone, Serialize)]
pub struct RatioAt {
    /// The point.
    #[serde(flatten)]
    pub point: Point,
    /// The cost of the other library in terms of tripoll's.
    pub ratio: Estimate,
}

/// Compares all that was measured beside tripoll with what does the same in tripoll. The result is
/// empty if the plan has no other libraries.
pub(super) fn findings(plan: &Plan, cells: &[Cell]) -> Vec<PeerFinding> {
    if plan.beside.is_empty() {
        return Vec::new();
    }
    let samples = |contender: Contender, point: Point| {
        let cell = cells.iter().find(|cell| cell.contender == contender && cell.point == point);
        cell.map(|cell| &cell.cpu_ns[..])
    };
    let finding = |contender: Contender| {
        let ours = contender.counterpart()?;
        let pair =
            |&point: &Point| Some((point, (samples(contender, point)?, samples(ours, point)?)));
        let pairs: Vec<_> = plan.points.iter().filter_map(pair).collect();
        let points: Vec<RatioAt> = pairs
            .iter()
            .map(|&(point, pair)| RatioAt { point, ratio: Estimate::of_ratios(&[pair]) })
            .collect();
        let pairs: Vec<_> = pairs.into_iter().map(|(_, pair)| pair).collect();
        (!pairs.is_empty()).then(|| PeerFinding {
            name: name(contender),
            backend: ours.backend.name(),
            trigger: contender.trigger.name(),
            layer: ours.layer.name(),
            ratio: Estimate::of_ratios(&pairs),
            points,
            contender,
        })
    };
    plan.contenders().filter_map(finding).collect()
}

fn name(contender: Contender) -> &'static str {
    match (contender.layer, contender.backend) {
        (Layer::Raw, Backend::Mio) => "mio",
        (layer, _) => layer.name(),
    }
}

impl PeerFinding {
    /// Returns the call, as it is named in sentences.
    fn call(&self) -> &'static str {
        match (self.backend, self.contender.trigger) {
            ("epoll", Trigger::Edge) => "edge-triggered epoll",
            (backend, _) => backend,
        }
    }

    /// Returns the name in a sentence: `libevent by poll`.
    fn full_name(&self) -> String {
        let name = match self.contender.layer {
            Layer::Raw if self.contender.backend != Backend::Mio => "A C loop that sleeps at once",
            Layer::RawZero => "A C loop that asks first",
            Layer::Peer(Peer::Python) => "Python's selectors",
            _ => self.name,
        };
        format!("{name} by {}", self.call())
    }

    /// Returns the name in a table: `libevent poll`.
    pub(super) fn short_name(&self) -> String {
        let name = match self.contender.layer {
            Layer::Raw if self.contender.backend != Backend::Mio => "C",
            Layer::RawZero => "C, asks first",
            _ => self.name,
        };
        let edge = if self.contender.trigger == Trigger::Edge { " edge" } else { "" };
        format!("{name} {}{edge}", self.backend)
    }

    /// Returns the points with the least and with the greatest ratio.
    fn extremes(&self) -> Option<[&RatioAt; 2]> {
        let by = |a: &&RatioAt, b: &&RatioAt| a.ratio.median.total_cmp(&b.ratio.median);
        Some([self.points.iter().min_by(by)?, self.points.iter().max_by(by)?])
    }

    /// Formats the conclusion.
    fn sentence(&self) -> String {
        let Estimate { median, low, high } = self.ratio;
        let (name, layer) = (self.full_name(), self.layer);
        let mut sentence = match self.ratio.verdict() {
            Verdict::TooClose => format!(
                "{name} and the {layer} of tripoll are too close to call: {median:.2} ({low:.2} to \
                 {high:.2}) times"
            ),
            Verdict::First | Verdict::Second => format!(
                "{name} costs {median:.2} ({low:.2} to {high:.2}) times what the {layer} of tripoll \
                 costs"
            ),
        };
        if let Some([least, most]) = self.extremes()
            && most.ratio.median > least.ratio.median * 1.01
        {
            let _ = write!(
                sentence,
                "; {:.2} at {}, {:.2} at {}",
                least.ratio.median,
                place(least.point),
                most.ratio.median,
                place(most.point)
            );
        }
        sentence + "."
    }
}

/// Formats the conclusions about all of them: a summary, and a sentence for each.
pub(super) fn sentences(findings: &[PeerFinding], missing: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    if !findings.is_empty() {
        all.push(summary(findings));
        all.push(
            "The figures are processor time in terms of tripoll's by the same call, the median of \
             all points. Libraries that call handlers are compared with the reactor, others with \
             the selector. Python reads and writes the byte itself, too."
                .to_string(),
        );
        all.extend(findings.iter().map(PeerFinding::sentence));
    }
    if !missing.is_empty() {
        all.push(format!("Not measured: {}.", listed(missing)));
    }
    all
}

/// Formats how many are dearer, level and cheaper.
fn summary(findings: &[PeerFinding]) -> String {
    let of = |verdict: Verdict| -> Vec<String> {
        let all = findings.iter().filter(|one| one.ratio.verdict() == verdict);
        all.map(PeerFinding::full_name).collect()
    };
    let [cheaper, dearer, level] = [Verdict::First, Verdict::Second, Verdict::TooClose].map(of);
    let cheaper = match &cheaper[..] {
        [] => "none costs less".to_string(),
        names => format!("{} cost less: {}", names.len(), listed(names)),
    };
    format!(
        "Of {} other ways to wait, {} cost more than tripoll, {} are too close to call, and {cheaper}.",
        findings.len(),
        dearer.len(),
        level.len()
    )
}

/// The columns of a table of the ratios: the names, and the figures.
const NAME_COLUMNS: usize = 21;

/// Formats the table. The least and the greatest ratio stand in it where there is room.
pub(super) fn table(findings: &[PeerFinding], width: usize) -> String {
    let is_wide = width >= 60;
    let mut text = format!("{:<NAME_COLUMNS$} ratio   interval", "");
    if is_wide {
        text.push_str("  │  least   most");
    }
    text.push('\n');
    let rule =
        text.trim_end().chars().map(|c| if c == '│' { '┼' } else { '─' }).collect::<String>();
    let _ = writeln!(text, "{rule}");
    for finding in findings {
        let Estimate { median, low, high } = finding.ratio;
        let interval = format!("{low:.2}–{high:.2}");
        let _ =
            write!(text, "{:<NAME_COLUMNS$} {median:>5.2} {interval:>10}", finding.short_name());
        if let Some([least, most]) = finding.extremes().filter(|_| is_wide) {
            let [least, most] = [least, most].map(|at| at.ratio.median);
            let _ = write!(text, "  │ {least:>6.2} {most:>6.2}");
        }
        text.push('\n');
    }
    text
}
