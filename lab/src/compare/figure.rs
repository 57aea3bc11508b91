//! The figures of one contender at one point, as programs read them.

use serde::Serialize;

use super::point::Point;
use super::runner::Cell;
use super::statistics::Estimate;

/// The figures of one contender at one point.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// The point.
    #[serde(flatten)]
    pub point: Point,
    /// The system call.
    pub backend: &'static str,
    /// The trigger.
    pub trigger: &'static str,
    /// The layer.
    pub layer: &'static str,
    /// The number of events in each sample.
    pub events: u64,
    /// Processor time of an event, in nanoseconds.
    pub cpu_ns: Estimate,
    /// The samples of `cpu_ns`, round by round.
    pub samples_cpu_ns: Vec<f64>,
    /// Wall-clock time of an event, in nanoseconds.
    pub wall_ns: Estimate,
    /// The samples of `wall_ns`, round by round.
    pub samples_wall_ns: Vec<f64>,
    /// Wall-clock time of a registration, in nanoseconds.
    pub registration_ns: Estimate,
    /// The samples of `registration_ns`, round by round.
    pub samples_registration_ns: Vec<f64>,
}

impl Figure {
    /// Returns the figures of a cell.
    pub(super) fn of(cell: &Cell) -> Self {
        Figure {
            point: cell.point,
            backend: cell.contender.backend.name(),
            trigger: cell.contender.trigger.name(),
            layer: cell.contender.layer.name(),
            events: cell.events,
            cpu_ns: cell.estimate(),
            samples_cpu_ns: cell.cpu_ns.clone(),
            wall_ns: Estimate::of(&cell.wall_ns),
            samples_wall_ns: cell.wall_ns.clone(),
            registration_ns: Estimate::of(&cell.registration_ns),
            samples_registration_ns: cell.registration_ns.clone(),
        }
    }
}
