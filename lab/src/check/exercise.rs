//! What an exercise is.

use std::ffi::OsString;
use std::time::Duration;

use super::processes;
use super::trial::Trial;
use super::verdict::Verdict;

/// What the program of an exercise is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A server, which listens at the address that it is given.
    Server,
    /// A client of the addresses that it is given.
    Client,
}

/// An exercise of the book that checks itself.
#[derive(Debug)]
pub struct Exercise {
    /// The number of its chapter, or a name.
    pub name: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// The page of the book, without its ending.
    pub page: &'static str,
    /// The paragraph of the page that explains what may be wrong.
    pub anchor: &'static str,
    /// What the program must do.
    pub task: &'static str,
    /// What helps.
    pub hints: &'static [&'static str],
    /// How to try the check on a program of ours: `cargo run --example` does what is right.
    pub example: Option<&'static str>,
    /// What the program is.
    pub role: Role,
    /// What clients do, and what is expected.
    pub(super) scenario: fn(&Trial) -> Verdict,
}

impl Exercise {
    /// Checks a command, which may take so long until it listens. `note` is called with each thing
    /// that is right.
    ///
    /// # Errors
    ///
    /// What is wrong with the program.
    pub fn check(
        &self,
        command: &[OsString],
        start_within: Duration,
        note: &dyn Fn(&str),
    ) -> Verdict {
        processes::adopt_orphans()?;
        let trial = Trial::new(command, start_within, note);
        trial.concluded((self.scenario)(&trial))
    }
}
