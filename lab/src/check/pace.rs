//! Scenarios in which a client must be on time, on a machine that may be busy.

use std::time::{Duration, Instant};

use super::verdict::Verdict;

/// The longest time between two beats of a scenario.
#[derive(Debug)]
pub(super) struct Pace {
    last: Instant,
    longest: Duration,
}

impl Pace {
    /// To be called each time a client has been heard.
    pub(super) fn beat(&mut self) {
        self.longest = self.longest.max(self.last.elapsed());
        self.last = Instant::now();
    }
}

/// Runs a scenario whose clients must be heard within `most`. If it fails and they were late, it is not
/// the program's fault, and the scenario runs again.
pub(super) fn on_time(most: Duration, mut scenario: impl FnMut(&mut Pace) -> Verdict) -> Verdict {
    const TRIES: usize = 6;
    let mut verdict = Ok(());
    for _ in 0..TRIES {
        let mut pace = Pace { last: Instant::now(), longest: Duration::ZERO };
        verdict = scenario(&mut pace);
        pace.beat();
        if verdict.is_ok() || pace.longest < most {
            return verdict;
        }
    }
    verdict
}
