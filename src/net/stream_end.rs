//! The end of a blocking stream: how its input ends in a shutdown, and how its output survives the
//! close.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::input_end::InputEnd;
use super::stream::Stream;
use crate::sys;

/// How long a peer may read nothing while a stream lingers.
const PATIENCE: Duration = Duration::from_secs(1);

/// The pause between two looks at a stream that lingers.
const PAUSE: Duration = Duration::from_millis(5);

impl Stream {
    /// Reads. A blocking stream waits until there is input, or until its input ends.
    pub(super) fn read_or_end(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.input_end_if_blocking() {
            None => self.socket().read(buffer),
            Some(input_end) => {
                self.read_until_end(input_end, || sys::read_now(self.socket().as_fd(), buffer))
            }
        }
    }

    /// Returns what ends the input early, if the stream is blocking.
    pub(super) fn input_end_if_blocking(&self) -> Option<&InputEnd> {
        self.input_end().filter(|_| !self.is_nonblocking.load(Ordering::Relaxed))
    }

    /// Reads by `read_now`, which does not block, and waits in between.
    pub(super) fn read_until_end(
        &self,
        input_end: &InputEnd,
        mut read_now: impl FnMut() -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            match read_now() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            if !input_end.wait(self.socket())? {
                let is_end = input_end.is_requested();
                return if is_end { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
            }
        }
    }

    /// Returns whether its input ends early.
    pub(crate) fn is_input_ending(&self) -> bool {
        self.input_end().is_some_and(|input_end| input_end.is_requested())
    }

    /// Discards input until the peer has the output and its end, so that the close is no reset. A reset
    /// would discard what the kernel has not delivered. Ends early when the peer reads nothing for a
    /// second, or when `is_over`. Blocks.
    pub(crate) fn linger(&self, is_over: &dyn Fn() -> bool) {
        let (mut queue, mut read_at) = (usize::MAX, Instant::now());
        while self.discard_input() {
            let now = self.send_queue().unwrap_or(0); // on TCP the end is counted, too
            if now < queue {
                (queue, read_at) = (now, Instant::now());
            }
            if queue == 0 || read_at.elapsed() >= PATIENCE || is_over() {
                return;
            }
            thread::sleep(PAUSE);
        }
    }

    /// Discards what has arrived. Returns false if the connection has failed.
    fn discard_input(&self) -> bool {
        /// A fast sender must not keep the caller here.
        const TIMES: u32 = 64;
        let mut buffer = [0; 16 << 10];
        for _ in 0..TIMES {
            match sys::read_now(self.socket().as_fd(), &mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => {
                    return matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    );
                }
            }
        }
        true
    }
}
