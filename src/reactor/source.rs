//! A source in its handler's hands.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{self as unix, UnixListener, UnixStream};

use super::io_state::IoState;
use crate::selector::{Interest, Readiness, Token};

/// A source of type `F` during one call of its handler.
///
/// It reads and writes as `F` does. Operations made through it are what the reactor learns from:
/// when one says `WouldBlock`, the handler is called again when there is something new, and not
/// before. An operation that is known to block, or that is over the [`Budget`](super::Budget), says
/// `WouldBlock` without a system call.
///
/// A *read* of no bytes is the end of the stream, after which the source is not called for reading
/// again. Where it is not the end (an empty datagram), [`try_io`](Self::try_io) is the way to receive.
///
/// A source is non-blocking, whatever it was when it was added.
#[derive(Debug)]
pub struct Source<'a, F> {
    file: &'a mut F,
    io: &'a mut IoState,
}

impl<'a, F> Source<'a, F> {
    #[inline]
    pub(crate) fn new(file: &'a mut F, io: &'a mut IoState) -> Self {
        Source { file, io }
    }

    /// The source itself, and its readiness.
    pub(crate) fn split(&mut self) -> (&F, &mut IoState) {
        (self.file, self.io)
    }

    /// The source's name in the reactor.
    pub fn token(&self) -> Token {
        self.io.token
    }

    /// What the kernel has said since the handler was last called: raw, and no more than the
    /// backend can say. Empty when the handler is called again without having been told anew.
    pub fn readiness(&self) -> Readiness {
        self.io.readiness
    }

    /// Whether a read is worth trying.
    pub fn is_readable(&self) -> bool {
        self.io.ready.contains(Interest::READ)
    }

    /// Whether the kernel has said that a write is worth trying. A write may be tried all the same.
    pub fn is_writable(&self) -> bool {
        self.io.ready.contains(Interest::WRITE)
    }

    /// What is wanted.
    pub fn interest(&self) -> Interest {
        self.io.interest()
    }

    /// Wants `interest` from now on. Costs nothing here: what is wanted when the next wait begins
    /// is applied then, once.
    #[inline]
    pub fn set_interest(&mut self, interest: Interest) {
        self.io.set_interest(interest);
    }

    /// Makes an operation of any kind, one that waits for `direction` ([`Interest::READ`] for
    /// `recv_from`, say), and takes note of its `WouldBlock`.
    ///
    /// ```no_run
    /// # use std::{io, net::UdpSocket};
    /// # use tripoll::{Context, Interest, Next, Source};
    /// fn answer(socket: &mut Source<UdpSocket>, _: &mut Context) -> io::Result<Next> {
    ///     let mut buffer = [0; 2048];
    ///     loop {
    ///         let (size, from) =
    ///             socket.try_io(Interest::READ, |socket| socket.recv_from(&mut buffer))?;
    ///         socket.try_io(Interest::WRITE, |socket| socket.send_to(&buffer[..size], from))?;
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The operation's own, and `WouldBlock` without trying when it is known to block or the budget
    /// is used up.
    #[inline]
    pub fn try_io<T>(
        &mut self,
        direction: Interest,
        operation: impl FnOnce(&mut F) -> io::Result<T>,
    ) -> io::Result<T> {
        self.io.check_ready(direction)?;
        operation(self.file).inspect_err(|error| self.io.note_error(direction, error))
    }

    /// The source itself. The reactor does not see what is done with it: read through it, and
    /// `WouldBlock` goes unnoticed, so that the handler is called each turn until it says
    /// [`Next::Done`](super::Next::Done).
    pub fn get_ref(&self) -> &F {
        self.file
    }

    /// The source itself, mutably; see [`get_ref`](Self::get_ref). It is not to be replaced by
    /// another: what the reactor watches is the descriptor that it was given.
    pub fn get_mut(&mut self) -> &mut F {
        self.file
    }
}

impl<F: Read> Read for Source<'_, F> {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.try_io(Interest::READ, |file| file.read(buffer))?;
        self.io.note_read(count, buffer.len());
        Ok(count)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let count = self.try_io(Interest::READ, |file| file.read_vectored(buffers))?;
        self.io.note_read(count, buffers.iter().map(|buffer| buffer.len()).sum());
        Ok(count)
    }
}

impl<F: Write> Write for Source<'_, F> {
    #[inline]
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.try_io(Interest::WRITE, |file| file.write(buffer))?;
        self.io.note_write(count);
        Ok(count)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let count = self.try_io(Interest::WRITE, |file| file.write_vectored(buffers))?;
        self.io.note_write(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl<F: AsFd> AsFd for Source<'_, F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Source<'_, TcpListener> {
    /// The next connection that is waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when none is waiting, and all that `accept(2)` lists.
    pub fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        self.try_io(Interest::READ, |listener| listener.accept())
    }
}

impl Source<'_, UnixListener> {
    /// The next connection that is waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when none is waiting, and all that `accept(2)` lists.
    pub fn accept(&mut self) -> io::Result<(UnixStream, unix::SocketAddr)> {
        self.try_io(Interest::READ, |listener| listener.accept())
    }
}
