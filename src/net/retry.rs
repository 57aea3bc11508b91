//! How often and after which pauses a connect that failed is tried again.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use crate::reactor::Backoff;

/// When a [`Connect`](super::Connect) that failed is [tried again](super::Connect::retry): after a pause
/// that doubles with each failure, and begins anew after a success.
///
/// Each pause is shorter by a random part, so that clients that a server has lost at the same time do
/// not come back at the same time.
///
/// ```
/// use std::time::Duration;
/// use tripoll::net::Retry;
///
/// let retry = Retry::new().first(Duration::from_millis(100)).max_tries(5);
/// # let _ = retry;
/// ```
#[derive(Debug, Clone, PartialEq)]
#[doc(alias = "backoff")]
#[doc(alias = "reconnect")]
pub struct Retry {
    first: Duration,
    longest: Duration,
    jitter: f64,
    max_tries: Option<u32>,
}

/// A pause of zero would be a busy loop.
const SHORTEST: Duration = Duration::from_millis(1);

impl Retry {
    /// Tries again until it succeeds, after 0.5 s, 1 s, 2 s and so on, up to 30 s, less jitter.
    pub fn new() -> Self {
        Retry {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            jitter: 0.5,
            max_tries: None,
        }
    }

    /// Sets the first pause, 1 ms at least. Default: 0.5 s.
    pub fn first(mut self, pause: Duration) -> Self {
        self.first = pause.max(SHORTEST);
        self
    }

    /// Sets the longest pause, at least as long as the first. Default: 30 s.
    pub fn longest(mut self, pause: Duration) -> Self {
        self.longest = pause;
        self
    }

    /// Sets how much of a pause may be taken away at random: from 0, nothing, to 1, all of it but 1 ms.
    /// Default: 0.5.
    pub fn jitter(mut self, part: f64) -> Self {
        self.jitter = part.clamp(0.0, 1.0);
        self
    }

    /// Sets how many times in a row it is tried without success, the first try included, at least once.
    /// Then the last error is final. Default: no limit.
    pub fn max_tries(mut self, tries: u32) -> Self {
        self.max_tries = Some(tries.max(1));
        self
    }
}

impl Default for Retry {
    fn default() -> Self {
        Retry::new()
    }
}

/// The pauses of one connect.
#[derive(Debug)]
pub(super) struct Pauses {
    backoff: Backoff,
    jitter: f64,
    max_tries: Option<u32>,
    /// How many tries in a row have failed.
    failed: u32,
}

impl Pauses {
    pub(super) fn new(retry: &Retry) -> Self {
        let &Retry { first, longest, jitter, max_tries } = retry;
        let backoff = Backoff::new(first, longest.max(first));
        Pauses { backoff, jitter, max_tries, failed: 0 }
    }

    /// Notes that a try has failed. Returns the pause before the next one, or `None` if it was the last.
    pub(super) fn fail(&mut self) -> Option<Duration> {
        self.failed = self.failed.saturating_add(1);
        if self.max_tries.is_some_and(|most| self.failed >= most) {
            return None;
        }
        Some(shortened(self.backoff.fail(), self.jitter, random()))
    }

    /// Notes that a connection was lost, which comes after a success. Returns the pause before the next
    /// try.
    pub(super) fn lost(&mut self) -> Duration {
        self.failed = 0;
        self.backoff.succeed();
        shortened(self.backoff.fail(), self.jitter, random())
    }

    /// Returns how many tries in a row have failed.
    pub(super) fn failed(&self) -> u32 {
        self.failed
    }
}

/// Takes a random part of a pause away.
fn shortened(pause: Duration, jitter: f64, random: u16) -> Duration {
    const WHOLE: u32 = 1 << 16;
    let part = (jitter * f64::from(random)) as u32; // less than WHOLE
    // Divided first, for the pause may be of any length.
    (pause - pause / WHOLE * part).max(SHORTEST)
}

/// Returns a random number. The standard library seeds each hasher with one.
fn random() -> u16 {
    RandomState::new().build_hasher().finish() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn pauses(retry: &Retry, count: usize) -> Vec<Option<Duration>> {
        let mut pauses = Pauses::new(retry);
        (0..count).map(|_| pauses.fail()).collect()
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let without = Retry::new().jitter(0.0);
        let seconds = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0];
        assert_eq!(pauses(&without, 8), seconds.map(|it| Some(Duration::from_secs_f64(it))));
        let mut anew = Pauses::new(&without.max_tries(3));
        assert_eq!(anew.fail(), Some(millis(500)));
        assert_eq!(anew.fail(), Some(millis(1_000)));
        assert_eq!((anew.lost(), anew.failed()), (millis(500), 0));
        assert_eq!(anew.fail(), Some(millis(1_000)));
        assert_eq!(anew.fail(), Some(millis(2_000)));
        assert_eq!((anew.fail(), anew.failed()), (None, 3));
    }

    #[test]
    fn jitter_takes_away_a_part_that_differs() {
        assert_eq!(shortened(millis(1_000), 0.5, 0), millis(1_000));
        let least = shortened(millis(1_000), 0.5, u16::MAX);
        assert!(least >= millis(500) && least < millis(501), "{least:?}");
        assert_eq!(shortened(millis(1_000), 1.0, u16::MAX).as_millis(), 1);
        let many: Vec<_> = (0..50).map(|_| Pauses::new(&Retry::new()).fail().unwrap()).collect();
        assert!(many.iter().all(|pause| (millis(250)..=millis(500)).contains(pause)), "{many:?}");
        assert!(many.iter().any(|pause| *pause != many[0]), "{many:?}");
    }

    #[test]
    fn options_of_any_value_give_pauses_that_are_neither_zero_nor_too_long() {
        for first in [Duration::ZERO, Duration::MAX] {
            for longest in [Duration::ZERO, Duration::MAX] {
                for jitter in [f64::NEG_INFINITY, 0.0, 1.0, f64::INFINITY, f64::NAN] {
                    let retry = Retry::new().first(first).longest(longest).jitter(jitter);
                    for pause in pauses(&retry, 200) {
                        assert!(pause.unwrap() >= SHORTEST, "{retry:?}");
                    }
                }
            }
        }
        assert_eq!(pauses(&Retry::new().max_tries(0), 1), [None]);
        assert_eq!(pauses(&Retry::new().max_tries(1), 1), [None]);
    }
}
