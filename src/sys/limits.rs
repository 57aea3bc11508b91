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
/// Those of `prlimit(2)`. On Linux the call does not fail.
pub fn descriptor_limit() -> io::Result<DescriptorLimit> {
    let limit = prlimit(None)?;
    Ok(DescriptorLimit { soft: limit.rlim_cur, hard: limit.rlim_max })
}

/// Raises the soft limit of open descriptors to `wanted`, or as near as the hard limit allows, and
/// returns what is now in force. A limit that is higher already is left alone.
///
/// # Errors
///
/// Those of `prlimit(2)`, for example `PermissionDenied` in some containers.
pub fn raise_descriptor_limit(wanted: u64) -> io::Result<DescriptorLimit> {
    let DescriptorLimit { soft, hard } = descriptor_limit()?;
    let raised = wanted.min(hard);
    if raised > soft {
        prlimit(Some(libc::rlimit64 { rlim_cur: raised, rlim_max: hard }))?;
    }
    descriptor_limit()
}

/// Sets the limit, if there is a new one, and returns what was in force before.
///
/// `getrlimit(2)` counts in 32 bits on some machines of 32 bits, where *unlimited* is the greatest of
/// these numbers. The kernel's own call counts in 64 bits everywhere.
fn prlimit(new: Option<libc::rlimit64>) -> io::Result<libc::rlimit64> {
    const THIS_PROCESS: libc::pid_t = 0;
    let mut old = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let new: *const libc::rlimit64 = new.as_ref().map_or(std::ptr::null(), |new| new);
    let (call, resource) = (libc::SYS_prlimit64, libc::RLIMIT_NOFILE);
    // SAFETY: reads `new`, if it is not null, and fills `old`. Both outlive the call.
    check(unsafe { libc::syscall(call, THIS_PROCESS, resource, new, &raw mut old) } as libc::c_int)?;
    Ok(old)
}
