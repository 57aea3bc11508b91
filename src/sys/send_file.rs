//! A wrapper for `sendfile(2)`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use super::check;

/// Sends bytes of `file` from `offset` on through a non-blocking stream socket, without a copy in user
/// space. Returns the number of bytes sent. 0 means that the file ends at or before `offset`. The file's
/// own position does not matter, and stays as it is.
///
/// It waits for the disk if the bytes are not in the page cache. A closed connection is an error and
/// no SIGPIPE, as for `send(2)` with `MSG_NOSIGNAL`: the kernel has no such flag for this call.
///
/// # Errors
///
/// `EINVAL` if the file cannot be sent like this: read and write it instead. Otherwise those of
/// `sendfile(2)`.
pub(crate) fn send_file(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    count: usize,
) -> io::Result<usize> {
    let Ok(mut offset) = libc::off_t::try_from(offset) else { return Ok(0) }; // no file is so large
    let mut send = || {
        // SAFETY: `offset` outlives the call, which reads and writes it; both descriptors are
        // borrowed, hence open.
        let sent =
            unsafe { libc::sendfile(socket.as_raw_fd(), file.as_raw_fd(), &raw mut offset, count) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    };
    if is_sigpipe_ignored() { send() } else { without_sigpipe(&mut send) }
}

/// Rust's programs ignore SIGPIPE, unless `main` is not Rust's.
fn is_sigpipe_ignored() -> bool {
    // SAFETY: all-zero bytes are a valid sigaction; a null pointer changes nothing, and the other one
    // points to a sigaction that outlives the call.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGPIPE, ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_IGN
    }
}

/// Makes a call during which SIGPIPE is blocked for this thread. The signal that the call has caused is
/// taken away.
fn without_sigpipe(call: &mut dyn FnMut() -> io::Result<usize>) -> io::Result<usize> {
    // SAFETY: all-zero bytes are valid for the sets, which the calls initialize, and for the time; all
    // of them outlive the calls. A thread may change its own signal mask.
    unsafe {
        let (mut sigpipe, mut before, mut pending): (
            libc::sigset_t,
            libc::sigset_t,
            libc::sigset_t,
        ) = (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed());
        libc::sigemptyset(&raw mut sigpipe);
        libc::sigaddset(&raw mut sigpipe, libc::SIGPIPE);
        libc::sigpending(&raw mut pending);
        let was_pending = libc::sigismember(&raw const pending, libc::SIGPIPE) == 1;
        match libc::pthread_sigmask(libc::SIG_BLOCK, &raw const sigpipe, &raw mut before) {
            0 => {}
            error => return Err(io::Error::from_raw_os_error(error)),
        }
        let sent = call();
        let is_broken = sent.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EPIPE));
        if is_broken && !was_pending {
            let now: libc::timespec = std::mem::zeroed();
            let _ = check(libc::sigtimedwait(&raw const sigpipe, ptr::null_mut(), &raw const now));
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut());
        sent
    }
}
