//! Writes that never wait, for logs.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use super::fd::file_type;
use super::poll::{PollFd, PollFlags, poll};

/// Writes what a pipe, a socket or a terminal takes at once, and never waits for its reader. Returns
/// how many bytes that were.
///
/// A log that is written by a thread of many clients needs this. Standard error may be a pipe that no
/// process reads: `write(2)` then blocks for ever, and the clients wait with it. To set `O_NONBLOCK` is
/// no way out, because other processes share the open file. A regular file is written as usual.
///
/// ```
/// let (_reader, writer) = std::io::pipe()?; // it blocks
/// while let Ok(_) = tripoll::sys::write_now(&writer, b"a line that no process reads\n") {}
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
///
/// `WouldBlock` if there is no room for a single byte. Otherwise those of `write(2)`.
pub fn write_now(file: impl AsFd, data: &[u8]) -> io::Result<usize> {
    let file = file.as_fd();
    loop {
        match try_write(file, data) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            written => return written,
        }
    }
}

fn try_write(file: BorrowedFd<'_>, data: &[u8]) -> io::Result<usize> {
    let kind = file_type(file.as_raw_fd());
    if !matches!(kind, Some(libc::S_IFIFO | libc::S_IFSOCK | libc::S_IFCHR)) {
        return write(file, data);
    }
    match write_nowait(file, data) {
        Err(error) if is_unsupported(&error) => {}
        written => return written,
    }
    // A terminal, or a pipe before Linux 6.4. Another open file of it may have flags of its own.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    match File::options().append(true).custom_flags(flags).open(path) {
        Ok(mut reopened) => reopened.write(data),
        // For instance, the process has no /proc, or it may not open the terminal.
        Err(_) if !has_room(file)? => Err(io::ErrorKind::WouldBlock.into()),
        Err(_) => write(file, &data[..data.len().min(SMALL)]),
    }
}

/// Returns whether a small write would not block. A pipe without a reader has room: the write fails.
fn has_room(file: BorrowedFd<'_>) -> io::Result<bool> {
    let mut asked = [PollFd::new(file.as_raw_fd(), PollFlags::OUT)];
    Ok(poll(&mut asked, Some(Duration::ZERO))? > 0)
}

/// Where `poll(2)` reports room in a pipe, so many bytes do not block: POSIX's least `PIPE_BUF`.
const SMALL: usize = 512;

fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL))
}

fn write(file: BorrowedFd<'_>, data: &[u8]) -> io::Result<usize> {
    // SAFETY: the data is as long as said; the descriptor is borrowed, hence open.
    let count = unsafe { libc::write(file.as_raw_fd(), data.as_ptr().cast(), data.len()) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Writes at the current position by `pwritev2(2)` with `RWF_NOWAIT`. It fails with EAGAIN where it
/// would block, and with EOPNOTSUPP where the kernel cannot know.
fn write_nowait(file: BorrowedFd<'_>, data: &[u8]) -> io::Result<usize> {
    const CURRENT: libc::c_long = -1;
    let slice = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    // SAFETY: there is one slice, as long as said, which the call only reads; both outlive the call;
    // the descriptor is borrowed, hence open.
    let count = unsafe {
        libc::syscall(
            libc::SYS_pwritev2,
            file.as_raw_fd(),
            &raw const slice,
            1 as libc::c_ulong,
            CURRENT, // the offset's lower half, and its upper one
            CURRENT,
            RWF_NOWAIT,
        )
    };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// From `linux/fs.h`. The `libc` crate has it for some targets only.
const RWF_NOWAIT: libc::c_int = 0x8;
