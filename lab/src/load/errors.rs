//! What went wrong.

use std::collections::BTreeMap;
use std::{fmt, io};

use serde::Serialize;
use tripoll::net::CloseReason;

use super::answer::Answer;

/// How many requests have no right answer, and how many connections were lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Errors {
    /// The connection ended before the answer was complete.
    pub short: u64,
    /// The connection was reset before the answer was complete.
    pub reset: u64,
    /// The answer did not come within the time limit.
    pub timed_out: u64,
    /// The request was due, and could not be sent before the end.
    pub not_sent: u64,
    /// Other bytes came than those expected.
    pub wrong: u64,
    /// Answers of HTTP with a status of 400 and above, by status.
    pub status: BTreeMap<u16, u64>,
    /// Other errors of a connection with a request under way.
    pub other: u64,
    /// Connections that the server did not accept again after one was lost.
    pub not_connected: u64,
    /// Silent connections that the server closed.
    pub silent_closed: u64,
    /// The text of the first of `other` and `not_connected`.
    pub first: Option<String>,
}

impl Errors {
    /// Counts an answer that is not right.
    pub(super) fn note_answer(&mut self, answer: Answer) {
        match answer {
            Answer::Right => {}
            Answer::Wrong => self.wrong += 1,
            Answer::Status(status) => *self.status.entry(status).or_default() += 1,
        }
    }

    /// Counts a request whose connection was closed before its answer.
    pub(super) fn note_lost(&mut self, why: &CloseReason) {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        match why {
            CloseReason::Failed(error) => match error.kind() {
                ConnectionReset | BrokenPipe | ConnectionAborted => self.reset += 1,
                _ => {
                    self.other += 1;
                    self.note_text(error);
                }
            },
            CloseReason::Finished | CloseReason::Removed | CloseReason::Detached => self.short += 1,
            other => {
                self.other += 1;
                self.note_text(other);
            }
        }
    }

    /// Counts a connection that could not be made.
    pub(super) fn note_not_connected(&mut self, error: &io::Error) {
        self.not_connected += 1;
        self.note_text(error);
    }

    fn note_text(&mut self, error: &dyn fmt::Display) {
        self.first.get_or_insert_with(|| error.to_string());
    }

    /// Returns the number of requests without a right answer.
    pub fn requests(&self) -> u64 {
        let Errors { short, reset, timed_out, not_sent, wrong, status, other, .. } = self;
        short + reset + timed_out + not_sent + wrong + other + status.values().sum::<u64>()
    }

    /// Returns whether nothing went wrong.
    pub fn is_none(&self) -> bool {
        self.requests() + self.not_connected + self.silent_closed == 0
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("none");
        }
        let Errors { short, reset, timed_out, not_sent, wrong, .. } = self;
        let mut all: Vec<String> = [
            (short, "short"),
            (reset, "reset"),
            (timed_out, "timed out"),
            (not_sent, "not sent"),
            (wrong, "wrong"),
            (&self.other, "other"),
            (&self.not_connected, "not connected"),
            (&self.silent_closed, "silent connections closed"),
        ]
        .into_iter()
        .filter(|&(&count, _)| count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        all.extend(self.status.iter().map(|(status, count)| format!("{count} of status {status}")));
        f.write_str(&all.join(", "))?;
        self.first.iter().try_for_each(|first| write!(f, " ({first})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_and_named() {
        let mut errors = Errors::default();
        assert_eq!((errors.to_string().as_str(), errors.is_none()), ("none", true));
        errors.note_lost(&CloseReason::Finished);
        errors.note_lost(&CloseReason::Failed(io::ErrorKind::ConnectionReset.into()));
        errors.note_answer(Answer::Status(503));
        errors.note_answer(Answer::Status(503));
        errors.note_answer(Answer::Right);
        errors.note_not_connected(&io::Error::other("no way"));
        assert_eq!(
            errors.to_string(),
            "1 short, 1 reset, 1 not connected, 2 of status 503 (no way)"
        );
        assert_eq!(errors.requests(), 4);
    }
}
