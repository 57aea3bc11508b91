//! How many records a running subject makes: at most 20 in a second, the first ones at once.

use std::time::{Duration, Instant};

/// The most records that are made at once.
const BURST: u32 = 8;

/// The time between records after that. With the burst, it makes 20 in a second.
const SPACING: Duration = Duration::from_millis(84);

/// Says when there is a record.
#[derive(Debug)]
pub(super) struct Pace {
    /// When all records of the burst were available, or will be.
    full_at: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Pace { full_at: now }
    }

    /// Returns whether a record may be made now.
    pub(super) fn allows(&self, now: Instant) -> bool {
        self.full_at.saturating_duration_since(now) <= SPACING * (BURST - 1)
    }

    /// Notes a record.
    pub(super) fn note(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + SPACING;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_than_20_records_and_the_first_ones_come_at_once() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut made = Vec::new();
        for ms in 0..5_000 {
            let now = start + Duration::from_millis(ms);
            while pace.allows(now) {
                pace.note(now);
                made.push(ms);
            }
        }
        assert_eq!(made.iter().filter(|&&ms| ms == 0).count(), BURST as usize);
        for &from in &made {
            let within = made.iter().filter(|&&ms| (from..from + 1_000).contains(&ms)).count();
            assert!(within <= 20, "{within} from {from}");
        }
        assert!(made.len() > 60, "{}", made.len());
    }
}
