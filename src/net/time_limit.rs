//! How long something may take.

use std::io;
use std::time::{Duration, Instant};

/// A time limit that has begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeLimit {
    /// For the text of the error.
    time: Duration,
    /// `None`: for ever.
    until: Option<Instant>,
}

impl TimeLimit {
    /// Begins now. `Duration::MAX` is no limit.
    pub(super) fn of(time: Duration, now: Instant) -> Self {
        TimeLimit { time, until: now.checked_add(time) }
    }

    /// Returns the one that ends earlier.
    pub(super) fn min(self, other: TimeLimit) -> Self {
        match (self.until, other.until) {
            (Some(until), Some(earlier)) if earlier < until => other,
            (None, Some(_)) => other,
            _ => self,
        }
    }

    pub(super) fn is_over(self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Returns when it is over. `None`: never.
    pub(super) fn until(self) -> Option<Instant> {
        self.until
    }

    /// Returns the error of what has not happened in time.
    pub(super) fn error(self, what: &str) -> io::Error {
        let text = format!("{what} within {:?}", self.time);
        io::Error::new(io::ErrorKind::TimedOut, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_of_two_counts_and_one_without_an_end_does_not() {
        let now = Instant::now();
        let of = |seconds| TimeLimit::of(Duration::from_secs(seconds), now);
        let never = TimeLimit::of(Duration::MAX, now);
        for (one, other) in [(of(1), of(2)), (of(2), of(1)), (of(1), never), (never, of(1))] {
            assert_eq!(one.min(other).until(), of(1).until());
        }
        assert_eq!(never.min(never).until(), None);
    }
}
