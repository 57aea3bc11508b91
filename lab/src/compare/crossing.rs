//! Where one call becomes cheaper than another along a line of points.
//!
//! The calls are of two families: `select` and `poll`, whose cost grows with the descriptors that
//! are watched, and the two triggers of `epoll`, whose cost grows with those that are ready. The
//! result is a list of segments: on each, one family is the cheapest, or neither is clearly.

use serde::Serialize;

use super::plan::Call;
use super::statistics::{Estimate, NEGLIGIBLE, Verdict};

/// The calls that scan all watched descriptors.
pub const SCANNING: [Call; 2] = [Call::SELECT, Call::POLL];
/// The calls that return a list of the ready descriptors.
pub const LISTED: [Call; 2] = [Call::EPOLL_LEVEL, Call::EPOLL_EDGE];

/// A point of the line: its position, and the samples of each call in the order of [`Call::ALL`].
/// Samples with the same index are of the same round.
pub type LinePoint<'a> = (usize, [&'a [f64]; 4]);

/// A part of the line with one result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Segment {
    /// The position of its first point.
    pub from: usize,
    /// The position of its last point.
    pub to: usize,
    /// The cheapest calls: two of a family if their difference is negligible, none if the
    /// difference between the families is too close to call.
    #[serde(serialize_with = "names")]
    pub cheapest: Vec<Call>,
}

fn names<S: serde::Serializer>(calls: &[Call], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(calls.iter().map(|call| call.name()))
}

impl Segment {
    /// Returns whether `select` or `poll` is cheapest on this segment.
    pub fn is_scanning(&self) -> bool {
        self.cheapest.iter().any(|call| SCANNING.contains(call))
    }
}

/// Divides a line into segments of one result each.
pub fn segments(line: &[LinePoint<'_>]) -> Vec<Segment> {
    let verdicts = without_lone_winners(line.iter().map(verdict).collect());
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

/// A single point that is decided between two that are too close to call is in doubt as well: near a
/// crossing the noise would split it into several.
fn without_lone_winners(verdicts: Vec<Verdict>) -> Vec<Verdict> {
    let is_in_doubt = |index: Option<usize>| {
        index.and_then(|index| verdicts.get(index)) == Some(&Verdict::TooClose)
    };
    let settled = |(index, verdict): (usize, &Verdict)| {
        if is_in_doubt(index.checked_sub(1)) && is_in_doubt(Some(index + 1)) {
            Verdict::TooClose
        } else {
            *verdict
        }
    };
    verdicts.iter().enumerate().map(settled).collect()
}

/// Compares the cheaper calls of both families at a point.
fn verdict((_, samples): &LinePoint<'_>) -> Verdict {
    let best = |family: [Call; 2]| {
        let [a, b] = family.map(|call| samples_of(samples, call));
        if Estimate::of_ratio(a, b).median <= 1.0 { a } else { b }
    };
    Estimate::of_ratio(best(SCANNING), best(LISTED)).verdict()
}

/// Returns the cheaper call of a family along a segment, or both if their difference is negligible.
fn cheapest(segment: &[LinePoint<'_>], family: [Call; 2]) -> Vec<Call> {
    let [a, b] = family;
    let ratios: Vec<f64> = segment
        .iter()
        .map(|(_, samples)| {
            Estimate::of_ratio(samples_of(samples, a), samples_of(samples, b)).median
        })
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

fn samples_of<'a>(samples: &[&'a [f64]; 4], call: Call) -> &'a [f64] {
    let index = Call::ALL.iter().position(|&other| other == call);
    samples[index.expect("`Call::ALL` has every call")]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples of three rounds that agree within 0.2 %.
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
    fn overlapping_intervals_are_too_close_to_call() {
        let noisy = (4, [[210.0; 3], [180.0, 195.0, 215.0], [220.0; 3], [190.0; 3]]);
        let points = [point(1, [220.0, 150.0, 200.0, 190.0]), noisy];
        assert_eq!(segments(&line(&points)), [segment(1, 1, &[Call::POLL]), segment(4, 4, &[])]);
    }

    #[test]
    fn a_negligible_difference_is_too_close_to_call_however_steady() {
        let points = [point(3, [192.0, 192.0, 190.0, 190.0])];
        assert_eq!(segments(&line(&points)), [segment(3, 3, &[])]);
    }

    #[test]
    fn a_lone_winner_between_doubts_does_not_split_a_crossing() {
        let (poll, equal, epoll) =
            ([220.0, 150.0, 200.0, 190.0], [190.0; 4], [500.0, 450.0, 200.0, 190.0]);
        let points = [(1, poll), (2, equal), (3, poll), (4, equal), (6, epoll)];
        assert_eq!(
            segments(&line(&points.map(|(x, ns)| point(x, ns)))),
            [segment(1, 1, &[Call::POLL]), segment(2, 4, &[]), segment(6, 6, &[Call::EPOLL_EDGE])]
        );
    }

    #[test]
    fn equal_calls_of_a_family_are_both_named_and_a_line_may_cross_twice() {
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
