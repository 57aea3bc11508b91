//! How many descriptors the process may open.

use std::io;

use super::check;

/// How many descriptors the process may hold open (`RLIMIT_NOFILE`, see `getrlimit(2)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescriptorLimit {
    /// In force now: every new descriptor's number is below it.
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
