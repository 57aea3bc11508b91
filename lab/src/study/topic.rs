//! The questions that have a report of their own.

use std::io;

use super::options::{Options, Steps};
use super::report::Study;
use super::{auto, balance, churn, history, latency, timers, wake};
use crate::compare::Machine;

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// What `Backend::Auto` costs beside the better call.
    Auto,
    /// What was published about the calls, and what is true here.
    History,
    /// How long an echo takes beside idle connections.
    Latency,
    /// What descriptors cost that come and go.
    Churn,
    /// What it costs to wake a loop.
    Wake,
    /// What a timer costs among others.
    Timers,
    /// How evenly the ways to accept load several loops.
    Balance,
}

impl Topic {
    /// All questions.
    pub const ALL: [Topic; 7] = [
        Topic::Auto,
        Topic::History,
        Topic::Latency,
        Topic::Churn,
        Topic::Wake,
        Topic::Timers,
        Topic::Balance,
    ];

    /// Returns its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Topic::Auto => "auto",
            Topic::History => "history",
            Topic::Latency => "latency",
            Topic::Churn => "churn",
            Topic::Wake => "wake",
            Topic::Timers => "timers",
            Topic::Balance => "balance",
        }
    }

    /// Returns what it measures.
    pub const fn description(self) -> &'static str {
        match self {
            Topic::Auto => "the backend auto beside epoll and poll, steady and changing",
            Topic::History => "what was published since 2001: published, here, still true?",
            Topic::Latency => "how long an echo takes beside 0 to 15,000 idle connections",
            Topic::Churn => "descriptors and connections that come and go among silent ones",
            Topic::Wake => "a job from another thread, for a loop that sleeps or is busy",
            Topic::Timers => "to arm, cancel and fire a timer, with up to 1,000,000 alive",
            Topic::Balance => "accepting on 2 to 4 loops: evenness, and the wait of the slowest",
        }
    }

    /// Measures it.
    ///
    /// # Errors
    ///
    /// Any error of a system call. `Interrupted` if it was stopped before there was anything to report.
    pub fn study(self, options: Options, steps: &mut Steps<'_>) -> io::Result<Study> {
        let mut machine = Machine::pinned()?;
        let (title, findings) = match self {
            Topic::Auto => (auto::TITLE, auto::measure(options, steps)?),
            Topic::History => (history::TITLE, history::measure(options, steps)?),
            Topic::Latency => (latency::TITLE, latency::measure(options, steps)?),
            Topic::Churn => (churn::TITLE, churn::measure(options, steps)?),
            Topic::Wake => (wake::TITLE, wake::measure(options, steps)?),
            Topic::Timers => (timers::TITLE, timers::measure(options, steps)?),
            Topic::Balance => (balance::TITLE, balance::measure(options, steps)?),
        };
        machine = machine.measured();
        if findings.sentences.is_empty() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(Study::new(self.name(), title, machine, findings))
    }
}
