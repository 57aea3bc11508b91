//! What was measured, as the conclusions look it up.

use super::crossing::{Outcome, Pair, meet};
use super::plan::{Call, Line};
use super::point::Point;
use super::runner::Cell;
use super::statistics::Estimate;
use crate::workload::Layer;

/// The cells of a measurement.
#[derive(Debug, Clone, Copy)]
pub struct Figures<'a>(pub &'a [Cell]);

impl<'a> Figures<'a> {
    /// Returns the samples of `call` through `layer` at `point`.
    pub fn samples(self, point: Point, call: Call, layer: Layer) -> Option<&'a [f64]> {
        let contender = call.contender(layer);
        let is_it = |cell: &&Cell| cell.point == point && cell.contender == contender;
        Some(&self.0.iter().find(is_it)?.cpu_ns)
    }

    /// Returns the cost of `call` at `point` in nanoseconds.
    pub fn ns(self, point: Point, call: Call, layer: Layer) -> Option<f64> {
        Some(Estimate::of(self.samples(point, call, layer)?).median)
    }

    /// Returns the ratio of the costs of two calls at `point`.
    pub fn ratio(self, point: Point, [a, b]: [Call; 2], layer: Layer) -> Option<Estimate> {
        let [a, b] = [self.samples(point, a, layer)?, self.samples(point, b, layer)?];
        Some(Estimate::of_ratio(a, b))
    }

    /// Returns how the costs of two calls compare along `line`.
    pub fn meet(self, line: &Line, [first, second]: [Call; 2], layer: Layer) -> Outcome {
        let pair = |(x, point): (usize, Point)| {
            Some(Pair {
                x,
                events: point.ready() as f64,
                first: self.samples(point, first, layer)?,
                second: self.samples(point, second, layer)?,
            })
        };
        meet(&line.points().filter_map(pair).collect::<Vec<_>>())
    }
}
