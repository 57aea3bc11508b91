//! A job that runs again and again.

use std::time::{Duration, Instant};

/// A job that runs again and again, at multiples of a duration from its beginning.
pub(super) struct Interval<J> {
    every: Duration,
    at: Instant,
    pub(super) job: J,
}

impl<J> Interval<J> {
    pub(super) fn new(every: Duration, now: Instant, job: J) -> Self {
        let every = every.max(Duration::from_nanos(1)); // zero would be due for ever
        Interval { every, at: add(now, every), job }
    }

    /// Returns when the job is due.
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// Moves on to the first multiple after `now`. Those before it are missed.
    pub(super) fn advance(&mut self, now: Instant) {
        let late = now.saturating_duration_since(self.at).as_nanos() % self.every.as_nanos();
        let late = Duration::new((late / NANOS) as u64, (late % NANOS) as u32);
        self.at = add(now, self.every - late);
    }
}

const NANOS: u128 = 1_000_000_000;

/// Adds a duration. What an `Instant` cannot express is centuries away.
fn add(instant: Instant, duration: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);
    instant.checked_add(duration).unwrap_or_else(|| instant + CENTURY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_time_is_the_first_multiple_that_is_not_past() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut interval = Interval::new(second, start, ());
        assert_eq!(interval.at(), start + second);
        for (now, next) in [(1.0, 2), (2.4, 3), (3.999, 4), (4.0, 5), (1_000.5, 1_001)] {
            interval.advance(start + Duration::from_secs_f64(now));
            assert_eq!(interval.at(), start + next * second, "at {now}");
        }
    }

    #[test]
    fn every_duration_is_one_in_the_future() {
        let now = Instant::now();
        for every in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            let mut interval = Interval::new(every, now, ());
            assert!(interval.at() > now);
            let later = interval.at() + Duration::from_secs(1);
            interval.advance(later);
            assert!(interval.at() > later);
        }
    }
}
