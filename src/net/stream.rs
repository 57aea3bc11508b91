//! An accepted socket.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::time::Duration;

use socket2::{SockAddr, Socket};

use super::address::Address;
use super::idle::{Expired, IdleTimeout, Waiting};
use super::limit::Permit;
use crate::sync::lock;
use crate::sys;

/// A connected socket, TCP or Unix, as a [`Listener`](super::Listener) accepts it: non-blocking, and
/// with `TCP_NODELAY` on.
///
/// It counts towards its listener's limit of connections until it is dropped.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    peer: Address,
    permit: Option<Permit>,
    /// Few streams have one: in its box it costs the others a word.
    idle_timeout: Option<Box<IdleTimeout>>,
    /// Held for the length of a [`sendall`](Self::sendall).
    sending: Mutex<()>,
}

impl Stream {
    pub(super) fn accepted(socket: Socket, peer: &SockAddr) -> Self {
        let stream = Stream::plain(socket, peer);
        if let Address::Inet(_) = stream.peer {
            // Small answers are not to wait for the acknowledgement of those before them. A socket
            // that will not have it is a broken one, and its first read says so.
            let _ = stream.socket.set_tcp_nodelay(true);
        }
        stream
    }

    pub(super) fn plain(socket: Socket, peer: &SockAddr) -> Self {
        let peer = Address::of(peer);
        Stream { socket, peer, permit: None, idle_timeout: None, sending: Mutex::default() }
    }

    pub(super) fn hold(&mut self, permit: Permit) {
        self.permit = Some(permit);
    }

    /// Limits how long a blocking stream waits: each read, and while nothing passes in either
    /// direction. Idle for too long, it ends as if the peer had finished.
    pub(crate) fn limit(
        &mut self,
        read: Option<Duration>,
        idle: Option<Duration>,
    ) -> io::Result<()> {
        self.idle_timeout = idle.map(|idle| Box::new(IdleTimeout::new(idle)));
        if read.or(idle).is_some() {
            self.set_read_timeout(read)?;
        }
        if idle.is_some() {
            self.set_write_timeout(None)?;
        }
        Ok(())
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Address {
        &self.peer
    }

    /// Finishes one direction or both, as [`TcpStream::shutdown`] does.
    ///
    /// # Errors
    ///
    /// `NotConnected` when the peer has reset the connection.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }

    /// Makes reads and writes wait, or not: a thread that serves one client alone wants them to.
    ///
    /// # Errors
    ///
    /// Whatever `fcntl(2)` says.
    pub fn set_nonblocking(&self, yes: bool) -> io::Result<()> {
        if let Some(idle_timeout) = &self.idle_timeout {
            idle_timeout.set_blocking(!yes);
        }
        self.socket.set_nonblocking(yes)
    }

    /// How long a blocking read may wait; `None` for as long as it takes.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = representable(timeout)?;
        match &self.idle_timeout {
            None => self.socket.set_read_timeout(timeout),
            Some(idle_timeout) => idle_timeout.set_read_timeout(&self.socket, timeout),
        }
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = representable(timeout)?;
        match &self.idle_timeout {
            None => self.socket.set_write_timeout(timeout),
            Some(idle_timeout) => idle_timeout.set_write_timeout(&self.socket, timeout),
        }
    }

    /// Python's `socket.recv`: what has come, at most `size` bytes of it; waits until there is some.
    /// Empty when the peer has finished.
    ///
    /// # Errors
    ///
    /// `TimedOut` when there was nothing within the [timeout](Self::settimeout), and whatever else
    /// `recv(2)` says. Only for a stream that is [blocking](Self::set_nonblocking).
    pub fn recv(&self, size: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; size];
        let count = sys::retry(|| (&*self).read(&mut buffer)).map_err(timed_out)?;
        buffer.truncate(count);
        Ok(buffer)
    }

    /// Python's `socket.sendall`: sends all of `data`, and waits where it must.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv). How much was sent is then unknown.
    pub fn sendall(&self, data: &[u8]) -> io::Result<()> {
        self.send_whole(data).1
    }

    /// As [`sendall`](Self::sendall), and says how much was sent.
    pub(crate) fn send_whole(&self, data: &[u8]) -> (usize, io::Result<()>) {
        let _whole = lock(&self.sending); // others may be sending too, and not in between
        let mut sent = 0;
        while sent < data.len() {
            match sys::retry(|| (&*self).write(&data[sent..])) {
                Ok(0) => return (sent, Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => sent += count,
                Err(error) => return (sent, Err(timed_out(error))),
            }
        }
        (sent, Ok(()))
    }

    /// Python's `socket.settimeout`: how long each read and each write may wait; `None` for as long
    /// as it takes.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn settimeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(timeout)?;
        self.set_write_timeout(timeout)
    }

    /// Python's `socket.close`, as the peer sees it: both directions are finished, now. The
    /// descriptor itself is closed when its owner drops the stream, so that its number cannot become
    /// somebody else's while anybody uses it. Closing twice is once.
    pub fn close(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// `TCP_NODELAY`, which an accepted stream has on.
    ///
    /// # Errors
    ///
    /// When the socket is not TCP.
    pub fn set_nodelay(&self, yes: bool) -> io::Result<()> {
        self.socket.set_tcp_nodelay(yes)
    }

    /// Takes [`reset_on_close`](Self::reset_on_close) back.
    pub(super) fn deliver_on_close(&self) {
        let _ = self.socket.set_linger(None);
    }

    /// Makes the close that follows a reset: what is owed to the peer is thrown away.
    pub(super) fn reset_on_close(&self) {
        let _ = self.socket.set_linger(Some(Duration::ZERO));
    }
}

/// What a blocking socket calls `WouldBlock` is that its timeout is over.
pub(crate) fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

/// For the kernel a timeout of zero is none, and what is shorter than a microsecond is zero.
fn representable(timeout: Option<Duration>) -> io::Result<Option<Duration>> {
    if timeout == Some(Duration::ZERO) {
        let message = "a timeout of zero: see set_nonblocking, and None for as long as it takes";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(timeout.map(|timeout| timeout.max(Duration::from_micros(1))))
}

impl Stream {
    fn read_within_idle_timeout(
        &self,
        idle_timeout: &IdleTimeout,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        let mut wait = Waiting::begin();
        loop {
            match (&self.socket).read(buffer) {
                Ok(count) => {
                    idle_timeout.note_progress();
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match idle_timeout.check(&mut wait) {
                        Expired::Nothing => {}
                        Expired::Read => return Err(error),
                        Expired::Idle => {
                            self.close();
                            return Ok(0);
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn send(&self, send: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
        match &self.idle_timeout {
            None => send(),
            Some(idle_timeout) => idle_timeout.while_sending(send),
        }
    }
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.idle_timeout {
            None => (&self.socket).read(buffer),
            Some(idle_timeout) => self.read_within_idle_timeout(idle_timeout, buffer),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        // Not `write`: a peer that is gone must be an error, and never a SIGPIPE.
        self.send(|| self.socket.send_with_flags(buffer, libc::MSG_NOSIGNAL))
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send(|| self.socket.send_vectored_with_flags(buffers, libc::MSG_NOSIGNAL))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        (&*self).write(buffer)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<Stream> for OwnedFd {
    /// The bare descriptor. It no longer counts towards the listener's limit.
    fn from(stream: Stream) -> Self {
        stream.socket.into()
    }
}

impl From<TcpStream> for Stream {
    /// A connected socket from elsewhere, as it is.
    fn from(stream: TcpStream) -> Self {
        let peer = stream.peer_addr().map_or(Address::Unnamed, Address::Inet);
        let (socket, sending) = (stream.into(), Mutex::default());
        Stream { socket, peer, permit: None, idle_timeout: None, sending }
    }
}
