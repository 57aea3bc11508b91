//! A connection in its protocol's hands, and what it has in common with the one that drives it.

use std::borrow::Borrow;
use std::fmt;
use std::io::{self, Read, Write};
use std::time::Duration;

use super::address::Address;
use super::close_reason::CloseReason;
use super::stream::Stream;
use super::write_buffer::{self, WriteBuffer};
use crate::reactor::{IoState, Source};
use crate::selector::{Interest, Token};

/// A connection in its protocol's hands.
pub struct Wire<'a> {
    pub(super) stream: StreamIo<'a>,
    pub(super) link: &'a mut Link,
}

impl Wire<'_> {
    /// Sends `data`: what the kernel takes at once is written, the rest is kept and written when
    /// there is room. Never blocks, never loses a part.
    ///
    /// While more than the [high watermark](super::Watermarks::high) is kept, nothing is received
    /// from this peer. Above the [limit](super::Watermarks::limit) the connection is closed, with an
    /// error of kind `OutOfMemory`. After [`close`](Self::close), or when the connection is failing
    /// already, data is dropped.
    pub fn write(&mut self, data: &[u8]) {
        self.link.write(&mut self.stream, data);
    }

    /// How many bytes are kept.
    pub fn unsent(&self) -> usize {
        self.link.unsent()
    }

    /// Closes in good order: nothing more is received; what is kept is sent; then our side is
    /// finished. What the peer still sends, up to a megabyte, is thrown away until it finishes too,
    /// or for a [time](super::Connection::linger), so that it can read the end of what we sent. (A
    /// close with unread data is a reset, and a reset overtakes.)
    ///
    /// A peer that reads nothing of what it is owed for [so long](super::Connection::close_within)
    /// is reset.
    pub fn close(&mut self) {
        self.link.close();
    }

    /// Closes at once with a reset, and throws away what is kept.
    pub fn abort(&mut self) {
        self.link.abort();
    }

    /// Returns whether the peer is read from: the connection is open, not [paused](Self::pause), and
    /// has not stopped reading because its write buffer rose above the
    /// [high watermark](super::Watermarks::high).
    pub fn is_reading(&self) -> bool {
        self.link.is_open() && self.link.wants_to_read()
    }

    /// Receives nothing until [`resume`](Self::resume): what has come already is kept.
    pub fn pause(&mut self) {
        self.link.set_paused(true);
    }

    /// Receives again after [`pause`](Self::pause).
    pub fn resume(&mut self) {
        self.link.set_paused(false);
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Address {
        self.stream.get_ref().peer()
    }

    /// The connection's name in the reactor.
    pub fn token(&self) -> Token {
        self.stream.token()
    }
}

impl fmt::Debug for Wire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("token", &self.token()).field("link", &self.link).finish()
    }
}

/// How much may be kept for a peer that does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Watermarks {
    /// Above this many unsent bytes nothing more is read from the peer. 64 KiB by default.
    pub high: usize,
    /// At or below this many it is read from again. 16 KiB by default.
    pub low: usize,
    /// Above this many the connection is closed. 16 MiB by default.
    pub limit: usize,
}

impl Watermarks {
    /// Marks in this order: `low` < `high` ≤ `limit`. What is out of order is moved up.
    pub const fn new(low: usize, high: usize, limit: usize) -> Self {
        let high = if high <= low { low.saturating_add(1) } else { high };
        let limit = if limit < high { high } else { limit };
        Watermarks { high, low, limit }
    }
}

impl Default for Watermarks {
    fn default() -> Self {
        Watermarks::new(16 << 10, 64 << 10, 16 << 20)
    }
}

/// The state that a protocol can move.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) state: State,
    pub(super) write_buffer: WriteBuffer,
    pub(super) marks: Watermarks,
    pub(super) is_paused: bool,
    /// Between the high mark and the low one.
    pub(super) is_over_high_mark: bool,
    pub(super) has_peer_ended: bool,
    /// Whether something had to be kept since the protocol was last told that all is sent.
    pub(super) has_backlog: bool,
    /// How much was thrown away since the connection was closed.
    pub(super) discarded: usize,
    pub(super) close_within: Duration,
    pub(super) linger: Duration,
}

#[derive(Debug)]
pub(super) enum State {
    Open,
    /// `unsent`: how much was kept when its deadline was set.
    Closing {
        unsent: Option<usize>,
    },
    Lingering,
    Aborted,
    Failed(CloseReason),
}

/// How much a closed connection throws away.
pub(super) const MAX_DISCARDED: usize = 1 << 20;

impl Link {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    pub(super) fn wants_to_read(&self) -> bool {
        !self.has_peer_ended
            && match self.state {
                State::Open => !self.is_paused && !self.is_over_high_mark,
                State::Closing { .. } | State::Lingering => self.discarded <= MAX_DISCARDED,
                State::Aborted | State::Failed(_) => false,
            }
    }

    pub(super) fn unsent(&self) -> usize {
        self.write_buffer.len()
    }

    fn set_paused(&mut self, paused: bool) {
        self.is_paused = paused;
    }

    fn write(&mut self, stream: &mut StreamIo<'_>, data: &[u8]) {
        if !self.is_open() {
            return;
        }
        let mut data = data;
        if self.write_buffer.is_empty() {
            data = self.write_now(stream, data);
        }
        if !data.is_empty() && self.is_open() {
            self.has_backlog = true;
            if self.write_buffer.len() + data.len() > self.marks.limit {
                self.fail(CloseReason::OutputOverflow);
                return;
            }
            self.write_buffer.push(data);
            self.is_over_high_mark |= self.write_buffer.len() > self.marks.high;
        }
    }

    /// Writes until the kernel takes no more. Returns what is left.
    fn write_now<'d>(&mut self, stream: &mut StreamIo<'_>, data: &'d [u8]) -> &'d [u8] {
        let (count, result) = write_buffer::write(stream, data);
        if let Err(error) = result {
            self.fail(CloseReason::Failed(error));
        }
        &data[count..]
    }

    pub(super) fn flush(&mut self, stream: &mut StreamIo<'_>) {
        if let Err(error) = self.write_buffer.flush(stream) {
            self.fail(CloseReason::Failed(error));
        }
        self.is_over_high_mark &= self.write_buffer.len() > self.marks.low;
    }

    fn close(&mut self) {
        if self.is_open() {
            self.state = State::Closing { unsent: None };
        }
    }

    fn abort(&mut self) {
        if !matches!(self.state, State::Failed(_)) {
            self.write_buffer.clear();
            self.state = State::Aborted;
        }
    }

    pub(super) fn fail(&mut self, reason: CloseReason) {
        match self.state {
            State::Failed(_) | State::Aborted => {}
            // All that was owed is delivered. That the peer takes no leave is no failure any more.
            State::Lingering => self.has_peer_ended = true,
            State::Open | State::Closing { .. } => {
                self.write_buffer.clear();
                self.state = State::Failed(reason);
            }
        }
    }
}

/// A source that is a stream, or that shares one: a [`Source`] of a borrowed stream.
#[derive(Debug)]
pub(super) struct StreamIo<'a> {
    stream: &'a Stream,
    io: &'a mut IoState,
}

impl<'a> StreamIo<'a> {
    pub(super) fn of<F: Borrow<Stream>>(source: &'a mut Source<'_, F>) -> Self {
        let (file, io) = source.split();
        StreamIo { stream: file.borrow(), io }
    }

    /// The same for a shorter time.
    pub(super) fn reborrow(&mut self) -> StreamIo<'_> {
        StreamIo { stream: self.stream, io: self.io }
    }

    pub(super) fn get_ref(&self) -> &Stream {
        self.stream
    }

    #[inline]
    fn source(&mut self) -> Source<'_, &'a Stream> {
        Source::new(&mut self.stream, self.io)
    }

    pub(super) fn token(&self) -> Token {
        self.io.token
    }

    pub(super) fn is_writable(&self) -> bool {
        self.io.ready.contains(Interest::WRITE)
    }

    pub(super) fn set_interest(&mut self, interest: Interest) {
        self.source().set_interest(interest);
    }
}

impl Read for StreamIo<'_> {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source().read(buffer)
    }
}

impl Write for StreamIo<'_> {
    #[inline]
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.source().write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
