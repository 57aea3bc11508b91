//! A source during a call of its handler.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{self as unix, UnixListener, UnixStream};

use super::io_state::IoState;
use crate::selector::{Interest, Readiness, Token};

/// A source of type `F` during one call of its handler.
///
/// It reads and writes as `F` does. The reactor learns from the operations made through it: when one
/// returns `WouldBlock`, the handler is called again when there is something new, and not before. An
/// operation that is known to block, or that exceeds the [`Budget`](super::Budget), returns
/// `WouldBlock` without a system call.
///
/// A *read* of no bytes is the end of the stream. The handler is not called for reading after it.
/// Where no bytes are not the end (an empty datagram), receive with [`try_io`](Self::try_io).
///
/// The reactor makes every source non-blocking.
///
/// ```
/// use std::io::{self, PipeReader, Read, Write};
/// use tripoll::{Context, Deadline, Interest, Next, Reactor, Source};
///
/// fn read(pipe: &mut Source<PipeReader>, cx: &mut Context<'_, String>) -> io::Result<Next> {
///     assert!(pipe.is_readable());
///     let mut buffer = [0; 3];
///     loop {
///         let n = pipe.read(&mut buffer)?; // ends with WouldBlock
///         cx.state.push_str(&String::from_utf8_lossy(&buffer[..n]));
///     }
/// }
///
/// let mut reactor = Reactor::builder().build_with(String::new())?;
/// let (reader, mut writer) = io::pipe()?;
/// let token = reactor.context().add(reader, Interest::READ, read)?;
/// writer.write_all(b"eight by")?;
/// reactor.turn(Deadline::Never)?;
/// assert_eq!(reactor.state(), "eight by");
/// assert_eq!(reactor.context().interest(token), Some(Interest::READ)); // it is still there
/// # io::Result::Ok(())
/// ```
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

    /// Continues to read after an end that is not final: the handler is called again when there is
    /// data. Call it after a read has returned no bytes.
    ///
    /// A FIFO has an end each time its last writer has gone, and a terminal each time its user types
    /// Ctrl-D. The end of a socket or pipe is final: there a handler that reads on is called again and
    /// again, level-triggered.
    ///
    /// ```
    /// use std::fs::File;
    /// use std::io::{self, Read};
    /// use tripoll::{Context, Next, Source};
    ///
    /// fn read(fifo: &mut Source<File>, cx: &mut Context<'_, Vec<u8>>) -> io::Result<Next> {
    ///     let mut buffer = [0; 4_096];
    ///     match fifo.read(&mut buffer)? {
    ///         0 => fifo.read_on(), // there may be another writer
    ///         n => cx.state.extend_from_slice(&buffer[..n]),
    ///     }
    ///     Ok(Next::Keep)
    /// }
    /// ```
    pub fn read_on(&mut self) {
        self.io.read_on();
    }

    /// Returns the source itself and the state of its call.
    pub(crate) fn split(&mut self) -> (&F, &mut IoState) {
        (self.file, self.io)
    }

    /// Returns the token that identifies the source in the reactor.
    pub fn token(&self) -> Token {
        self.io.token
    }

    /// Returns what the kernel has reported since the last call of the handler, as far as the backend
    /// can report it. Empty when the handler is called again without a new event.
    pub fn readiness(&self) -> Readiness {
        self.io.readiness
    }

    /// Returns whether a read may succeed.
    pub fn is_readable(&self) -> bool {
        self.io.ready.contains(Interest::READ)
    }

    /// Returns whether the kernel has reported that a write may succeed. A write may be tried in any
    /// case.
    pub fn is_writable(&self) -> bool {
        self.io.ready.contains(Interest::WRITE)
    }

    /// Returns the interest of the source.
    pub fn interest(&self) -> Interest {
        self.io.interest()
    }

    /// Sets the interest of the source. This makes no system call: the interest that is set when the
    /// next wait begins is applied then, once.
    #[inline]
    pub fn set_interest(&mut self, interest: Interest) {
        self.io.set_interest(interest);
    }

    /// Performs any operation that needs the source to be ready for `direction`
    /// ([`Interest::READ`] for `recv_from`, for example), and records whether it returned
    /// `WouldBlock`.
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
    /// Those of the operation. `WouldBlock`, without trying it, when it is known to block or when the
    /// budget is used up.
    #[inline]
    pub fn try_io<T>(
        &mut self,
        direction: Interest,
        operation: impl FnOnce(&mut F) -> io::Result<T>,
    ) -> io::Result<T> {
        self.io.check_ready(direction)?;
        let value =
            operation(self.file).inspect_err(|error| self.io.note_error(direction, error))?;
        self.io.note_success(direction);
        Ok(value)
    }

    /// As [`try_io`](Self::try_io), for a plain read or write, whose bytes are counted. One that a
    /// signal interrupts has moved no byte, and is made again.
    #[inline(always)] // into the call that it makes
    fn perform<T>(
        &mut self,
        direction: Interest,
        mut operation: impl FnMut(&mut F, &IoState) -> io::Result<T>,
    ) -> io::Result<T> {
        self.io.check_ready(direction)?;
        loop {
            match operation(self.file, self.io) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.io.note_error(direction, &error);
                    return Err(error);
                }
                done => return done,
            }
        }
    }

    /// As `write`, for another operation that writes bytes, and returns how many.
    #[inline]
    pub(crate) fn write_with(
        &mut self,
        mut operation: impl FnMut(&mut F) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let count = self.perform(Interest::WRITE, |file, _| operation(file))?;
        self.io.note_write(count);
        Ok(count)
    }

    /// Returns the source itself. The reactor does not see what is done with it: a `WouldBlock` goes
    /// unnoticed, and the handler is called in each turn until it returns
    /// [`Next::Done`](super::Next::Done).
    pub fn get_ref(&self) -> &F {
        self.file
    }

    /// Returns the source itself, mutably; see [`get_ref`](Self::get_ref). Do not replace it: the
    /// reactor watches the descriptor of the source that was added.
    pub fn get_mut(&mut self) -> &mut F {
        self.file
    }
}

impl<F: Read> Read for Source<'_, F> {
    #[inline(always)] // into a handler: it is the call that most make
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.perform(Interest::READ, |file, _| file.read(buffer))?;
        self.io.note_read(count, buffer.len());
        Ok(count)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let count = self.perform(Interest::READ, |file, _| file.read_vectored(buffers))?;
        self.io.note_read(count, buffers.iter().map(|buffer| buffer.len()).sum());
        Ok(count)
    }
}

impl<F: Write> Source<'_, F> {
    /// Writes what a connection has gathered in this call. It stays there.
    #[inline(always)] // into the short way of a connection
    pub(crate) fn write_gathered(&mut self) -> io::Result<usize> {
        let count = self.perform(Interest::WRITE, |file, io| file.write(&io.gathered))?;
        self.io.note_write(count);
        Ok(count)
    }
}

impl<F: Write> Write for Source<'_, F> {
    #[inline]
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.perform(Interest::WRITE, |file, _| file.write(buffer))?;
        self.io.note_write(count);
        Ok(count)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let count = self.perform(Interest::WRITE, |file, _| file.write_vectored(buffers))?;
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
    /// Accepts the next pending connection.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when no connection is pending, and the errors of `accept(2)`.
    pub fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        self.try_io(Interest::READ, |listener| listener.accept())
    }
}

impl Source<'_, UnixListener> {
    /// Accepts the next pending connection.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when no connection is pending, and the errors of `accept(2)`.
    pub fn accept(&mut self) -> io::Result<(UnixStream, unix::SocketAddr)> {
        self.try_io(Interest::READ, |listener| listener.accept())
    }
}
