//! The deadlines that a connection sets for itself, apart from its user's: to write, to read, to be
//! idle, to close.
//!
//! The reactor has one deadline for all of them, the earliest. What happens meanwhile only moves a point in
//! time. The deadline itself is computed again when it has come.

use std::time::Instant;

use super::close_reason::CloseReason;
use super::connection::Connection;
use super::link::{Facts, Link, State};
use super::moment::Moment;
use super::options::Options;
use super::stream_io::StreamIo;
use super::timeout::Timeout;
use crate::reactor::Context;

/// How often a connection that lingers longer looks whether the peer has read its output, at most.
const SHORTEST_LINGER: Timeout = Timeout::millis(100);

impl Link {
    /// Notes which data has passed in this call. Returns whether the connection begins to read.
    fn note_passed(&mut self, stream: &StreamIo<'_>, now: Instant) -> bool {
        let (read, written) = stream.bytes_moved();
        if read || written {
            self.time = Some(Moment::of(now));
        }
        !self.options().read_timeout.is_none() && self.note_reading(read, now)
    }

    /// Notes since when the connection reads, and nothing is received.
    #[inline(never)] // few connections have this limit
    fn note_reading(&mut self, has_read: bool, now: Instant) -> bool {
        let reads = self.wants_to_read();
        let since = &mut self.rare_mut().reading_since;
        let begins = reads && since.is_none();
        if has_read || begins {
            *since = Some(now);
        }
        if !reads {
            *since = None; // the peer is not to blame
        }
        begins
    }

    fn reading_since(&self) -> Option<Instant> {
        self.rare.as_ref()?.reading_since
    }

    /// Returns when is checked again whether the peer reads what is kept.
    fn write_until(&self) -> Option<Instant> {
        self.buffers.as_ref()?.until
    }

    /// Ends the time that the peer has had to read what was kept.
    fn end_write_time(&mut self) {
        if let Some(buffers) = &mut self.buffers {
            buffers.until = None;
        }
    }

    /// Gives the peer time to read what is kept.
    fn prolong_write(&mut self, now: Instant) {
        let until = self.options().write_timeout.after(now);
        if let Some(buffers) = &mut self.buffers {
            buffers.until = until;
        }
    }

    /// Returns the earliest deadline of an open connection.
    fn next_deadline(&self) -> Option<Instant> {
        let Options { idle_timeout, read_timeout, .. } = *self.options();
        let idle = self.time.and_then(|at| idle_timeout.after(at.instant()));
        let read = self.reading_since().and_then(|at| read_timeout.after(at));
        let write = if self.is(Facts::WRITE_DEADLINE) { self.write_until() } else { None };
        let handshake = self.layer().and_then(|layer| layer.handshake_until);
        [idle, read, write, handshake].into_iter().flatten().min()
    }

    /// Returns which limit an open connection has exceeded, if any.
    fn exceeded(&mut self, send_queue: usize, now: Instant) -> Option<CloseReason> {
        let is_owed = self.kept() > 0;
        // The peer reads what the kernel has taken.
        if (is_owed || send_queue > 0) && self.has_progressed(send_queue) {
            self.prolong_write(now);
            if self.is(Facts::LIMITED) {
                self.time = Some(Moment::of(now));
            }
        }
        let is_over = |end: Option<Instant>| end.is_some_and(|end| end <= now);
        if !is_owed {
            // It was not removed when the buffer became empty, for it soon holds data again.
            self.facts.remove(Facts::WRITE_DEADLINE);
        } else if self.is(Facts::WRITE_DEADLINE) && is_over(self.write_until()) {
            return Some(CloseReason::WriteTimedOut);
        }
        let handshake_until = self.layer().and_then(|layer| layer.handshake_until);
        let Options { idle_timeout, read_timeout, .. } = *self.options();
        if is_over(handshake_until) {
            Some(CloseReason::HandshakeTimedOut)
        } else if self.reading_since().is_some_and(|at| is_over(read_timeout.after(at))) {
            Some(CloseReason::ReadTimedOut)
        } else if self.time.is_some_and(|at| is_over(idle_timeout.after(at.instant()))) {
            Some(CloseReason::IdleTimedOut)
        } else {
            None
        }
    }
}

impl<P> Connection<P> {
    /// Sets the deadline of a new connection.
    pub(super) fn begin_deadlines<S: 'static>(
        &mut self,
        stream: &StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) {
        let Options { idle_timeout, read_timeout, .. } = *self.link.options();
        if !(idle_timeout.is_none() && read_timeout.is_none()) {
            self.link.facts |= Facts::LIMITED;
            self.link.time = Some(Moment::of(cx.now()));
            self.set_next_deadline(stream, cx);
        }
    }

    /// Notes what has happened in this call.
    #[inline]
    pub(super) fn note_passed<S: 'static>(
        &mut self,
        stream: &StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) {
        if self.link.is(Facts::LIMITED)
            && self.link.is_open()
            && self.link.note_passed(stream, cx.now())
        {
            self.set_next_deadline(stream, cx);
        }
    }

    /// Watches whether the peer reads what is kept, while something is.
    pub(super) fn watch_output<S: 'static>(
        &mut self,
        stream: &StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) {
        if self.link.kept() == 0 {
            self.link.end_write_time(); // the buffers may stay, for unread input
        }
        if !self.link.is_open() || self.link.kept() == 0 || self.link.write_until().is_some() {
            return;
        }
        if !self.link.is(Facts::WRITE_DEADLINE) {
            self.link.facts |= Facts::WRITE_DEADLINE;
            self.link.begin_progress(stream.send_queue());
        }
        self.link.prolong_write(cx.now());
        self.set_next_deadline(stream, cx);
    }

    pub(super) fn set_next_deadline<S: 'static>(
        &self,
        stream: &StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) {
        cx.set_handlers_deadline(stream.token(), self.link.next_deadline());
    }

    /// Sets the deadline of a closing connection.
    pub(super) fn set_deadline<S: 'static>(
        &self,
        after: Timeout,
        stream: &StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) {
        cx.set_handlers_deadline(stream.token(), after.after(cx.now()));
    }

    /// Handles the connection's own deadline.
    pub(super) fn own_deadline_passed<S: 'static>(
        &mut self,
        stream: &StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) {
        let Options { close_within, linger, .. } = *self.link.options();
        // In a forked child that goes on with the reactor, the stream does not know what it owes.
        stream.get_ref().note_owed(self.link.unsent(stream) > 0);
        match self.link.state() {
            State::Open => match self.link.exceeded(stream.send_queue(), cx.now()) {
                Some(reason) => self.link.fail(reason),
                None => self.set_next_deadline(stream, cx),
            },
            // The peer has finished reading, or has had its time. What is left, the kernel delivers
            // alone, unless the peer sends.
            State::Lingering => {
                let may_wait = !linger.is_zero()
                    && self.link.time.is_none_or(|until| cx.now() < until.instant());
                if may_wait && stream.send_queue() > 0 {
                    self.set_deadline(linger.max(SHORTEST_LINGER), stream, cx);
                } else {
                    self.link.end(CloseReason::Finished);
                }
            }
            State::Closing => {
                if self.link.has_progressed(stream.send_queue()) {
                    self.set_deadline(close_within, stream, cx); // the peer is slow, but it reads
                } else {
                    self.link.fail(CloseReason::CloseTimedOut);
                }
            }
            State::Ended => {}
        }
    }
}
