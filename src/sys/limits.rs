//! The limit of open descriptors.

use std::io;

use super::check;

/// The number of descriptors that the process may hold open (`RLIMIT_NOFILE`, see `getrlimit(2)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescriptorLimit {
    /// The limit in force. The number of every new descriptor is below it.
    pub soft: u64,
    /// The value up to which the process may raise [`soft`](Self::soft).
    pub hard: u64,
}

/// Returns the process's limit of open descriptors.
///
/// # Errors
///
/// Those of `getrlimit(2)`. On Linux the call does not fail.
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
/// Those of `setrlimit(2)`, for example `PermissionDenied` in some containers.
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
