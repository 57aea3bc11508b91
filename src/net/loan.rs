//! A stream in a reactor, borrowed from whatever owns it there.

use std::borrow::Borrow;
use std::io::{self, Read, Write};

use super::Stream;
use crate::reactor::{Io, Source};
use crate::selector::{Interest, Token};

/// A source that is a stream, or that shares one: a [`Source`] of a borrowed stream.
#[derive(Debug)]
pub(super) struct Loan<'a> {
    stream: &'a Stream,
    io: &'a mut Io,
}

impl<'a> Loan<'a> {
    pub(super) fn of<F: Borrow<Stream>>(source: &'a mut Source<'_, F>) -> Self {
        let (file, io) = source.split();
        Loan { stream: file.borrow(), io }
    }

    /// The same for a shorter time.
    pub(super) fn reborrow(&mut self) -> Loan<'_> {
        Loan { stream: self.stream, io: self.io }
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

impl Read for Loan<'_> {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source().read(buffer)
    }
}

impl Write for Loan<'_> {
    #[inline]
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.source().write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
