//! What a run cost.

use std::time::Duration;

/// What a run cost. An event is one event of the ring, or one operation of the watch.
#[derive(Debug, Clone, Copy)]
pub struct Measurement {
    /// The number of events.
    pub events: u64,
    /// Wall-clock time for all events.
    pub wall: Duration,
    /// Processor time of this thread for all events, in user space and in the kernel.
    pub cpu: Duration,
    /// The number of registered descriptors.
    pub registered: usize,
    /// Wall-clock time for registering all descriptors.
    pub registration: Duration,
}

impl Measurement {
    /// Returns the wall-clock time of one event, in nanoseconds.
    pub fn wall_ns(&self) -> f64 {
        self.wall.as_nanos() as f64 / self.events as f64
    }

    /// Returns the processor time of one event, in nanoseconds.
    pub fn cpu_ns(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.events as f64
    }

    /// Returns the wall-clock time of one registration, in nanoseconds.
    pub fn registration_ns(&self) -> f64 {
        self.registration.as_nanos() as f64 / self.registered as f64
    }
}
