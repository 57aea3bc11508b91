//! Medians and their confidence intervals.

use serde::Serialize;

use crate::workload::Xorshift;

/// Differences below this share are negligible: two builds of the same loop can differ as much.
pub const NEGLIGIBLE: f64 = 0.03;

/// How often a bootstrap draws.
pub(super) const DRAWS: usize = 500;

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

    /// Returns the estimate for the ratio of `a` to `b` over several points: the median of the points,
    /// each of which is the median of its rounds.
    ///
    /// The interval is from a bootstrap: rounds are drawn again and again, the same ones at all points.
    ///
    /// # Panics
    ///
    /// If there are no points, or no samples.
    pub fn of_ratios(points: &[(&[f64], &[f64])]) -> Self {
        let ratios: Vec<Vec<f64>> =
            points.iter().map(|(a, b)| a.iter().zip(*b).map(|(a, b)| a / b).collect()).collect();
        let rounds = ratios.iter().map(Vec::len).min().unwrap_or(0);
        let all = |rounds: &[usize]| {
            let of_point = |ratios: &Vec<f64>| {
                median(&rounds.iter().map(|&round| ratios[round]).collect::<Vec<_>>())
            };
            median(&ratios.iter().map(of_point).collect::<Vec<_>>())
        };
        let mut random = Xorshift::default();
        let draw = |_| all(&(0..rounds).map(|_| random.below(rounds)).collect::<Vec<_>>());
        let mut drawn: Vec<f64> = (0..DRAWS).map(draw).collect();
        drawn.sort_by(f64::total_cmp);
        let median = all(&(0..rounds).collect::<Vec<_>>());
        let (low, high) = (drawn[DRAWS / 20], drawn[DRAWS - 1 - DRAWS / 20]);
        Estimate { median, low: low.min(median), high: high.max(median) }
    }

    /// Returns the estimate for the ratio of `a` to `b` over several points, where the two were not
    /// measured in the same rounds: the median of the points, each the ratio of two medians.
    ///
    /// The interval is from a bootstrap, which draws the samples of each side on their own.
    ///
    /// # Panics
    ///
    /// If there are no points, or no samples.
    pub fn of_medians(points: &[(&[f64], &[f64])]) -> Self {
        let all = |choose: &mut dyn FnMut(&[f64]) -> f64| {
            median(&points.iter().map(|(a, b)| choose(a) / choose(b)).collect::<Vec<_>>())
        };
        let mut random = Xorshift::default();
        let mut draw = |samples: &[f64]| {
            let again = (0..samples.len()).map(|_| samples[random.below(samples.len())]);
            median(&again.collect::<Vec<_>>())
        };
        let mut drawn: Vec<f64> = (0..DRAWS).map(|_| all(&mut draw)).collect();
        drawn.sort_by(f64::total_cmp);
        let median = all(&mut median);
        let (low, high) = (drawn[DRAWS / 20], drawn[DRAWS - 1 - DRAWS / 20]);
        Estimate { median, low: low.min(median), high: high.max(median) }
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
    fn the_ratio_over_several_points_is_the_median_of_their_medians() {
        let (two, slow) = ([2.0, 2.0, 20.0], [4.0, 4.0, 40.0]);
        let equal = Estimate::of_ratios(&[(&slow, &two)]);
        assert_eq!(equal, Estimate { median: 2.0, low: 2.0, high: 2.0 });
        let noisy = [1.0, 3.0, 2.0];
        let all = Estimate::of_ratios(&[(&slow, &two), (&noisy, &[1.0; 3]), (&two, &two)]);
        assert_eq!(all.median, 2.0);
        assert!(1.0 <= all.low && all.low <= 2.0 && 2.0 <= all.high && all.high <= 3.0);
    }

    #[test]
    fn the_ratio_of_two_measurements_does_not_pair_their_rounds() {
        // In pairs they would be in the same ratio each time.
        let (now, then) = ([10.0, 20.0, 30.0], [1.0, 2.0, 3.0]);
        let ratio = Estimate::of_medians(&[(&now, &then)]);
        assert!(ratio.median == 10.0 && ratio.low < 7.0 && ratio.high > 14.0, "{ratio:?}");
        // Unequally many samples; the middle one of three points.
        let ratio =
            Estimate::of_medians(&[(&[8.0; 2], &[2.0]), (&[5.0], &[1.0; 4]), (&[9.0], &[1.0])]);
        assert_eq!(ratio, Estimate { median: 5.0, low: 5.0, high: 5.0 });
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
