//! Where two calls cost the same, along a line of points.
//!
//! The cost of a wait is nearly a straight line, `a + b·x`, where `x` is the number of watched or of
//! ready descriptors. [`meet`] fits such a line for each call near the place where they cross, by
//! least squares of the relative errors, and returns where the two lines meet. The range has
//! what each round finds alone, and nine tenths of a bootstrap, in which the rounds of each point are
//! drawn again and again. The bootstrap alone is too sure where the caches decide: other work on the
//! machine disturbs all rounds of a run alike, and another run in another way.

use serde::Serialize;

use super::statistics::{DRAWS, Estimate, Verdict, median};
use crate::workload::Xorshift;

/// The samples of two calls at a point. Those with the same index are of the same round.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// The position of the point on its line.
    pub x: usize,
    /// The number of events of a wait.
    pub events: f64,
    /// The cost of an event by the first call.
    pub first: &'a [f64],
    /// The cost of an event by the second call.
    pub second: &'a [f64],
}

/// How the costs of two calls compare along a line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Outcome {
    /// One is cheaper up to a point, and the other one beyond.
    Cross(Crossing),
    /// The first call is cheaper, as far as there is a difference.
    First,
    /// The second call is cheaper, as far as there is a difference.
    Second,
    /// At no point is the difference certain.
    TooClose,
}

/// The place where two calls cost the same, with the range in which another run finds it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Crossing {
    /// The place, on the scale of the line.
    pub at: f64,
    /// The lower end of the range.
    pub low: f64,
    /// The upper end of the range.
    pub high: f64,
    /// Whether the first call is cheaper below, and the second one above.
    pub first_below: bool,
}

impl Crossing {
    /// Returns whether the range is so narrow that a headline can name the place.
    pub fn is_sharp(&self) -> bool {
        self.high <= self.low * SHARP
    }
}

/// The ends of a sharp range differ by less than this factor.
const SHARP: f64 = 2.0;

/// The fit has the points up to so many times below and above the crossing: costs are straight lines
/// only as long as the caches hold what is watched.
const WINDOW: f64 = 5.0;
/// A single ratio counts at most so much when the line is divided.
const MOST_WEIGHT: f64 = 0.3;

/// Compares two calls along a line, which is sorted by `x`.
pub fn meet(line: &[Pair<'_>]) -> Outcome {
    let ratios: Vec<Estimate> =
        line.iter().map(|pair| Estimate::of_ratio(pair.first, pair.second)).collect();
    let is = |verdict: Verdict| ratios.iter().any(|ratio| ratio.verdict() == verdict);
    let medians: Vec<f64> = ratios.iter().map(|ratio| ratio.median).collect();
    let (split, first_below) = divide(&medians);
    let (below, above) = ratios.split_at(split);
    let [at_low, at_high] = match first_below {
        true => [Verdict::First, Verdict::Second],
        false => [Verdict::Second, Verdict::First],
    };
    let certain = |part: &[Estimate], side| part.iter().any(|ratio| ratio.verdict() == side);
    if certain(below, at_low) && certain(above, at_high) {
        return Outcome::Cross(crossing(line, split, first_below));
    }
    match (is(Verdict::First), is(Verdict::Second)) {
        (true, false) => Outcome::First,
        (false, true) => Outcome::Second,
        _ => Outcome::TooClose,
    }
}

/// Divides the line where the two parts differ most, and returns the index of the first point of the
/// second part, and whether the first call is cheaper in the first part. A single noisy point cannot
/// make a crossing of its own.
fn divide(ratios: &[f64]) -> (usize, bool) {
    let weights: Vec<f64> =
        ratios.iter().map(|ratio| ratio.ln().clamp(-MOST_WEIGHT, MOST_WEIGHT)).collect();
    let all: f64 = weights.iter().sum();
    let (mut best, mut before) = ((0, all < 0.0), 0.0);
    let mut contrast = all.abs();
    for (index, weight) in weights.iter().enumerate() {
        before += weight;
        let here = all - 2.0 * before;
        if here.abs() > contrast {
            (best, contrast) = ((index + 1, here > 0.0), here.abs());
        }
    }
    best
}

/// A point with what a wait costs by each call.
struct Costs {
    x: f64,
    first: f64,
    second: f64,
    /// The median of the ratios of the rounds.
    ratio: f64,
}

impl Costs {
    /// Returns the medians of some rounds.
    fn of(pair: &Pair<'_>, rounds: impl Iterator<Item = usize>) -> Self {
        let chosen: Vec<(f64, f64)> =
            rounds.map(|round| (pair.first[round], pair.second[round])).collect();
        let of =
            |cost: fn(&(f64, f64)) -> f64| median(&chosen.iter().map(cost).collect::<Vec<_>>());
        Costs {
            x: pair.x as f64,
            first: of(|both| both.0) * pair.events,
            second: of(|both| both.1) * pair.events,
            ratio: of(|both| both.0 / both.1),
        }
    }
}

/// Fits the crossing that lies between the points `split - 1` and `split`.
fn crossing(line: &[Pair<'_>], split: usize, first_below: bool) -> Crossing {
    let rounds = |pair: &Pair<'_>| pair.first.len().min(pair.second.len());
    let all: Vec<Costs> = line.iter().map(|pair| Costs::of(pair, 0..rounds(pair))).collect();
    let at = place(&all, split, first_below);
    let found = |drawn: Vec<Costs>| {
        let ratios: Vec<f64> = drawn.iter().map(|costs| costs.ratio).collect();
        match divide(&ratios) {
            (split, below) if below == first_below && (1..line.len()).contains(&split) => {
                place(&drawn, split, first_below)
            }
            // They do not cross here: one is cheaper everywhere.
            _ => {
                let first_is_cheaper = ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() < 0.0;
                let end = if first_is_cheaper == first_below { line.len() - 1 } else { 0 };
                drawn[end].x
            }
        }
    };
    let mut random = Xorshift::default();
    let mut draw = |_| {
        let mut again = |pair: &Pair<'_>| {
            let count = rounds(pair);
            Costs::of(pair, (0..count).map(|_| random.below(count)))
        };
        found(line.iter().map(&mut again).collect())
    };
    let mut drawn: Vec<f64> = (0..DRAWS).map(&mut draw).collect();
    drawn.sort_by(f64::total_cmp);
    let ends = [drawn[DRAWS / 20], drawn[DRAWS - 1 - DRAWS / 20], at];
    // Each round alone. A run that was stopped may have fewer at its last points.
    let complete = line.iter().map(rounds).min().unwrap_or(0);
    let alone = |round| found(line.iter().map(|pair| Costs::of(pair, round..round + 1)).collect());
    let (mut low, mut high) = (at, at);
    for end in ends.into_iter().chain((0..complete).map(alone)) {
        (low, high) = (low.min(end), high.max(end));
    }
    Crossing { at, low, high, first_below }
}

/// Returns where the lines meet that are fitted near the points `split - 1` and `split`, and at most the
/// ends of what is near.
fn place(points: &[Costs], split: usize, first_below: bool) -> f64 {
    let middle = (points[split - 1].x * points[split].x).sqrt();
    let near = |costs: &&Costs| middle / WINDOW <= costs.x && costs.x <= middle * WINDOW;
    let mut window: Vec<&Costs> = points.iter().filter(near).collect();
    if window.len() < 3 {
        window = points[split.saturating_sub(2)..(split + 2).min(points.len())].iter().collect();
    }
    let fitted = |cost: fn(&Costs) -> f64| {
        fit(&window.iter().map(|costs| (costs.x, cost(costs))).collect::<Vec<_>>())
    };
    let (first, second) = (fitted(|costs| costs.first), fitted(|costs| costs.second));
    let (low, high) = (window[0].x, window[window.len() - 1].x);
    let (apart, closing) = (first.0 - second.0, second.1 - first.1);
    // Where the lines part instead of meeting, the cheaper call at the middle decides.
    if (closing < 0.0) == first_below && closing != 0.0 {
        return (apart / closing).clamp(low, high);
    }
    let first_is_cheaper = apart < closing * (low * high).sqrt();
    if first_is_cheaper == first_below { high } else { low }
}

/// Fits `a + b·x` by least squares of the relative errors, and returns `(a, b)`.
fn fit(points: &[(f64, f64)]) -> (f64, f64) {
    let (mut w, mut x, mut y, mut xx, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for &(px, py) in points {
        let weight = 1.0 / (py * py);
        w += weight;
        x += weight * px;
        y += weight * py;
        xx += weight * px * px;
        xy += weight * px * py;
    }
    let determinant = w * xx - x * x;
    if determinant <= 0.0 {
        return (y / w, 0.0);
    }
    let slope = (w * xy - x * y) / determinant;
    ((y - slope * x) / w, slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The samples of a line on which the costs of a wait are `a + b·x`, with noise of `noise`.
    struct Synthetic(Vec<(usize, f64, Vec<f64>, Vec<f64>)>);

    impl Synthetic {
        fn new(
            line: &[usize],
            noise: f64,
            [first, second]: [(f64, f64); 2],
            events: impl Fn(usize) -> usize,
        ) -> Self {
            let mut random = Xorshift::default();
            let mut samples = |(a, b): (f64, f64), x: usize| -> Vec<f64> {
                let cost = (a + b * x as f64) / events(x) as f64;
                let mut noisy = || 1.0 + noise * (random.below(2_001) as f64 / 1_000.0 - 1.0);
                (0..9).map(|_| cost * noisy()).collect()
            };
            let point = |&x: &usize| (x, events(x) as f64, samples(first, x), samples(second, x));
            Synthetic(line.iter().map(point).collect())
        }

        fn meet(&self) -> Outcome {
            let pair = |(x, events, first, second): &(usize, f64, Vec<f64>, Vec<f64>)| {
                (*x, *events, first.clone(), second.clone())
            };
            let owned: Vec<_> = self.0.iter().map(pair).collect();
            let pairs: Vec<Pair<'_>> = owned
                .iter()
                .map(|(x, events, first, second)| Pair { x: *x, events: *events, first, second })
                .collect();
            meet(&pairs)
        }
    }

    const WATCHED: [usize; 12] = [1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256];
    const READY: [usize; 11] = [1, 10, 50, 100, 200, 250, 300, 400, 500, 750, 1_000];

    fn crossing_of(outcome: Outcome) -> Crossing {
        let Outcome::Cross(crossing) = outcome else { panic!("{outcome:?}") };
        assert!(crossing.low <= crossing.at && crossing.at <= crossing.high);
        crossing
    }

    #[test]
    fn poll_below_and_epoll_above() {
        let costs = Synthetic::new(&WATCHED, 0.0, [(700.0, 40.0), (940.0, 0.0)], |_| 1);
        let crossing = crossing_of(costs.meet());
        assert!((crossing.at - 6.0).abs() < 0.01, "{crossing:?}");
        assert!(crossing.high - crossing.low < 0.01 && crossing.first_below);
    }

    #[test]
    fn the_range_has_the_true_crossing_and_grows_with_the_noise() {
        let width = |noise| {
            let costs = Synthetic::new(&WATCHED, noise, [(700.0, 40.0), (940.0, 0.0)], |_| 1);
            let crossing = crossing_of(costs.meet());
            assert!(crossing.low <= 6.0 && 6.0 <= crossing.high, "{crossing:?}");
            crossing.high - crossing.low
        };
        let (calm, noisy) = (width(0.02), width(0.15));
        assert!(calm < noisy && noisy < 15.0, "{calm} {noisy}");
    }

    #[test]
    fn a_noisy_line_has_one_crossing() {
        // Of 1,000 watched, a wait by epoll costs 72 ns for each that is ready, and by poll 18 µs.
        let wait = [(18_000.0, 0.0), (100.0, 72.0)].map(|(a, b)| (a, b + 500.0));
        let costs = Synthetic::new(&READY, 0.1, wait, |ready| ready);
        let crossing = crossing_of(costs.meet());
        assert!(crossing.low <= 248.6 && 248.6 <= crossing.high, "{crossing:?}");
        assert!((150.0..400.0).contains(&crossing.at) && !crossing.first_below, "{crossing:?}");
    }

    #[test]
    fn a_crossing_that_is_lost_in_noise_has_a_wide_range_and_is_not_sharp() {
        let costs = |noise| {
            let wait = [(18_000.0, 0.0), (17_000.0, 5.0)];
            Synthetic::new(&READY, noise, wait, |ready| ready)
        };
        let calm = crossing_of(costs(0.005).meet());
        assert!(calm.is_sharp() && calm.low <= 200.0 && 200.0 <= calm.high, "{calm:?}");
        let Outcome::Cross(noisy) = costs(0.2).meet() else { return };
        assert!(!noisy.is_sharp(), "{noisy:?}");
    }

    #[test]
    fn caches_that_end_far_from_the_crossing_do_not_move_it() {
        let line: Vec<usize> = WATCHED.into_iter().chain([1_000, 10_000]).collect();
        let mut costs = Synthetic::new(&line, 0.0, [(700.0, 40.0), (940.0, 0.0)], |_| 1);
        for (_, _, poll, epoll) in costs.0.iter_mut().filter(|point| point.0 >= 1_000) {
            poll.iter_mut().for_each(|ns| *ns *= 4.0);
            epoll.iter_mut().for_each(|ns| *ns *= 3.0);
        }
        assert!((crossing_of(costs.meet()).at - 6.0).abs() < 0.01);
    }

    #[test]
    fn one_call_is_cheaper_everywhere() {
        let costs = Synthetic::new(&WATCHED, 0.01, [(900.0, 0.0), (950.0, 10.0)], |_| 1);
        assert_eq!(costs.meet(), Outcome::First);
        let costs = Synthetic::new(&WATCHED, 0.01, [(1_100.0, 10.0), (1_000.0, 0.0)], |_| 1);
        assert_eq!(costs.meet(), Outcome::Second);
    }

    #[test]
    fn equal_calls_are_too_close_to_call_however_steady() {
        for noise in [0.0, 0.001, 0.05, 0.2] {
            let costs = Synthetic::new(&WATCHED, noise, [(1_000.0, 40.0), (1_010.0, 40.0)], |_| 1);
            assert_eq!(costs.meet(), Outcome::TooClose, "{noise}");
        }
    }

    #[test]
    fn a_line_of_few_points_and_one_round_still_has_an_answer() {
        let pair = |x, first, second| Pair { x, events: 1.0, first, second };
        assert_eq!(meet(&[]), Outcome::TooClose);
        assert_eq!(meet(&[pair(4, &[100.0], &[200.0])]), Outcome::First);
        let two = [pair(1, &[100.0], &[200.0]), pair(100, &[500.0], &[200.0])];
        let crossing = crossing_of(meet(&two));
        assert!((1.0..100.0).contains(&crossing.at), "{crossing:?}");
    }
}
