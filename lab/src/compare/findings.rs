//! What is concluded from the figures, before it is put in words.

use serde::Serialize;

use super::crossing::Segment;

/// A line of points, and who is cheapest along it.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// Through which layer.
    pub layer: &'static str,
    /// What grows along the line.
    pub along: Axis,
    /// How many of the other there are at each point.
    pub fixed: usize,
    /// Who is cheapest where.
    pub segments: Vec<Segment>,
}

/// What grows along a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// Descriptors watched, one of them ready.
    Watched,
    /// Descriptors ready, of so many watched.
    Ready,
}

/// What our layer costs for one call.
#[derive(Debug, Clone, Serialize)]
pub struct Cost {
    /// Which call.
    pub call: String,
    /// Times the classic bare loop.
    pub to_raw: Ratios,
    /// Times the bare loop that asks first, where there is one.
    pub to_raw_zero: Option<Ratios>,
}

/// Ratios at the ring's points.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Ratios {
    /// At the point where it is least.
    pub least: f64,
    /// In the middle of all points.
    pub median: f64,
    /// At the point where it is most.
    pub most: f64,
}
