//! The read and the write of one byte, which every layer shares.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Reads one byte. Every layer reads through this function.
#[inline]
pub(crate) fn read_byte(from: BorrowedFd<'_>) -> io::Result<()> {
    let mut byte = 0_u8;
    // SAFETY: `byte` has room for one byte.
    match unsafe { libc::read(from.as_raw_fd(), (&raw mut byte).cast(), 1) } {
        1 => Ok(()),
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Writes one byte. Every layer writes through this function.
#[inline]
pub(crate) fn write_byte(to: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: `BYTE` is one readable byte.
    match unsafe { libc::write(to.as_raw_fd(), (&raw const BYTE).cast(), 1) } {
        1 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

static BYTE: u8 = b'.';
