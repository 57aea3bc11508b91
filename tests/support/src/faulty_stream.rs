//! A stream with the faults that a kernel may have.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use crate::Dice;

/// A stream whose operations are short, interrupted or refused at random, and fail in the end.
#[derive(Debug)]
pub struct FaultyStream {
    inner: UnixStream,
    dice: Dice,
    /// Whether operations may return `WouldBlock` although they would not block. Only a level-triggered
    /// kernel reports again what was refused like this.
    would_block: bool,
    /// The number of the error with which an operation fails, after so many others.
    failure: Option<(u32, i32)>,
    /// The faults that were made: short operations, interruptions, refusals.
    pub made: [u32; 3],
}

impl FaultyStream {
    pub fn new(inner: UnixStream, seed: u64, would_block: bool) -> Self {
        FaultyStream { inner, dice: Dice(seed), would_block, failure: None, made: [0; 3] }
    }

    /// Fails with `errno` after `operations`.
    pub fn failing(mut self, operations: u32, errno: i32) -> Self {
        self.failure = Some((operations, errno));
        self
    }

    /// Returns how many of `length` bytes the next operation may transfer.
    fn length(&mut self, length: usize) -> io::Result<usize> {
        if let Some((left, errno)) = &mut self.failure {
            if *left == 0 {
                return Err(io::Error::from_raw_os_error(*errno));
            }
            *left -= 1;
        }
        match self.dice.below(8) {
            0 => {
                self.made[1] += 1;
                Err(ErrorKind::Interrupted.into())
            }
            1 if self.would_block => {
                self.made[2] += 1;
                Err(ErrorKind::WouldBlock.into())
            }
            2..5 if length > 1 => {
                self.made[0] += 1;
                Ok(1 + self.dice.below(length - 1))
            }
            _ => Ok(length),
        }
    }
}

impl Read for FaultyStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.length(buffer.len())?;
        self.inner.read(&mut buffer[..length])
    }
}

impl Write for FaultyStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = self.length(buffer.len())?;
        self.inner.write(&buffer[..length])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl AsFd for FaultyStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}
