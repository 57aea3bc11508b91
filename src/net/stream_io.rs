//! A stream during a call of its handler.

use std::borrow::Borrow;
use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use super::stream::Stream;
use super::write_buffer::Sink;
use crate::reactor::{IoState, Next, Source};
use crate::selector::{Interest, Token};
use crate::sys;

/// A borrowed stream with the state of its call: a [`Source`] that is a stream, or that shares one.
#[derive(Debug)]
pub(super) struct StreamIo<'a> {
    stream: &'a Stream,
    io: &'a mut IoState,
}

impl<'a> StreamIo<'a> {
    /// Begins a call. What a call gathered in which the protocol panicked is discarded.
    #[inline]
    pub(super) fn begin<F: Borrow<Stream>>(source: &'a mut Source<'_, F>) -> Self {
        let (file, io) = source.split();
        io.gathered.clear();
        io.requested_deadline = None;
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

    /// Returns what the connection has gathered in this call.
    #[inline]
    pub(super) fn gathered(&self) -> &Vec<u8> {
        &self.io.gathered
    }

    #[inline]
    pub(super) fn gathered_mut(&mut self) -> &mut Vec<u8> {
        &mut self.io.gathered
    }

    /// Writes what was gathered, which stays.
    #[inline]
    pub(super) fn write_gathered(&mut self) -> io::Result<usize> {
        self.source().write_gathered()
    }

    /// Takes what was gathered. The buffer must be [returned](Self::return_gathered).
    pub(super) fn take_gathered(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.io.gathered)
    }

    /// Returns the buffer, and empties it.
    pub(super) fn return_gathered(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.io.gathered = buffer;
    }

    /// Returns whether data was read in this call, and whether data was written.
    pub(super) fn bytes_moved(&self) -> (bool, bool) {
        self.io.bytes_moved()
    }

    /// Returns how many bytes were read in this call, and how many were written.
    pub(super) fn bytes_of_call(&self) -> (u64, u64) {
        self.io.bytes_of_call()
    }

    /// Lets the user's deadline be set at the end of this call, so long after it.
    pub(super) fn request_deadline(&mut self, after: Option<Duration>) {
        self.io.requested_deadline = Some(after);
    }

    #[inline]
    pub(super) fn has_requested_deadline(&self) -> bool {
        self.io.requested_deadline.is_some()
    }

    pub(super) fn take_requested_deadline(&mut self) -> Option<Option<Duration>> {
        self.io.requested_deadline.take()
    }

    /// Returns whether a read may succeed.
    #[inline]
    pub(super) fn is_readable(&self) -> bool {
        self.io.ready.contains(Interest::READ)
    }

    pub(super) fn is_writable(&self) -> bool {
        self.io.ready.contains(Interest::WRITE)
    }

    /// Returns whether the kernel has reported a hang-up or an error.
    pub(super) fn has_hung_up(&self) -> bool {
        self.io.ready.contains(Interest::HANGUP)
    }

    /// Ends a call: the connection waits for `interest`.
    #[inline]
    pub(super) fn wait_for(&mut self, interest: Interest) -> Next {
        if self.io.interest() != interest {
            self.source().set_interest(interest);
        }
        // A write is tried first. That there is room matters only after there was none.
        if !interest.contains(Interest::WRITE) {
            self.io.ready.remove(Interest::WRITE);
        }
        // Nothing is left: this costs less than to keep it.
        if self.io.ready.is_empty() { Next::Done } else { Next::Keep }
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

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.source().write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for StreamIo<'_> {
    fn write_before_file(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.source().write_with(|stream| stream.write_before_more(slices))
    }

    fn send_file(&mut self, file: &File, at: u64, most: usize) -> io::Result<usize> {
        self.source().write_with(|stream| sys::send_file(stream.as_fd(), file.as_fd(), at, most))
    }
}
