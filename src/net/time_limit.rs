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
