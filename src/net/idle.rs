//! The idle timeout of a blocking stream.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::sync::lock;
use crate::sys;

/// The idle timeout of a stream: data must pass, in one direction or the other, every so often.
///
/// The kernel only limits how long *one* read blocks (`SO_RCVTIMEO`). So when that time is over,
/// the stream checks whether data has passed meanwhile, and whether the limit of the read itself is
/// over. The timeout counts how long reads have blocked since data last passed, in one piece or in
/// many. While a handler is busy with something else, its stream is not idle.
#[derive(Debug)]
pub(super) struct IdleTimeout {
    idle: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When data last passed.
    progress_at: Instant,
    /// How long reads have blocked since then, as far as it was counted.
    waited: Duration,
    /// Number of sends in progress: of a long send only the end is seen.
    senders: usize,
    /// Whether the last of them has timed out: then the next is no sign of progress.
    is_stuck: bool,
    /// The limit of a single read.
    read: Option<Duration>,
    /// The limit of a single write.
    write: Option<Duration>,
    /// Whether the stream is blocking.
    is_blocking: bool,
}

impl State {
    fn note_progress(&mut self) {
        self.progress_at = Instant::now();
        self.waited = Duration::ZERO;
        self.is_stuck = false;
    }
}

/// A blocking read.
pub(super) struct Waiting {
    begin: Instant,
    /// Since when its time was not counted.
    since: Instant,
}

impl Waiting {
    pub(super) fn begin() -> Self {
        let now = Instant::now();
        Waiting { begin: now, since: now }
    }
}

/// What the end of a wait means.
pub(super) enum Expired {
    /// Nothing: data has passed meanwhile, or the kernel was early.
    Nothing,
    /// The limit of the read is over.
    Read,
    /// The idle timeout is over.
    Idle,
}

impl IdleTimeout {
    pub(super) fn new(idle: Duration) -> Self {
        let state = State {
            progress_at: Instant::now(),
            waited: Duration::ZERO,
            senders: 0,
            is_stuck: false,
            read: None,
            write: None,
            is_blocking: true,
        };
        IdleTimeout { idle, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Records that data has passed.
    pub(super) fn note_progress(&self) {
        self.state().note_progress();
    }

    /// Sends, and records it. A send that finds no room is tried again as long as the peer reads: the
    /// kernel reports room only when a third of its buffer is free, which may be megabytes.
    pub(super) fn while_sending(
        &self,
        socket: &Socket,
        mut send: impl FnMut() -> io::Result<usize>,
    ) -> io::Result<usize> {
        let begin = Instant::now();
        self.state().senders += 1;
        let mut queue = None;
        let mut sent = send();
        while sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            && self.may_send_on(begin)
        {
            let now = sys::send_queue(socket.as_fd()).unwrap_or(0);
            // The first time there is nothing to compare.
            if queue.replace(now).is_some_and(|before| before <= now) {
                break;
            }
            sent = send();
        }
        let mut state = self.state();
        state.senders -= 1;
        match &sent {
            Ok(_) => state.note_progress(),
            Err(error) => state.is_stuck |= error.kind() == io::ErrorKind::WouldBlock,
        }
        sent
    }

    /// Returns whether a send that began at `begin` and found no room may be tried again.
    fn may_send_on(&self, begin: Instant) -> bool {
        let state = self.state();
        state.is_blocking && state.write.is_none_or(|write| begin.elapsed() < write)
    }

    pub(super) fn set_blocking(&self, yes: bool) {
        self.state().is_blocking = yes;
    }

    pub(super) fn set_read_timeout(
        &self,
        socket: &Socket,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        socket.set_read_timeout(Some(self.at_most(timeout)))?;
        self.state().read = timeout;
        Ok(())
    }

    pub(super) fn read_timeout(&self) -> Option<Duration> {
        self.state().read
    }

    /// Returns when the timeout is over, if the peer has been silent since `since` and nothing passes.
    pub(super) fn expires_at(&self, since: Instant) -> Option<Instant> {
        self.state().progress_at.max(since).checked_add(self.idle)
    }

    pub(super) fn set_write_timeout(
        &self,
        socket: &Socket,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        socket.set_write_timeout(Some(self.at_most(timeout)))?;
        self.state().write = timeout;
        Ok(())
    }

    fn at_most(&self, timeout: Option<Duration>) -> Duration {
        timeout.map_or(self.idle, |timeout| timeout.min(self.idle))
    }

    /// Checks what the timeout of a read means.
    pub(super) fn check(&self, wait: &mut Waiting) -> Expired {
        let now = Instant::now();
        let mut state = self.state();
        if !state.is_blocking {
            return Expired::Read;
        }
        if state.senders > 0 && !state.is_stuck {
            state.note_progress();
        }
        let since = wait.since.max(state.progress_at);
        state.waited += now.saturating_duration_since(since);
        // Time is counted once, even if several threads read.
        (wait.since, state.progress_at) = (now, now.max(state.progress_at));
        if state.waited >= self.idle {
            Expired::Idle
        } else if state.read.is_some_and(|read| now.duration_since(wait.begin) >= read) {
            Expired::Read
        } else {
            Expired::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    /// A full socket, and its peer.
    fn full() -> (Socket, UnixStream) {
        let (here, there) = UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        while (&here).write(&[0; 100_000]).is_ok() {}
        there.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        (here.into(), there)
    }

    /// Counts the attempts of a send that finds no room. Before each, the peer reads so many bytes.
    fn attempts(idle: &IdleTimeout, reads: &[usize]) -> usize {
        let (socket, mut peer) = full();
        let mut reads = reads.iter();
        let mut attempts = 0;
        let sent = idle.while_sending(&socket, || {
            attempts += 1;
            let count = reads.next().copied().unwrap_or(0);
            peer.read_exact(&mut vec![0; count]).unwrap();
            Err(io::ErrorKind::WouldBlock.into())
        });
        assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        attempts
    }

    #[test]
    fn a_send_without_room_goes_on_as_long_as_the_peer_reads() {
        let idle = IdleTimeout::new(Duration::from_secs(1));
        assert_eq!(attempts(&idle, &[]), 2); // there is nothing to compare before
        assert_eq!(attempts(&idle, &[0, 50_000, 50_000]), 4);
        // Neither beyond the limit of a single write, nor when it must not block.
        let (socket, _peer) = full();
        idle.set_write_timeout(&socket, Some(Duration::from_nanos(1))).unwrap();
        assert_eq!(attempts(&idle, &[0, 50_000, 50_000]), 1);
        idle.set_write_timeout(&socket, Some(Duration::from_secs(60))).unwrap();
        assert_eq!(attempts(&idle, &[0, 50_000, 50_000]), 4);
        idle.set_write_timeout(&socket, None).unwrap();
        idle.set_blocking(false);
        assert_eq!(attempts(&idle, &[0, 50_000, 50_000]), 1);
    }
}
