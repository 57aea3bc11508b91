//! How many descriptors the process may open, and whether one of them is.

use std::io;
use std::os::fd::RawFd;

use super::check;

/// How many descriptors the process may hold open (`RLIMIT_NOFILE`, see `getrlimit(2)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescriptorLimit {
    /// In force now: every descriptor's number is below it.
    pub soft: u64,
    /// How far the process may raise [`soft`](Self::soft) by itself.
    pub hard: u64,
}

/// The process's limit of open descriptors.
///
/// # Errors
///
/// Whatever `getrlimit(2)` says; on Linux it has nothing to say.
pub fn descriptor_limit() -> io::Result<DescriptorLimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit for the call to fill, and outlives it.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    Ok(DescriptorLimit { soft: limit.rlim_cur, hard: limit.rlim_max })
}

/// Raises the soft limit of open descriptors to `wanted`, or as near as the hard limit allows, and
/// returns what is now in force. A limit that is higher already is left alone.
///
/// # Errors
///
/// Whatever `setrlimit(2)` says, `PermissionDenied` in some containers.
pub fn raise_descriptor_limit(wanted: u64) -> io::Result<DescriptorLimit> {
    let DescriptorLimit { soft, hard } = descriptor_limit()?;
    let raised = wanted.min(hard);
    if raised > soft {
        let limit = libc::rlimit { rlim_cur: raised, rlim_max: hard };
        // SAFETY: `limit` is a valid rlimit which the call only reads.
        check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) })?;
    }
    descriptor_limit()
}

/// Refuses a number that cannot be a descriptor's, before it becomes an index.
pub(crate) fn check_number(fd: RawFd) -> io::Result<()> {
    if fd < 0 {
        let message = format!("{fd} is not a descriptor: it is negative");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(())
}

/// Refuses a descriptor that is not open, and names it. `fcntl(F_GETFL)` is the cheapest question
/// that the kernel answers about a bare number.
///
/// A descriptor opened with `O_PATH` names a file without opening it. `fcntl` knows it; to the
/// three calls it is closed.
pub(crate) fn check_open(fd: RawFd) -> io::Result<()> {
    check_number(fd)?;
    // SAFETY: F_GETFL takes no pointer and changes nothing, whatever the number.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) });
    match flags.map_err(|error| about(fd, error))? & libc::O_PATH {
        0 => Ok(()),
        _ => Err(about(fd, io::Error::from_raw_os_error(libc::EBADF))),
    }
}

/// Whether a call failed because a descriptor is not open.
pub(crate) fn is_bad_descriptor(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EBADF)
}

/// An error of the system with the descriptor it is about in its message. A closed descriptor is
/// `InvalidInput`: the standard library has no kind of its own for it.
pub(crate) fn about(fd: RawFd, error: io::Error) -> io::Error {
    let kind = match error.kind() {
        _ if is_bad_descriptor(&error) => io::ErrorKind::InvalidInput,
        kind => kind,
    };
    io::Error::new(kind, format!("descriptor {fd}: {error}"))
}
