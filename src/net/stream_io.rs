//! A stream during a call of its handler.

use std::borrow::Borrow;
use std::io::{self, Read, Write};

use super::stream::Stream;
use crate::reactor::{IoState, Source};
use crate::selector::{Interest, Token};

/// A borrowed stream with the state of its call: a [`Source`] that is a stream, or that shares one.
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

    /// Borrows it for a shorter time.
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

    pub(super) fn send_queue(&self) -> usize {
        self.stream.send_queue().unwrap_or(0)
    }

    pub(super) fn is_handlers_deadline(&self) -> bool {
        self.io.is_handlers_deadline()
    }

    pub(super) fn is_writable(&self) -> bool {
        self.io.ready.contains(Interest::WRITE)
    }

    /// Returns whether the kernel has reported a hang-up or an error.
    pub(super) fn has_hung_up(&self) -> bool {
        self.io.ready.contains(Interest::HANGUP)
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
