//! Why the command failed, and its exit code.

use std::io;
use std::process::ExitCode;

/// Why the command did not do what it was asked.
pub(super) enum Failure {
    /// It was called in a way that cannot be meant.
    Usage(String),
    /// It could not.
    Runtime(String),
    /// Ctrl-C.
    Stopped,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Runtime(error.to_string())
    }
}

impl Failure {
    /// Prints the reason to standard error, and returns the exit code for it.
    pub(super) fn report(self) -> ExitCode {
        let (code, reason) = match self {
            Failure::Usage(reason) => (2, format!("error: {reason}")),
            Failure::Runtime(reason) => (1, format!("error: {reason}")),
            Failure::Stopped => (130, "stopped".to_string()),
        };
        eprintln!("{reason}");
        ExitCode::from(code)
    }
}
