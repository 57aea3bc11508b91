//! How long a blocking stream waits for its peer.

use std::io;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::sync::lock;

/// The limits of a stream over which something must pass, in one direction or the other, every now
/// and then.
///
/// The kernel knows only how long *this* read may wait (`SO_RCVTIMEO`), so the stream looks for
/// itself when that is over: whether anything has passed meanwhile, and whether it was the read's
/// own time that is over. What counts is how long reads have waited since something last passed, be
/// it in one piece or in many: while a handler is busy with something else nobody is idle.
#[derive(Debug)]
pub(super) struct IdleTimeout {
    idle: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When something last passed.
    progress_at: Instant,
    /// How long reads have waited since then, as far as it was counted.
    waited: Duration,
    /// How many are sending just now: of a long send only the end is seen.
    senders: usize,
    /// Whether the last of them has waited in vain: then the next is no sign of life.
    is_stuck: bool,
    /// How long a read may wait, if it was said.
    read: Option<Duration>,
    /// Whether it is blocking, and reads wait at all.
    is_blocking: bool,
}

impl State {
    fn note_progress(&mut self) {
        self.progress_at = Instant::now();
        self.waited = Duration::ZERO;
        self.is_stuck = false;
    }
}

/// A read that waits.
pub(super) struct Waiting {
    begin: Instant,
    /// Since when it has waited that was not counted yet.
    since: Instant,
}

impl Waiting {
    pub(super) fn begin() -> Self {
        let now = Instant::now();
        Waiting { begin: now, since: now }
    }
}

/// What a wait that is over means.
pub(super) enum Expired {
    /// Nothing: something has passed meanwhile, or the kernel was early.
    Nothing,
    /// This read has waited for long enough.
    Read,
    /// Nothing has passed for too long.
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

    /// Something has passed.
    pub(super) fn note_progress(&self) {
        self.state().note_progress();
    }

    /// Sends, and notes it.
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

    /// The kernel says that a read's time is over.
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
        // Counted once, however many read.
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
