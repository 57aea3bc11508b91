//! Medians and their confidence intervals.

use serde::Serialize;

/// Differences below this share are negligible: two builds of the same loop can differ as much.
pub const NEGLIGIBLE: f64 = 0.03;

/// A median with its 90 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The median of the samples.
    pub median: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

/// Which of two calls is cheaper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The first is cheaper.
    First,
    /// The second is cheaper.
    Second,
    /// The interval contains 1, or the difference is negligible.
    TooClose,
}

impl Estimate {
    /// Returns the estimate for `samples`.
    ///
    /// # Panics
    ///
    /// If there are no samples.
    pub fn of(samples: &[f64]) -> Self {
        let (sorted, count) = (sorted(samples), samples.len());
        let median = middle(&sorted);
        let beyond = samples_beyond(count);
        Estimate { median, low: sorted[beyond], high: sorted[count - 1 - beyond] }
    }

    /// Returns the estimate for the ratio of `a` to `b`.
    ///
    /// Samples with the same index are of the same round, so that a disturbance affects both.
    pub fn of_ratio(a: &[f64], b: &[f64]) -> Self {
        let ratios: Vec<f64> = a.iter().zip(b).map(|(a, b)| a / b).collect();
        Estimate::of(&ratios)
    }

    /// Returns which of the two calls of this ratio is cheaper.
    pub fn verdict(&self) -> Verdict {
        if self.low <= 1.0 && 1.0 <= self.high || (self.median - 1.0).abs() < NEGLIGIBLE {
            Verdict::TooClose
        } else if self.median < 1.0 {
            Verdict::First
        } else {
            Verdict::Second
        }
    }

    /// Returns half the width of the interval, as a share of the median.
    pub fn spread(&self) -> f64 {
        (self.high - self.low) / 2.0 / self.median
    }
}

/// Returns the median of `samples`.
///
/// # Panics
///
/// If there are no samples.
pub fn median(samples: &[f64]) -> f64 {
    middle(&sorted(samples))
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted[half],
        _ => (sorted[half - 1] + sorted[half]) / 2.0,
    }
}

/// Returns how many of the sorted samples can be left out at each end, so that the rest contains
/// the true median with a probability of 90 %.
///
/// Each sample is below the true median with a probability of one half, whatever the distribution.
/// The number of samples below it therefore has a binomial distribution (the sign test).
fn samples_beyond(count: usize) -> usize {
    let throws = count as f64;
    let mut chance = 0.5_f64.powi(count as i32); // of exactly `heads` heads
    let mut at_most = 0.0; // chance of `heads` heads or fewer
    for heads in 0..count / 2 {
        at_most += chance;
        if 2.0 * at_most > 0.1 {
            return heads.saturating_sub(1);
        }
        chance *= (throws - heads as f64) / (heads as f64 + 1.0);
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let of = |samples: &[f64]| Estimate::of(samples).median;
        assert_eq!(of(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(of(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(of(&[7.0]), 7.0);
    }

    #[test]
    fn the_interval_is_that_of_the_sign_test() {
        // From tables of the sign test for the median, 90 %: ranks from the end.
        for (count, beyond) in
            [(1, 0), (5, 0), (7, 0), (8, 1), (9, 1), (11, 2), (15, 3), (21, 6), (30, 10)]
        {
            assert_eq!(samples_beyond(count), beyond, "{count} samples");
        }
        let nine: Vec<f64> = (1..=9).map(f64::from).collect();
        assert_eq!(Estimate::of(&nine), Estimate { median: 5.0, low: 2.0, high: 8.0 });
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // Both vary threefold from round to round, and `a` is always half of `b`.
        let ratio = Estimate::of_ratio(&[1.0, 2.0, 3.0, 2.0, 1.0], &[2.0, 4.0, 6.0, 4.0, 2.0]);
        assert_eq!(ratio, Estimate { median: 0.5, low: 0.5, high: 0.5 });
        assert_eq!(ratio.verdict(), Verdict::First);
    }

    #[test]
    fn a_verdict_needs_an_interval_without_1_and_a_difference_that_is_not_negligible() {
        let verdict = |low, median, high| Estimate { median, low, high }.verdict();
        assert_eq!(verdict(0.7, 0.8, 0.9), Verdict::First);
        assert_eq!(verdict(1.1, 1.2, 1.3), Verdict::Second);
        assert_eq!(verdict(0.7, 0.9, 1.01), Verdict::TooClose);
        assert_eq!(verdict(0.99, 1.5, 2.0), Verdict::TooClose);
        assert_eq!(verdict(1.01, 1.02, 1.03), Verdict::TooClose);
    }
}
