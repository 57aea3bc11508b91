//! Whether a blocking stream has input: looking for it, and waiting for it, without reading it.

use std::io;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

use super::stream::{Stream, timed_out};
use crate::sys;

impl Stream {
    /// Returns whether there is input, without blocking and without reading it. `Ok(false)` is the end
    /// of the input.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is nothing yet. Otherwise those of `recv(2)`, such as a reset.
    pub(crate) fn peek_now(&self) -> io::Result<bool> {
        Ok(self.peek(libc::MSG_DONTWAIT)? > 0)
    }

    fn peek(&self, flags: i32) -> io::Result<usize> {
        let mut byte = [MaybeUninit::uninit()];
        sys::retry(|| self.socket().recv_with_flags(&mut byte, libc::MSG_PEEK | flags))
    }

    /// Blocks until there is input, and does not read it. Returns false at the end of the input, and
    /// when the peer was silent for as long as a timeout of the stream permits.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`, such as a reset.
    pub(crate) fn await_input(&self) -> io::Result<bool> {
        let look = || match self.input_end_if_blocking() {
            None => self.peek(0),
            Some(input_end) => self.read_until_end(input_end, || self.peek(libc::MSG_DONTWAIT)),
        };
        match self.within_idle_timeout(look).map_err(timed_out) {
            Ok(count) => Ok(count > 0),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns how long a single read may block.
    pub(crate) fn read_timeout(&self) -> Option<Duration> {
        match self.idle_timeout() {
            None => self.socket().read_timeout().ok().flatten(),
            Some(idle_timeout) => idle_timeout.read_timeout(),
        }
    }

    /// Returns when the stream is idle for too long, if nothing passes. The peer has been silent since
    /// `since`. `None` is never.
    pub(crate) fn idle_at(&self, since: Instant) -> Option<Instant> {
        self.idle_timeout().and_then(|idle_timeout| idle_timeout.expires_at(since))
    }
}
