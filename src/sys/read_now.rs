//! Reads of a socket that never block.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Reads what a connected socket has received, whatever its mode. Never blocks.
///
/// # Errors
///
/// `WouldBlock` if there is nothing. Otherwise those of `recv(2)`.
pub(crate) fn read_now(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is as long as said, and outlives the call.
    let count = unsafe {
        libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT)
    };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}
