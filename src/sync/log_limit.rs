//! A limit of log lines, so that a peer cannot fill a disk.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets one log line of its kind, or a few, pass each second, and counts the others. The number of lines
/// that were left out stands in the next line that passes.
///
/// ```text
/// if let Some(left_out) = self.refused.pass() {
///     log::warn!("a client was refused{left_out}");
/// }
/// ```
#[derive(Debug)]
pub(crate) struct LogLimit {
    most: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the first line of the current interval has passed.
    began: Option<Instant>,
    /// How many lines have passed since.
    passed: u32,
    left_out: u64,
}

/// The time in which the lines are counted.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many lines were left out since the last one. Displayed at the end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeftOut(u64);

impl LogLimit {
    /// Lets one line pass each second.
    pub(crate) const fn new() -> Self {
        LogLimit::of(1)
    }

    /// Lets `most` lines pass each second.
    pub(crate) const fn of(most: u32) -> Self {
        LogLimit { most, state: Mutex::new(State { began: None, passed: 0, left_out: 0 }) }
    }

    /// Returns `None` if the line must be left out.
    pub(crate) fn pass(&self) -> Option<LeftOut> {
        self.pass_at(Instant::now())
    }

    fn pass_at(&self, now: Instant) -> Option<LeftOut> {
        // The standard library's lock also in a loom model, which cannot have a `static` one.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |began| now.saturating_duration_since(began) >= INTERVAL;
        if state.began.is_none_or(is_over) {
            (state.began, state.passed) = (Some(now), 0);
        }
        if state.passed == self.most {
            state.left_out += 1;
            return None;
        }
        state.passed += 1;
        Some(LeftOut(std::mem::take(&mut state.left_out)))
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => write!(f, " (1 line like this was left out)"),
            count => write!(f, " ({count} lines like this were left out)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_passes_and_says_how_many_did_not() {
        let (limit, start) = (LogLimit::new(), Instant::now());
        let line = |after| {
            limit.pass_at(start + Duration::from_millis(after)).map(|left_out| left_out.to_string())
        };
        assert_eq!(line(0).unwrap(), "");
        assert_eq!((line(1), line(999)), (None, None));
        assert_eq!(line(1_000).unwrap(), " (2 lines like this were left out)");
        assert_eq!(line(1_999), None);
        assert_eq!(line(60_000).unwrap(), " (1 line like this was left out)");
        assert_eq!(line(61_000).unwrap(), "");
    }

    #[test]
    fn several_lines_a_second_pass_if_so_many_may() {
        let (limit, start) = (LogLimit::of(3), Instant::now());
        let line = |after| {
            limit.pass_at(start + Duration::from_millis(after)).map(|left_out| left_out.to_string())
        };
        assert_eq!(
            [0, 1, 500, 600, 999].map(|after| line(after).is_some()),
            [true, true, true, false, false]
        );
        assert_eq!(line(1_000).unwrap(), " (2 lines like this were left out)");
        assert_eq!([1_001, 1_002, 1_003].map(|after| line(after).is_some()), [true, true, false]);
    }

    #[test]
    fn a_clock_that_goes_back_lets_no_line_pass() {
        let (limit, now) = (LogLimit::new(), Instant::now() + INTERVAL);
        assert!(limit.pass_at(now).is_some());
        assert!(limit.pass_at(now - INTERVAL).is_none());
    }
}
