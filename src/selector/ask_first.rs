//! Asking before waiting, for the two calls that pay for every descriptor they sleep on.

use std::io;

use crate::sys::Deadline;

/// Decides when `select` and `poll` ask with a zero timeout before they sleep.
///
/// To sleep, these calls queue the caller at every watched descriptor, and take it off again when
/// they wake: about as much work as looking at each. With a zero timeout the kernel knows that
/// nobody will sleep and queues nobody, which halves the cost of a loop that always finds something.
/// Where nothing is ready the extra call is lost. So it is guessed from the past: after the k-th
/// miss in a row the next 2^(k-1)-1 waits do not ask, at most 63; a hit forgives everything.
#[derive(Debug, Clone, Copy)]
pub(super) struct AskFirst {
    enabled: bool,
    misses: u32,
    skip: u32,
}

impl AskFirst {
    const MAX_MISSES: u32 = 7;

    pub(super) fn new(enabled: bool) -> Self {
        AskFirst { enabled, misses: 0, skip: 0 }
    }

    /// Makes `call` until the deadline, and perhaps once before with none.
    pub(super) fn wait(
        &mut self,
        deadline: Deadline,
        mut call: impl FnMut(Deadline) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if deadline != Deadline::Now && self.is_likely_to_pay() {
            let ready = call(Deadline::Now)?;
            self.learn(ready > 0);
            if ready > 0 {
                return Ok(ready);
            }
        }
        call(deadline)
    }

    fn is_likely_to_pay(&mut self) -> bool {
        let skipped = self.skip > 0;
        self.skip = self.skip.saturating_sub(1);
        self.enabled && !skipped
    }

    fn learn(&mut self, hit: bool) {
        if hit {
            self.misses = 0;
        } else {
            self.misses = Self::MAX_MISSES.min(self.misses + 1);
            self.skip = (1 << (self.misses - 1)) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AskFirst, Deadline};

    /// How many of `waits` waits asked first, when `ready` descriptors are ready at the asking.
    fn asked(ask: &mut AskFirst, waits: u32, ready: usize) -> u32 {
        let mut asked = 0;
        for _ in 0..waits {
            ask.wait(Deadline::Never, |deadline| {
                asked += u32::from(deadline == Deadline::Now);
                Ok(ready)
            })
            .unwrap();
        }
        asked
    }

    #[test]
    fn a_busy_loop_always_asks_and_a_quiet_one_hardly_ever() {
        let mut ask = AskFirst::new(true);
        assert_eq!(asked(&mut ask, 1_000, 1), 1_000);
        // Misses at waits 0, 1, 3, 7, 15, 31, 63, and every 64th from then on.
        assert_eq!(asked(&mut ask, 64, 0), 7);
        assert_eq!(asked(&mut ask, 640, 0), 10);
        assert!(asked(&mut ask, 64, 1) > 0, "a hit is found again in time");
        assert_eq!(asked(&mut ask, 1_000, 1), 1_000, "and forgives everything");
        assert_eq!(asked(&mut AskFirst::new(false), 1_000, 1), 0);
    }
}
