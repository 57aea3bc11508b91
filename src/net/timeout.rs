//! A time limit that takes little memory.

use std::time::{Duration, Instant};

/// A time limit in milliseconds, rounded up. A connection has several, and there may be very many
/// connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timeout(u32);

impl Timeout {
    pub(super) const NONE: Timeout = Timeout(u32::MAX);

    pub(super) const fn millis(millis: u32) -> Self {
        Timeout(millis)
    }

    /// Returns the limit. One of 49 days or more is none.
    pub(super) fn new(time: Duration) -> Self {
        let millis = time.as_nanos().div_ceil(1_000_000);
        Timeout(u32::try_from(millis).unwrap_or(u32::MAX))
    }

    pub(super) fn is_none(self) -> bool {
        self == Timeout::NONE
    }

    pub(super) fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub(super) fn max(self, other: Timeout) -> Self {
        Timeout(self.0.max(other.0))
    }

    /// Returns when the limit is over that begins at `start`. `None` if there is none.
    pub(super) fn after(self, start: Instant) -> Option<Instant> {
        let time = Duration::from_millis(self.0.into());
        if self.is_none() { None } else { start.checked_add(time) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_rounded_up_and_the_longest_is_none() {
        let now = Instant::now();
        let after = |time| Timeout::new(time).after(now).map(|end| end - now);
        assert_eq!(after(Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(after(Duration::from_nanos(1)), Some(Duration::from_millis(1)));
        assert_eq!(after(Duration::from_secs(60)), Some(Duration::from_secs(60)));
        assert_eq!(after(Duration::MAX), None);
        assert_eq!(Timeout::millis(2_000), Timeout::new(Duration::from_secs(2)));
    }
}
