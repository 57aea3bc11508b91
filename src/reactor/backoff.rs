//! How long to wait before a call that was refused is tried again.

use std::time::Duration;

/// A pause that doubles with each failure, and begins anew after a success.
#[derive(Debug)]
pub(crate) struct Backoff {
    shortest: Duration,
    longest: Duration,
    /// The last pause, zero after a success.
    pause: Duration,
}

impl Backoff {
    pub(crate) const fn new(shortest: Duration, longest: Duration) -> Self {
        Backoff { shortest, longest, pause: Duration::ZERO }
    }

    /// Notes a failure, and returns the pause that follows it.
    pub(crate) fn fail(&mut self) -> Duration {
        self.pause = self.pause.saturating_mul(2).clamp(self.shortest, self.longest);
        self.pause
    }

    /// Notes a success. Returns whether there were failures before it.
    pub(crate) fn succeed(&mut self) -> bool {
        !std::mem::take(&mut self.pause).is_zero()
    }

    /// Returns whether the last call failed.
    pub(crate) fn has_failed(&self) -> bool {
        !self.pause.is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew() {
        let millis = Duration::from_millis;
        let mut backoff = Backoff::new(millis(10), millis(100));
        assert!(!backoff.has_failed() && !backoff.succeed());
        for pause in [10, 20, 40, 80, 100, 100] {
            assert_eq!(backoff.fail(), millis(pause));
            assert!(backoff.has_failed());
        }
        assert!(backoff.succeed());
        assert!(!backoff.has_failed());
        assert_eq!(backoff.fail(), millis(10));
    }
}
