//! What a load has measured.

use chrono::{SecondsFormat, Utc};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::answer::Ask;
use super::errors::Errors;
use super::options::Load;
use super::state::State;
use super::tally::{LONGEST, Tally};

/// What a load has measured. Times are in microseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The version of this format.
    pub version: u32,
    /// The version of tripoll.
    pub tripoll: &'static str,
    /// When it ended, in UTC: `2026-01-31T12:00:00Z`.
    pub date: String,
    /// The address of the server.
    pub address: String,
    /// The number of connections.
    pub connections: usize,
    /// How many of them have sent requests.
    pub active: usize,
    /// The number of requests a second that were due.
    pub rate: f64,
    /// For how many seconds requests became due.
    pub seconds: f64,
    /// The number of bytes of a request.
    pub size: usize,
    /// Whether the requests were of HTTP.
    pub http: bool,
    /// The number of requests that were due.
    pub requests: u64,
    /// The number of right answers.
    pub answered: u64,
    /// How often a lost connection was made again.
    pub reconnects: u64,
    /// What went wrong.
    pub errors: Errors,
    /// Whether it was stopped before its end.
    pub is_stopped: bool,
    /// The latency from the time at which a request was due. A request without an answer counts with
    /// the time that it has waited.
    pub latency_us: Percentiles,
    /// The latency from the time at which a request was sent, as a generator would measure it that
    /// waits for an answer before it sends the next request. Only answers count.
    pub uncorrected_us: Percentiles,
    /// How late the generator gave requests to their connections.
    pub late_us: Percentiles,
    /// The number of latencies up to a bound, and above the bound before it.
    pub histogram: Vec<Bucket>,
    /// All latencies, to be added to others.
    #[serde(skip)]
    pub latencies: Histogram<u64>,
}

/// Percentiles, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// The number of values.
    pub count: u64,
    /// The least.
    pub least: f64,
    /// The mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// Nine of ten are not greater.
    pub p90: f64,
    /// 99 of 100 are not greater.
    pub p99: f64,
    /// 999 of 1,000 are not greater.
    pub p99_9: f64,
    /// The greatest.
    pub most: f64,
}

impl Percentiles {
    /// Returns those of a histogram of nanoseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let micros = |nanos: u64| nanos as f64 / 1e3;
        let at = |quantile| micros(histogram.value_at_quantile(quantile));
        match histogram.is_empty() {
            true => Percentiles::default(),
            false => Percentiles {
                count: histogram.len(),
                least: micros(histogram.min()),
                mean: histogram.mean() / 1e3,
                p50: at(0.5),
                p90: at(0.9),
                p99: at(0.99),
                p99_9: at(0.999),
                most: micros(histogram.max()),
            },
        }
    }
}

/// How many latencies are in a range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bucket {
    /// The upper bound, in microseconds: 1, 2 or 5 times a power of ten.
    pub up_to_us: f64,
    /// The number of latencies.
    pub count: u64,
}

/// Divides a histogram of nanoseconds at 1, 2 and 5 times the powers of ten.
fn buckets(histogram: &Histogram<u64>) -> Vec<Bucket> {
    let bounds = (0..).flat_map(|power| [1, 2, 5].map(|unit| unit * 10_u64.pow(power)));
    let (mut buckets, mut from) = (Vec::new(), 0);
    for bound in bounds.take_while(|&bound| bound / 10 <= LONGEST) {
        let count = histogram.count_between(from, bound);
        // A value is equivalent to its neighbours: each is counted in one bucket.
        from = histogram.next_non_equivalent(bound);
        if count > 0 || (!buckets.is_empty() && bound <= histogram.max()) {
            buckets.push(Bucket { up_to_us: bound as f64 / 1e3, count });
        }
        if bound >= histogram.max() {
            break;
        }
    }
    buckets
}

impl Outcome {
    pub(super) fn new(state: State) -> Self {
        let State { load, tally, next, .. } = state;
        let Tally { latency, uncorrected, late, right, reconnects, errors, is_stopped } = tally;
        let Load { address, ask, connections, active, rate, duration, .. } = load;
        Outcome {
            version: 1,
            tripoll: env!("CARGO_PKG_VERSION"),
            date: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            address: address.to_string(),
            connections,
            active,
            rate,
            seconds: duration.as_secs_f64(),
            size: ask.bytes(),
            http: matches!(ask, Ask::Http { .. }),
            requests: next,
            answered: right,
            reconnects,
            errors,
            is_stopped,
            latency_us: Percentiles::of(&latency),
            uncorrected_us: Percentiles::of(&uncorrected),
            late_us: Percentiles::of(&late),
            histogram: buckets(&latency),
            latencies: latency,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::tally::record;

    #[test]
    fn each_latency_is_in_one_bucket() {
        let mut tally = Tally::default();
        let micros = [3, 9, 10, 11, 90, 1_000, 1_500, 7_000];
        for micros in micros {
            record(&mut tally.latency, Duration::from_micros(micros));
        }
        let buckets = buckets(&tally.latency);
        let counts: Vec<_> = buckets.iter().map(|one| (one.up_to_us as u64, one.count)).collect();
        let expected = [
            (5, 1),
            (10, 2),
            (20, 1),
            (50, 0),
            (100, 1),
            (200, 0),
            (500, 0),
            (1_000, 1),
            (2_000, 1),
            (5_000, 0),
            (10_000, 1),
        ];
        assert_eq!(counts, expected);
    }
}
