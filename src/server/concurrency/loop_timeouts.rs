//! The time limits of a client in the loop.
//!
//! They are not those of a thread: a thread counts only the time in which it waits for its client
//! (`net/idle.rs`). The loop always waits for all its clients, so it compares points in time.

use std::time::{Duration, Instant};

/// The three time limits behind the one deadline of a client in the loop: the timeout of its handler,
/// and the `read_timeout` and `idle_timeout` of its server.
#[derive(Debug)]
pub(super) struct Timeouts {
    /// When the timeout of the handler expires.
    handler_deadline: Option<Instant>,
    read: Option<Duration>,
    idle: Option<Duration>,
    /// When data was last received.
    received_at: Instant,
    /// When data last passed in either direction.
    progress_at: Instant,
    /// The size of the write buffer when it was last noted.
    unsent: usize,
    /// The size of the kernel's send queue when it was last noted.
    send_queue: Option<usize>,
}

/// The time limit that has expired.
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
            send_queue: None,
        }
    }

    pub(super) fn is_limited(&self) -> bool {
        self.read.or(self.idle).is_some()
    }

    pub(super) fn set_handler_timeout(&mut self, timeout: Option<Duration>) {
        self.handler_deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    }

    /// Notes that data was received.
    pub(super) fn note_received(&mut self) {
        if self.is_limited() {
            self.received_at = Instant::now();
            self.progress_at = self.received_at;
        }
    }

    /// Notes the size of the write buffer, after `new` bytes were written to it. If it is smaller than
    /// their sum, the client has read something.
    pub(super) fn note_unsent(&mut self, unsent: usize, new: usize) {
        if self.is_limited() && unsent < self.unsent + new {
            self.progress_at = Instant::now();
        }
        self.unsent = unsent;
    }

    /// Notes the size of the kernel's send queue. While it falls, the client reads, although the write
    /// buffer may stay as it is. The first time there is nothing to compare.
    fn note_send_queue(&mut self, send_queue: usize) {
        let has_fallen =
            self.send_queue.replace(send_queue).is_none_or(|before| send_queue < before);
        if self.is_limited() && self.unsent > 0 && has_fallen {
            self.progress_at = Instant::now();
        }
    }

    /// Returns when the next limit may expire.
    pub(super) fn next(&self) -> Option<Instant> {
        let read = self.read.and_then(|read| self.received_at.checked_add(read));
        let idle = self.idle.and_then(|idle| self.progress_at.checked_add(idle));
        [self.handler_deadline, read, idle].into_iter().flatten().min()
    }

    /// Returns which limit has expired at the deadline, if any.
    pub(super) fn check(&mut self, unsent: usize, send_queue: usize) -> Expired {
        self.note_unsent(unsent, 0);
        self.note_send_queue(send_queue);
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
