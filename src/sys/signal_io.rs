//! Readiness that is announced by a signal.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::check;
use super::fd::with_fd_and_call;

/// Makes the kernel send `SIGIO` to this process each time the descriptor becomes ready: `O_ASYNC`,
/// with this process as the owner of the open file.
///
/// The default action of `SIGIO` ends the process, so block or handle the signal first. Signals that
/// are pending are merged into one, which does not say which descriptor is ready.
///
/// # Errors
///
/// Those of `fcntl(2)`.
pub fn signal_when_ready(source: impl AsFd) -> io::Result<()> {
    let fd = source.as_fd().as_raw_fd();
    let call = |call: libc::c_int, argument: libc::c_int| {
        // SAFETY: F_SETOWN, F_GETFL and F_SETFL take a number, and the descriptor is borrowed.
        check(unsafe { libc::fcntl(fd, call, argument) })
            .map_err(|error| with_fd_and_call(fd, "fcntl", error))
    };
    call(libc::F_SETOWN, std::process::id().cast_signed())?;
    let flags = call(libc::F_GETFL, 0)?;
    call(libc::F_SETFL, flags | libc::O_ASYNC)?;
    Ok(())
}
