//! How long a client in the loop may be silent.

use std::time::{Duration, Instant};

/// What a client's one deadline in the loop stands for: the handler's own timeout, and the server's
/// two.
#[derive(Debug)]
pub(super) struct Timeouts {
    /// When the handler wants to be called.
    handler_deadline: Option<Instant>,
    read: Option<Duration>,
    idle: Option<Duration>,
    /// When something last came.
    received_at: Instant,
    /// When something last passed, in one direction or the other.
    progress_at: Instant,
    /// How much was owed to the client when that was last looked at.
    unsent: usize,
}

/// Whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expired {
    Nothing,
    Handler,
    Read,
    Idle,
}

impl Timeouts {
    pub(super) fn new(read: Option<Duration>, idle: Option<Duration>) -> Self {
        let now = Instant::now();
        Timeouts {
            handler_deadline: None,
            read,
            idle,
            received_at: now,
            progress_at: now,
            unsent: 0,
        }
    }

    pub(super) fn is_limited(&self) -> bool {
        self.read.or(self.idle).is_some()
    }

    pub(super) fn set_handler_timeout(&mut self, timeout: Option<Duration>) {
        self.handler_deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    }

    /// Something has come.
    pub(super) fn note_received(&mut self) {
        if self.is_limited() {
            self.received_at = Instant::now();
            self.progress_at = self.received_at;
        }
    }

    /// So much is owed now, after `new` bytes more were.
    pub(super) fn note_unsent(&mut self, unsent: usize, new: usize) {
        if self.is_limited() && unsent < self.unsent + new {
            self.progress_at = Instant::now();
        }
        self.unsent = unsent;
    }

    /// When to look next.
    pub(super) fn next(&self) -> Option<Instant> {
        let read = self.read.and_then(|read| self.received_at.checked_add(read));
        let idle = self.idle.and_then(|idle| self.progress_at.checked_add(idle));
        [self.handler_deadline, read, idle].into_iter().flatten().min()
    }

    /// The deadline has come: whose?
    pub(super) fn check(&mut self, unsent: usize) -> Expired {
        self.note_unsent(unsent, 0);
        let now = Instant::now();
        let is_over = |since: Instant, limit: Option<Duration>| {
            limit.is_some_and(|limit| now.duration_since(since) >= limit)
        };
        if self.handler_deadline.is_some_and(|handler_deadline| handler_deadline <= now) {
            self.handler_deadline = None;
            Expired::Handler
        } else if is_over(self.received_at, self.read) {
            Expired::Read
        } else if is_over(self.progress_at, self.idle) {
            Expired::Idle
        } else {
            Expired::Nothing
        }
    }
}
