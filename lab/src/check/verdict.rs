//! What a check says: right, or one sentence about what is wrong.

use std::fmt;
use std::io;

/// What is wrong with a program: what was expected, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    expected: String,
    seen: String,
    /// The paragraph of the book, if it is not the one of the check.
    anchor: Option<&'static str>,
    cannot_start: bool,
}

/// The outcome of a step of a check.
pub type Verdict<T = ()> = Result<T, Wrong>;

impl Wrong {
    pub(super) fn new(expected: impl fmt::Display, seen: impl fmt::Display) -> Self {
        Wrong {
            expected: expected.to_string(),
            seen: seen.to_string(),
            anchor: None,
            cannot_start: false,
        }
    }

    /// The program cannot be started at all.
    pub(super) fn cannot_start(program: &str, error: &io::Error) -> Self {
        let wrong = Wrong::new("a program", format!("cannot start `{program}`: {error}"));
        Wrong { cannot_start: true, ..wrong }
    }

    /// The program cannot be checked on this machine.
    pub(super) fn not_here(reason: &str) -> Self {
        Wrong { cannot_start: true, ..Wrong::new("a program", reason) }
    }

    /// Returns the reason, if the program cannot be started, or not be checked here.
    pub fn start_failure(&self) -> Option<&str> {
        self.cannot_start.then_some(self.seen.as_str())
    }

    /// Adds to what was seen.
    pub(super) fn and(mut self, seen: &str) -> Self {
        self.seen = format!("{}; {seen}", self.seen);
        self
    }

    /// The paragraph of the page that explains it, if it is not the one of the exercise.
    pub fn anchor(&self) -> Option<&'static str> {
        self.anchor
    }

    /// Points to another paragraph of the same page.
    pub(super) fn at(mut self, anchor: &'static str) -> Self {
        self.anchor = Some(anchor);
        self
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, seen: {}", self.expected, self.seen)
    }
}

/// A system call of the check itself has failed.
impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        Wrong::new("that the check can do its work", format!("{error}, a fault of the check"))
    }
}

/// Returns a verdict: `Ok` if what was expected `is_so`.
pub(super) fn expect(is_so: bool, expected: impl fmt::Display, seen: impl fmt::Display) -> Verdict {
    if is_so { Ok(()) } else { Err(Wrong::new(expected, seen)) }
}

/// Returns bytes as a short text in quotes.
pub(super) fn quoted(bytes: &[u8]) -> String {
    const MOST: usize = 40;
    let text = String::from_utf8_lossy(bytes);
    let mut short: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().count() > MOST {
        short += &format!("… ({} bytes)", bytes.len());
    }
    format!("\"{short}\"")
}
