//! The idle timeout of a blocking stream.

use std::io;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::sync::lock;

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

    /// Sends, and records it.
    pub(super) fn while_sending(
        &self,
        send: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.state().senders += 1;
        let sent = send();
        let mut state = self.state();
        state.senders -= 1;
        match &sent {
            Ok(_) => state.note_progress(),
            Err(error) => state.is_stuck |= error.kind() == io::ErrorKind::WouldBlock,
        }
        sent
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

    pub(super) fn set_write_timeout(
        &self,
        socket: &Socket,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        socket.set_write_timeout(Some(self.at_most(timeout)))
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
