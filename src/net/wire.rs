//! A connection in its protocol's hands, and what it has in common with the one that drives it.

use std::borrow::Borrow;
use std::fmt;
use std::io::{self, Read, Write};

use super::address::Address;
use super::link::Link;
use super::stream::Stream;
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
        self.link.is_paused = true;
    }

    /// Receives again after [`pause`](Self::pause).
    pub fn resume(&mut self) {
        self.link.is_paused = false;
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
