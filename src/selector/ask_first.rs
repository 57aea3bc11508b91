//! A zero timeout first, for the two calls that pay for every descriptor on which they block.

use std::io;

use crate::sys::Deadline;

/// Decides when `select` and `poll` are called with a zero timeout before they block.
///
/// To block, these calls queue the caller at every watched descriptor, and remove it when they
/// wake: about as much work as to examine each. With a zero timeout the kernel queues nothing,
/// which halves the cost of a loop that always finds something. Where nothing is ready the extra
/// call is lost. So the past decides: after the k-th miss in a row the next 2^(k-1)-1 waits block
/// at once, at most 63. One hit resets this.
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

    /// Calls `call` with the deadline, and perhaps before it with a zero timeout.
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

    /// Returns how many of `waits` waits polled first, when `ready` descriptors were ready.
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
    fn a_busy_loop_always_polls_first_and_a_quiet_one_hardly_ever() {
        let mut ask = AskFirst::new(true);
        assert_eq!(asked(&mut ask, 1_000, 1), 1_000);
        // Misses at waits 0, 1, 3, 7, 15, 31, 63, and every 64th from then on.
        assert_eq!(asked(&mut ask, 64, 0), 7);
        assert_eq!(asked(&mut ask, 640, 0), 10);
        assert!(asked(&mut ask, 64, 1) > 0, "a hit is found again in time");
        assert_eq!(asked(&mut ask, 1_000, 1), 1_000, "and resets the misses");
        assert_eq!(asked(&mut AskFirst::new(false), 1_000, 1), 0);
    }
}
