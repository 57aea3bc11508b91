//! The conclusions from the figures, as data.

use serde::Serialize;

use super::crossing::Outcome;
use super::format::{grouped, percent};
use super::plan::{Call, Line};
use super::point::{Active, Style};
use crate::workload::Kind;

/// A line of points, and where two calls cross on it.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The layer through which the calls were measured.
    pub layer: &'static str,
    /// The number that grows along the line.
    pub along: Axis,
    /// The other number, which is the same at each point: `1`, `10%`, `1,000`.
    pub fixed: String,
    /// How often each event changes the interest of its descriptor.
    pub changes: u8,
    /// Whether each wait sleeps.
    pub sleeps: bool,
    /// What is watched.
    pub kind: Kind,
    /// The two calls.
    pub calls: [String; 2],
    /// How their costs compare.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Finding {
    /// Returns the conclusion about a line.
    pub(super) fn new(
        layer: &'static str,
        line: &Line,
        calls: [Call; 2],
        outcome: Outcome,
    ) -> Self {
        let (along, fixed) = match *line {
            Line::Watched { active: Active::Count(count), .. } => (Axis::Watched, grouped(count)),
            Line::Watched { active: Active::PerMille(share), .. } => {
                (Axis::Watched, percent(share, 1_000))
            }
            Line::Ready { n, .. } => (Axis::Ready, grouped(n)),
        };
        let Style { changes, sleeps, kind } = line.style();
        let calls = calls.map(Call::name);
        Finding { layer, along, fixed, changes, sleeps, kind, calls, outcome }
    }
}

/// The number that grows along a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// The number of watched descriptors.
    Watched,
    /// The number of ready descriptors, of a fixed number that are watched.
    Ready,
}

/// The cost of a layer of tripoll for one call.
#[derive(Debug, Clone, Serialize)]
pub struct Cost {
    /// The call.
    pub call: String,
    /// Relative to the raw loop.
    pub to_raw: Ratios,
    /// Relative to the raw loop that calls with a zero timeout first, for calls that have one.
    pub to_raw_zero: Option<Ratios>,
}

/// The ratios at the points of the ring.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Ratios {
    /// The least of all points.
    pub least: f64,
    /// The median of all points.
    pub median: f64,
    /// The greatest of all points.
    pub most: f64,
}
