//! Where one call overtakes another along a line of points.
//!
//! The calls are of two families: `select` and `poll`, which look at everything that is watched,
//! and the two `epoll`s, which look at what is ready. Along a line, one family is cheapest for a
//! while, then perhaps nobody clearly, then the other. These stretches are the answer; the rest is
//! putting them into words.

use serde::Serialize;

use super::plan::Call;
use super::statistics::{Estimate, NEGLIGIBLE, Verdict};

/// The calls that look at everything watched.
pub const SCANNING: [Call; 2] = [Call::SELECT, Call::POLL];
/// The calls that look at what is ready.
pub const LISTED: [Call; 2] = [Call::EPOLL_LEVEL, Call::EPOLL_EDGE];

/// A point of the line: where it lies, and the samples of each call, in the order of
/// [`Call::ALL`], those with the same index taken in the same round.
pub type LinePoint<'a> = (usize, [&'a [f64]; 4]);

/// A part of the line on which the answer is the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Segment {
    /// Its first point.
    pub from: usize,
    /// Its last point.
    pub to: usize,
    /// Who is cheapest. Two, if there is nothing to choose between them; none, if it is too close
    /// to call between the families.
    #[serde(serialize_with = "names")]
    pub cheapest: Vec<Call>,
}

fn names<S: serde::Serializer>(calls: &[Call], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(calls.iter().map(|call| call.name()))
}

impl Segment {
    /// Whether `select` or `poll` is cheapest here.
    pub fn is_scanning(&self) -> bool {
        self.cheapest.iter().any(|call| SCANNING.contains(call))
    }
}

/// Divides a line into segments.
pub fn segments(line: &[LinePoint<'_>]) -> Vec<Segment> {
    let verdicts: Vec<Verdict> = line.iter().map(verdict).collect();
    let mut segments = Vec::new();
    let mut rest = line;
    for same in verdicts.chunk_by(|a, b| a == b) {
        let (here, after) = rest.split_at(same.len());
        let cheapest = match same[0] {
            Verdict::First => cheapest(here, SCANNING),
            Verdict::Second => cheapest(here, LISTED),
            Verdict::TooClose => Vec::new(),
        };
        segments.push(Segment { from: here[0].0, to: here[here.len() - 1].0, cheapest });
        rest = after;
    }
    segments
}

/// Which family is cheaper at a point, each with the better of its two.
fn verdict((_, samples): &LinePoint<'_>) -> Verdict {
    let best = |family: [Call; 2]| {
        let [a, b] = family.map(|call| of(samples, call));
        if Estimate::of_ratio(a, b).median <= 1.0 { a } else { b }
    };
    Estimate::of_ratio(best(SCANNING), best(LISTED)).verdict()
}

/// Who of a family is the cheaper along a segment: both, if on the whole they differ by nothing.
fn cheapest(segment: &[LinePoint<'_>], family: [Call; 2]) -> Vec<Call> {
    let [a, b] = family;
    let ratios: Vec<f64> = segment
        .iter()
        .map(|(_, samples)| Estimate::of_ratio(of(samples, a), of(samples, b)).median)
        .collect();
    let ratio = Estimate::of(&ratios).median;
    if (ratio - 1.0).abs() < NEGLIGIBLE {
        family.to_vec()
    } else if ratio < 1.0 {
        vec![a]
    } else {
        vec![b]
    }
}

fn of<'a>(samples: &[&'a [f64]; 4], call: Call) -> &'a [f64] {
    let place = Call::ALL.iter().position(|&other| other == call);
    samples[place.expect("a call of ours is among all calls")]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three rounds which agree within 0.2 %.
    fn steady(ns: f64) -> [f64; 3] {
        [ns, ns * 1.001, ns * 0.999]
    }

    fn line<'a>(points: &'a [(usize, [[f64; 3]; 4])]) -> Vec<LinePoint<'a>> {
        points.iter().map(|(x, samples)| (*x, samples.each_ref().map(|s| s.as_slice()))).collect()
    }

    fn point(x: usize, ns: [f64; 4]) -> (usize, [[f64; 3]; 4]) {
        (x, ns.map(steady))
    }

    fn segment(from: usize, to: usize, cheapest: &[Call]) -> Segment {
        Segment { from, to, cheapest: cheapest.to_vec() }
    }

    #[test]
    fn poll_below_and_epoll_above() {
        let points = [
            point(1, [220.0, 150.0, 200.0, 190.0]),
            point(2, [250.0, 170.0, 200.0, 190.0]),
            point(4, [300.0, 250.0, 200.0, 190.0]),
            point(8, [500.0, 450.0, 200.0, 190.0]),
        ];
        assert_eq!(
            segments(&line(&points)),
            [segment(1, 2, &[Call::POLL]), segment(4, 8, &[Call::EPOLL_EDGE])]
        );
    }

    #[test]
    fn where_the_intervals_overlap_it_is_too_close_to_call() {
        let noisy = (4, [[210.0; 3], [180.0, 195.0, 215.0], [220.0; 3], [190.0; 3]]);
        let points = [point(1, [220.0, 150.0, 200.0, 190.0]), noisy];
        assert_eq!(segments(&line(&points)), [segment(1, 1, &[Call::POLL]), segment(4, 4, &[])]);
    }

    #[test]
    fn a_difference_that_is_none_is_too_close_however_steady() {
        let points = [point(3, [192.0, 192.0, 190.0, 190.0])];
        assert_eq!(segments(&line(&points)), [segment(3, 3, &[])]);
    }

    #[test]
    fn equals_within_a_family_are_both_named_and_the_line_may_turn_twice() {
        let points = [
            point(1, [100.0, 100.5, 200.0, 150.0]),
            point(100, [300.0, 301.0, 200.0, 150.0]),
            point(1_000, [100.0, 100.5, 200.0, 199.0]),
        ];
        assert_eq!(
            segments(&line(&points)),
            [
                segment(1, 1, &SCANNING),
                segment(100, 100, &[Call::EPOLL_EDGE]),
                segment(1_000, 1_000, &SCANNING)
            ]
        );
    }
}
