//! What is counted while a load runs.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::answer::Answer;
use super::errors::Errors;

/// The longest time that a histogram holds, in nanoseconds: an hour.
pub(super) const LONGEST: u64 = 3_600_000_000_000;

/// What is counted while a load runs.
#[derive(Debug)]
pub(super) struct Tally {
    /// From the time at which a request was due.
    pub(super) latency: Histogram<u64>,
    /// From the time at which it was sent.
    pub(super) uncorrected: Histogram<u64>,
    /// How late the generator was.
    pub(super) late: Histogram<u64>,
    pub(super) right: u64,
    pub(super) reconnects: u64,
    pub(super) errors: Errors,
    pub(super) is_stopped: bool,
}

/// A request whose answer has not come yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnderWay {
    pub(super) due: Instant,
    pub(super) sent: Instant,
}

impl Default for Tally {
    fn default() -> Self {
        let histogram =
            || Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are in order");
        Tally {
            latency: histogram(),
            uncorrected: histogram(),
            late: histogram(),
            right: 0,
            reconnects: 0,
            errors: Errors::default(),
            is_stopped: false,
        }
    }
}

pub(super) fn record(histogram: &mut Histogram<u64>, time: Duration) {
    histogram.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(LONGEST));
}

impl Tally {
    /// Notes an answer that has come just now.
    pub(super) fn note_answer(&mut self, answer: Answer, under_way: UnderWay) {
        match answer {
            Answer::Right => self.right += 1,
            other => self.errors.note_answer(other),
        }
        record(&mut self.uncorrected, under_way.sent.elapsed());
        self.note_latency(under_way.due);
    }

    /// Notes how long a request has waited until now.
    pub(super) fn note_latency(&mut self, due: Instant) {
        record(&mut self.latency, due.elapsed());
    }

    pub(super) fn note_lateness(&mut self, late: Duration) {
        record(&mut self.late, late);
    }
}
