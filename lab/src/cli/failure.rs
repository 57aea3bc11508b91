//! Why the command failed, and its exit code.

use std::io;
use std::process::ExitCode;

/// The reason why the command failed.
pub(super) enum Failure {
    /// The arguments are wrong.
    Usage(String),
    /// A system call failed.
    Runtime(String),
    /// A checked program is wrong. The report has said why.
    Wrong,
    /// A condition of `--fail-if` holds. The report has said so.
    Condition,
    /// Ctrl-C stopped it.
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
            Failure::Wrong => return ExitCode::from(1),
            Failure::Condition => return ExitCode::from(3),
            Failure::Stopped => (130, "stopped".to_string()),
        };
        eprintln!("{reason}");
        ExitCode::from(code)
    }
}
