//! What ends the input of blocking streams in a shutdown.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use socket2::Socket;

use crate::sys::{self, EventFd, PollFd, PollFlags};

/// Ends the input of all streams that share it, also in children of this process.
///
/// `shutdown(2)` cannot do that. On TCP the kernel then reports the end at the first moment at which
/// nothing is left in the receive buffer, announces no more room for what the peer has still to send,
/// and answers data that comes after our own end with a reset.
#[derive(Debug)]
pub struct InputEnd {
    /// It wakes readers.
    event: EventFd,
    is_requested: AtomicBool,
}

/// How long a peer must be silent until its input ends.
pub(crate) const QUIET: Duration = Duration::from_millis(50);

/// The pause after a wait that has failed.
const PAUSE: Duration = Duration::from_millis(5);

impl InputEnd {
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        Ok(Arc::new(InputEnd { event: EventFd::new()?, is_requested: AtomicBool::new(false) }))
    }

    pub(crate) fn request(&self) {
        self.is_requested.store(true, Ordering::Release);
        self.event.wake();
    }

    /// Returns whether it was requested in this process.
    pub(crate) fn is_requested(&self) -> bool {
        self.is_requested.load(Ordering::Acquire)
    }

    /// Waits for input. Returns false if there was none for so long as the stream may wait, or for
    /// [`QUIET`] after the end was requested.
    pub(super) fn wait(&self, socket: &Socket) -> io::Result<bool> {
        let timeout = socket.read_timeout()?;
        let mut fds = [socket.as_fd(), self.event.as_fd()]
            .map(|fd| PollFd::new(fd.as_raw_fd(), PollFlags::IN));
        if !self.is_requested() {
            if !poll(&mut fds, timeout) {
                return Ok(false);
            }
            if fds[1].revents().is_empty() {
                return Ok(true);
            }
            self.is_requested.store(true, Ordering::Release); // perhaps by the parent of this process
        }
        Ok(poll(&mut fds[..1], Some(timeout.map_or(QUIET, |timeout| timeout.min(QUIET)))))
    }
}

/// Returns whether there may be an event. When the kernel has no memory for the wait, the caller looks
/// again after a pause.
fn poll(fds: &mut [PollFd], timeout: Option<Duration>) -> bool {
    sys::poll(fds, timeout).map_or_else(
        |_| {
            thread::sleep(PAUSE);
            true
        },
        |events| events > 0,
    )
}
