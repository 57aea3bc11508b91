//! The sockets of a subject. They record each call that is made on them.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Instant;

use tripoll::net::Stream;

use super::limit;
use super::recorder;

/// A connection of a subject. It is closed when it is dropped.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Arc<Stream>,
}

impl Socket {
    /// Makes reads and writes block, or not.
    pub(super) fn set_nonblocking(&self, yes: bool) -> io::Result<()> {
        self.stream.set_nonblocking(yes)
    }

    /// Makes a call and records it.
    fn record(
        &self,
        what: &'static str,
        call: impl FnOnce() -> io::Result<usize>,
    ) -> (io::Result<usize>, std::time::Duration) {
        recorder::with(|recorder| recorder.entering(Some(self.as_raw_fd()), what));
        let began = Instant::now();
        let result = call();
        (result, began.elapsed())
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (result, took) = self.record("read", || (&*self.stream).read(buffer));
        let count = copy(&result);
        let data = &buffer[..*result.as_ref().unwrap_or(&0)];
        let fd = self.as_raw_fd();
        recorder::with(|recorder| recorder.called(fd, "read", &count, data, took));
        result
    }
}

impl Write for Socket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let (result, took) = self.record("write", || (&*self.stream).write(buffer));
        let count = copy(&result);
        let data = &buffer[..*result.as_ref().unwrap_or(&0)];
        let fd = self.as_raw_fd();
        recorder::with(|recorder| recorder.called(fd, "write", &count, data, took));
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the result with a copy of its error.
fn copy(result: &io::Result<usize>) -> io::Result<u64> {
    match result {
        Ok(count) => Ok(*count as u64),
        Err(error) => Err(copy_error(error)),
    }
}

fn copy_error(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => error.kind().into(),
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_fd().as_raw_fd()
    }
}

/// The listener of a subject.
#[derive(Debug)]
pub(super) struct Acceptor {
    listener: TcpListener,
}

impl Acceptor {
    /// Returns an acceptor. It blocks, as Python's sockets do, until it is told otherwise.
    pub(super) fn new(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(false)?;
        let name = listener.local_addr()?.to_string();
        let fd = listener.as_raw_fd();
        recorder::with(|recorder| recorder.describe(fd, "listener", &name));
        Ok(Acceptor { listener })
    }

    /// Makes `accept` block, or not.
    pub(super) fn set_nonblocking(&self, yes: bool) -> io::Result<()> {
        self.listener.set_nonblocking(yes)
    }

    /// Accepts the next pending connection, under the subject's limit of descriptors.
    pub(super) fn accept(&self, most: Option<u64>) -> io::Result<Socket> {
        let fd = self.listener.as_raw_fd();
        recorder::with(|recorder| recorder.entering(Some(fd), "accept"));
        let began = Instant::now();
        let accepted = limit::under(most, || self.listener.accept());
        let took = began.elapsed();
        let socket = accepted.map(|(stream, peer)| {
            let stream = Arc::new(Stream::from(stream));
            let number = stream.as_fd().as_raw_fd();
            recorder::with(|recorder| {
                recorder.describe_client(number, peer.to_string(), &stream);
            });
            Socket { stream }
        });
        let result = match &socket {
            Ok(socket) => Ok(socket.as_raw_fd() as u64),
            Err(error) => Err(copy_error(error)),
        };
        recorder::with(|recorder| recorder.called(fd, "accept", &result, b"", took));
        socket
    }
}

impl AsFd for Acceptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl AsRawFd for Acceptor {
    fn as_raw_fd(&self) -> RawFd {
        self.listener.as_raw_fd()
    }
}
