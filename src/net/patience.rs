//! How long a blocking stream waits for its peer.

use std::io;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::pool::lock;

/// The limits of a stream over which something must pass, in one direction or the other, every now
/// and then.
///
/// The kernel knows only how long *this* read may wait (`SO_RCVTIMEO`), so the stream looks for
/// itself when that is over: whether anything has passed meanwhile, and whether it was the read's
/// own time that is over.
#[derive(Debug)]
pub(super) struct Patience {
    idle: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When something last passed.
    last: Instant,
    /// How long a read may wait, if it was said.
    read: Option<Duration>,
    /// Whether it is blocking, and reads wait at all.
    waits: bool,
}

/// What a wait that is over means.
pub(super) enum Over {
    /// Nothing: something has passed meanwhile.
    GoOn,
    /// This read has waited for long enough.
    Read,
    /// Nothing has passed for too long.
    Idle,
}

impl Patience {
    pub(super) fn new(idle: Duration) -> Self {
        Patience {
            idle,
            state: Mutex::new(State { last: Instant::now(), read: None, waits: true }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Something has passed.
    pub(super) fn note(&self) {
        self.state().last = Instant::now();
    }

    pub(super) fn set_waits(&self, yes: bool) {
        self.state().waits = yes;
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

    /// A read that has begun at `begin` was told by the kernel that its time is over.
    pub(super) fn look(&self, begin: Instant) -> Over {
        let (now, state) = (Instant::now(), self.state());
        if !state.waits || state.read.is_some_and(|read| now.duration_since(begin) >= read) {
            Over::Read
        } else if now.duration_since(state.last) >= self.idle {
            Over::Idle
        } else {
            Over::GoOn
        }
    }
}
