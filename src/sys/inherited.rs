//! The descriptors with which a process was started.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use super::check;
use super::fd::{check_open, with_fd_and_call};

/// The first descriptor after the standard streams (`SD_LISTEN_FDS_START`, see `sd_listen_fds(3)`).
const FIRST: RawFd = 3;

/// Takes `count` descriptors from 3 on, and makes them close-on-exec. The caller knows that the process
/// was started with them and that nothing else in it owns them.
///
/// They can be taken once in a process. A second call returns `None`.
///
/// # Errors
///
/// One of them is not open. Then none is taken.
pub(crate) fn take_inherited(count: RawFd) -> io::Result<Option<Vec<OwnedFd>>> {
    static ARE_TAKEN: AtomicBool = AtomicBool::new(false);
    let numbers = FIRST..FIRST.saturating_add(count);
    for number in numbers.clone() {
        check_open(number)?;
    }
    if ARE_TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(None);
    }
    let take = |number| {
        // SAFETY: it is open, the process was started with it to own it, and it is taken only once.
        unsafe { OwnedFd::from_raw_fd(number) }
    };
    let taken: Vec<OwnedFd> = numbers.clone().map(take).collect();
    for number in numbers {
        // SAFETY: takes three numbers, and changes no memory of this process.
        let answer = check(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) });
        answer.map_err(|error| with_fd_and_call(number, "fcntl", error))?;
    }
    Ok(Some(taken))
}
