//! The limit of descriptors for a subject alone.
//!
//! The limit belongs to the process, and the observer must go on accepting pages. So it is lowered only
//! while the subject accepts, which lasts some microseconds, and the error is the kernel's own. It limits
//! the *numbers*: the lab's pages and clients have some of them, too. If the observer accepts a page in
//! that moment it fails, pauses for some milliseconds, and accepts the page then.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Makes a call while the process may open only descriptors below `most`.
pub(super) fn under<T>(most: Option<u64>, call: impl FnOnce() -> T) -> T {
    let Some(most) = most else { return call() };
    let usual = getrlimit(Resource::Nofile);
    let lowered = Rlimit { current: Some(most), maximum: usual.maximum };
    let is_lowered = setrlimit(Resource::Nofile, lowered).is_ok();
    let result = call();
    if is_lowered {
        let _ = setrlimit(Resource::Nofile, usual); // what was allowed before is allowed again
    }
    result
}

/// Raises the limit of the process as far as it may.
pub(super) fn raise() {
    let usual = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: usual.maximum, maximum: usual.maximum };
    let _ = setrlimit(Resource::Nofile, raised); // then it stays as it is
}

/// Returns the limit of the process.
pub(super) fn usual() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
