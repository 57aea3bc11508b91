//! Results of system calls as texts.

use std::io;

/// The most bytes of an excerpt.
const EXCERPT: usize = 64;

/// Returns the first bytes as a text.
pub(super) fn excerpt(data: &[u8]) -> String {
    String::from_utf8_lossy(&data[..data.len().min(EXCERPT)]).into_owned()
}

/// Returns the name of an error, `EAGAIN`. Without a number, it is its text.
pub(super) fn error_name(error: &io::Error) -> String {
    let Some(number) = error.raw_os_error() else { return error.to_string() };
    let names = [
        (libc::EAGAIN, "EAGAIN"),
        (libc::EPIPE, "EPIPE"),
        (libc::ECONNRESET, "ECONNRESET"),
        (libc::ECONNABORTED, "ECONNABORTED"),
        (libc::EMFILE, "EMFILE"),
        (libc::ENFILE, "ENFILE"),
        (libc::EINTR, "EINTR"),
        (libc::EBADF, "EBADF"),
        (libc::EINVAL, "EINVAL"),
        (libc::ENOTCONN, "ENOTCONN"),
        (libc::ETIMEDOUT, "ETIMEDOUT"),
        (libc::ENOMEM, "ENOMEM"),
        (libc::ENOBUFS, "ENOBUFS"),
        (libc::EPERM, "EPERM"),
    ];
    let name = names.iter().find(|(known, _)| *known == number).map(|(_, name)| *name);
    name.map_or_else(|| error.to_string(), str::to_string)
}
