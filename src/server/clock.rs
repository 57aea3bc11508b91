//! How long a client in the loop may be silent.

use std::time::{Duration, Instant};

use super::Config;

/// What a client's one deadline in the loop stands for: the handler's own timeout, and the server's
/// two.
#[derive(Debug)]
pub(super) struct Clock {
    /// When the handler wants to be called.
    own: Option<Instant>,
    read: Option<Duration>,
    idle: Option<Duration>,
    /// When something last came.
    heard: Instant,
    /// When something last passed, in one direction or the other.
    passed: Instant,
    /// How much was owed to the client when that was last looked at.
    owed: usize,
}

/// Whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nobody,
    Handler,
    Read,
    Idle,
}

impl Clock {
    pub(super) fn new(config: &Config) -> Self {
        let now = Instant::now();
        let Config { read_timeout: read, idle_timeout: idle, .. } = *config;
        Clock { own: None, read, idle, heard: now, passed: now, owed: 0 }
    }

    fn is_limited(&self) -> bool {
        self.read.or(self.idle).is_some()
    }

    pub(super) fn set_own(&mut self, timeout: Option<Duration>) {
        self.own = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    }

    /// Something has come.
    pub(super) fn note_heard(&mut self) {
        if self.is_limited() {
            self.heard = Instant::now();
            self.passed = self.heard;
        }
    }

    /// So much is owed now, after `new` bytes more were.
    pub(super) fn note_owed(&mut self, owed: usize, new: usize) {
        if self.is_limited() && owed < self.owed + new {
            self.passed = Instant::now();
        }
        self.owed = owed;
    }

    /// When to look next.
    pub(super) fn next(&self) -> Option<Instant> {
        let read = self.read.and_then(|read| self.heard.checked_add(read));
        let idle = self.idle.and_then(|idle| self.passed.checked_add(idle));
        [self.own, read, idle].into_iter().flatten().min()
    }

    /// The deadline has come: whose?
    pub(super) fn look(&mut self, owed: usize) -> Due {
        self.note_owed(owed, 0);
        let now = Instant::now();
        let is_over = |since: Instant, limit: Option<Duration>| {
            limit.is_some_and(|limit| now.duration_since(since) >= limit)
        };
        if self.own.is_some_and(|own| own <= now) {
            self.own = None;
            Due::Handler
        } else if is_over(self.heard, self.read) {
            Due::Read
        } else if is_over(self.passed, self.idle) {
            Due::Idle
        } else {
            Due::Nobody
        }
    }
}
