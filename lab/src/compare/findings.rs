//! The conclusions from the figures, as data.

use serde::Serialize;

use super::crossing::Segment;

/// A line of points, and the cheapest calls along it.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// The layer through which the calls were measured.
    pub layer: &'static str,
    /// The number that grows along the line.
    pub along: Axis,
    /// The other number, which is the same at each point.
    pub fixed: usize,
    /// The cheapest calls, part by part.
    pub segments: Vec<Segment>,
}

/// The number that grows along a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// The number of watched descriptors, one of which is ready.
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
