//! The time limits of a client in the loop.
//!
//! They are not those of a thread: a thread counts only the time in which it waits for its client
//! (`net/idle.rs`). The loop always waits for all its clients, so it compares points in time.

use std::time::{Duration, Instant};

use crate::server::lifecycle::Limits;

/// The three time limits behind the one deadline of a client in the loop: the timeout of its handler,
/// and the `read_timeout` and `idle_timeout` of its server, which are the same for all clients. There may
/// be very many of them, so this is small. `now` is always the time of the reactor's turn.
#[derive(Debug)]
pub(super) struct Timeouts {
    /// When the timeout of the handler expires.
    handler_deadline: Option<Instant>,
    /// When data was last received.
    received_at: Instant,
    /// When data last passed in either direction.
    progress_at: Instant,
    /// The size of the write buffer when it was last noted.
    unsent: usize,
    /// The size of the kernel's send queue when it was last noted. [`UNKNOWN`] before.
    send_queue: usize,
}

/// There is nothing to compare: any size is less.
const UNKNOWN: usize = usize::MAX;

/// The time limit that has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expired {
    Nothing,
    Handler,
    Read,
    Idle,
}

impl Timeouts {
    pub(super) fn new(now: Instant) -> Self {
        Timeouts {
            handler_deadline: None,
            received_at: now,
            progress_at: now,
            unsent: 0,
            send_queue: UNKNOWN,
        }
    }

    pub(super) fn set_handler_timeout(&mut self, timeout: Option<Duration>, now: Instant) {
        self.handler_deadline = timeout.and_then(|timeout| now.checked_add(timeout));
    }

    /// Notes that data was received.
    pub(super) fn note_received(&mut self, limits: Limits, now: Instant) {
        if limits.is_any() {
            self.received_at = now;
            self.progress_at = self.received_at;
        }
    }

    /// Notes the size of the write buffer, after `new` bytes were written to it. If it is smaller than
    /// their sum, the client has read something.
    pub(super) fn note_unsent(&mut self, unsent: usize, new: usize, limits: Limits, now: Instant) {
        if limits.is_any() && unsent < self.unsent + new {
            self.progress_at = now;
        }
        self.unsent = unsent;
    }

    /// Notes the size of the kernel's send queue. While it falls, the client reads, although the write
    /// buffer may stay as it is. The first time there is nothing to compare, and the client gets the
    /// benefit of the doubt.
    fn note_send_queue(&mut self, send_queue: usize, limits: Limits, now: Instant) {
        let before = std::mem::replace(&mut self.send_queue, send_queue);
        if limits.is_any() && self.unsent > 0 && send_queue < before {
            self.progress_at = now;
        }
    }

    /// Returns when the next limit may expire.
    pub(super) fn next(&self, limits: Limits) -> Option<Instant> {
        let read = limits.read.and_then(|read| self.received_at.checked_add(read));
        let idle = limits.idle.and_then(|idle| self.progress_at.checked_add(idle));
        [self.handler_deadline, read, idle].into_iter().flatten().min()
    }

    /// Returns which limit has expired at the deadline, if any.
    pub(super) fn check(
        &mut self,
        unsent: usize,
        send_queue: usize,
        limits: Limits,
        now: Instant,
    ) -> Expired {
        self.note_unsent(unsent, 0, limits, now);
        self.note_send_queue(send_queue, limits, now);
        let is_over = |since: Instant, limit: Option<Duration>| {
            limit.is_some_and(|limit| now.duration_since(since) >= limit)
        };
        if self.handler_deadline.is_some_and(|handler_deadline| handler_deadline <= now) {
            self.handler_deadline = None;
            Expired::Handler
        } else if is_over(self.received_at, limits.read) {
            Expired::Read
        } else if is_over(self.progress_at, limits.idle) {
            Expired::Idle
        } else {
            Expired::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const IDLE: Limits = Limits { read: None, idle: Some(Duration::from_secs(10)) };
    const NONE: Limits = Limits { read: None, idle: None };

    /// A client that has 100 bytes of output, and 50 in the kernel after 5 s. What the
    /// kernel had before is unknown, so its limit begins anew.
    fn with_output(start: Instant) -> Timeouts {
        let mut timeouts = Timeouts::new(start);
        timeouts.note_unsent(100, 100, IDLE, start);
        assert_eq!(timeouts.check(100, 50, IDLE, start + 5 * SECOND), Expired::Nothing);
        assert_eq!(timeouts.next(IDLE), Some(start + 15 * SECOND));
        timeouts
    }

    #[test]
    fn a_send_queue_that_falls_is_progress() {
        let start = Instant::now();
        for (send_queue, next) in [(49, 16), (50, 15), (51, 15)] {
            let mut timeouts = with_output(start);
            timeouts.check(100, send_queue, IDLE, start + 6 * SECOND);
            assert_eq!(timeouts.next(IDLE), Some(start + next * SECOND), "{send_queue}");
        }
    }

    #[test]
    fn a_send_queue_that_falls_is_none_without_output_or_limits() {
        let start = Instant::now();
        let mut timeouts = Timeouts::new(start);
        timeouts.check(0, 50, IDLE, start + 5 * SECOND);
        timeouts.check(0, 40, IDLE, start + 6 * SECOND);
        assert_eq!(timeouts.next(IDLE), Some(start + 10 * SECOND));

        let mut timeouts = with_output(start);
        timeouts.check(100, 40, NONE, start + 6 * SECOND);
        assert_eq!(timeouts.next(IDLE), Some(start + 15 * SECOND));
    }

    #[test]
    fn the_limit_of_a_client_that_reads_nothing_expires() {
        let start = Instant::now();
        let mut timeouts = with_output(start);
        assert_eq!(timeouts.check(100, 50, IDLE, start + 14 * SECOND), Expired::Nothing);
        assert_eq!(timeouts.check(100, 50, IDLE, start + 15 * SECOND), Expired::Idle);
        // A write buffer that is smaller is progress, too.
        assert_eq!(timeouts.check(99, 50, IDLE, start + 15 * SECOND), Expired::Nothing);
        assert_eq!(timeouts.next(IDLE), Some(start + 25 * SECOND));
    }

    #[test]
    fn the_handler_comes_first_and_once() {
        let start = Instant::now();
        let limits = Limits { read: Some(SECOND), idle: Some(SECOND) };
        let mut timeouts = Timeouts::new(start);
        timeouts.set_handler_timeout(Some(2 * SECOND), start);
        assert_eq!(timeouts.next(limits), Some(start + SECOND));
        let late = start + 3 * SECOND;
        assert_eq!(timeouts.check(0, 0, limits, late), Expired::Handler);
        assert_eq!(timeouts.check(0, 0, limits, late), Expired::Read);
        timeouts.note_received(limits, late);
        assert_eq!(timeouts.check(0, 0, limits, late), Expired::Nothing);
        assert_eq!(timeouts.check(0, 0, limits, late + SECOND), Expired::Read);
        assert_eq!(
            timeouts.check(0, 0, Limits { read: None, ..limits }, late + SECOND),
            Expired::Idle
        );
    }
}
