//! When requests are due.

use std::time::{Duration, Instant};

/// Requests at fixed times, dealt to the active connections one after another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    start: Instant,
    rate: f64,
    /// The number of active connections.
    active: usize,
    /// The number of requests.
    pub(super) requests: u64,
}

impl Schedule {
    pub(super) fn new(start: Instant, rate: f64, duration: Duration, active: usize) -> Self {
        let requests = (rate * duration.as_secs_f64()).round().max(1.0) as u64;
        Schedule { start, rate, active, requests }
    }

    /// Returns when the request of this number is due.
    pub(super) fn due(&self, number: u64) -> Instant {
        self.start + Duration::from_secs_f64(number as f64 / self.rate)
    }

    /// Returns the connection of the request of this number.
    pub(super) fn connection(&self, number: u64) -> usize {
        (number % self.active as u64) as usize
    }

    /// Returns the number of the `nth` request of a connection.
    pub(super) fn number(&self, connection: usize, nth: u64) -> u64 {
        nth * self.active as u64 + connection as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_at_fixed_times_on_one_connection_after_another() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 1_000.0, Duration::from_millis(250), 3);
        assert_eq!(schedule.requests, 250);
        assert_eq!(schedule.due(0), start);
        assert_eq!(schedule.due(249), start + Duration::from_millis(249));
        for number in 0..250 {
            let connection = schedule.connection(number);
            assert_eq!(schedule.number(connection, number / 3), number);
        }
    }
}
