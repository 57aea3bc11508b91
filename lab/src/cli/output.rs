//! Standard output.

use std::io::{self, Write};

use super::failure::Failure;

/// Prints to standard output. A closed pipe (`| head`) is not an error.
pub(super) fn print(report: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(report.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
