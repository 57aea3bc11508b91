//! Standard output, and files.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::failure::Failure;

/// Prints to standard output. A closed pipe (`| head`) is not an error.
pub(super) fn print(report: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(report.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Checks that the file can be written, before two minutes are spent. Its content stays until the
/// report is complete.
pub(super) fn check_writable(option: &str, path: &Path) -> Result<(), Failure> {
    let new = !path.exists();
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .map_err(|error| cannot_write(option, path, &error))?;
    if new {
        fs::remove_file(path)?;
    }
    Ok(())
}

fn cannot_write(option: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::Runtime(format!("{option} {}: {error}", path.display()))
}

/// Writes the file that an option names.
pub(super) fn write_file(option: &str, path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| cannot_write(option, path, &error))
}
