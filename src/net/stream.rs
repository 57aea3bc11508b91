//! A connected socket.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::{SockAddr, Socket};

use super::address::Address;
use super::buffered_total::{BufferedTotal, Share};
use super::idle::{Expired, IdleTimeout, Waiting};
use super::input_end::InputEnd;
use super::limit::{Held, Permit};
use super::owed::Owed;
use crate::reactor::Known;
use crate::sync::lock;
use crate::sys;

/// A connected socket, TCP or Unix. A [`Listener`](super::Listener) accepts it non-blocking, with
/// `TCP_NODELAY` set. A [`server`](crate::server) accepts it without, as Python does.
///
/// It counts toward the listener's limit of connections until it is dropped.
///
/// It is made from an [`OwnedFd`](std::os::fd::OwnedFd) and the streams of the standard library, and
/// converts into them. A conversion changes nothing: `TCP_NODELAY`, other options and `O_NONBLOCK`
/// stay as they are. A reactor makes each stream non-blocking, and it stays so.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::Shutdown;
/// use std::os::unix::net::UnixStream;
/// use tripoll::net::Stream;
///
/// let (here, mut there) = UnixStream::pair()?;
/// let mut stream = Stream::from(here);
/// stream.write_all(b"hello")?;
/// stream.shutdown(Shutdown::Write)?; // half-close: the other direction stays open
///
/// let mut text = String::new();
/// there.read_to_string(&mut text)?; // until the end
/// there.write_all(text.to_uppercase().as_bytes())?;
/// drop(there);
///
/// let mut answer = String::new();
/// stream.read_to_string(&mut answer)?;
/// assert_eq!(answer, "HELLO");
/// # std::io::Result::Ok(())
/// ```
#[doc(alias = "socket")]
#[doc(alias = "TcpStream")]
#[doc(alias = "UnixStream")]
#[doc(alias = "half-close")]
#[derive(Debug)]
pub struct Stream {
    /// `None` only once it was [taken](Self::into_socket).
    pub(super) socket: Option<Socket>,
    peer: Address,
    /// `None` in most streams. What it holds is released before the permit: who waits for that finds
    /// the other released.
    extra: Option<Box<Extra>>,
    permit: Permit,
    /// `None` if no listener has accepted it.
    buffered_total: Option<Arc<BufferedTotal>>,
    /// Held during [`send_whole`](Self::send_whole).
    sending: Mutex<()>,
    /// What [`close_both`](Self::close_both) does: one of the constants below.
    closing: AtomicU8,
    owed: Owed,
    /// Whether it is known to be non-blocking: a listener has accepted it so, or
    /// [`set_nonblocking`](Self::set_nonblocking) has made it so.
    pub(super) is_nonblocking: AtomicBool,
    /// Whether it is a TCP socket, if its listener knows.
    is_tcp: Option<bool>,
}

/// What few streams have.
#[derive(Debug, Default)]
struct Extra {
    /// What it holds beside its permit.
    held: Option<Box<dyn Held>>,
    idle_timeout: Option<IdleTimeout>,
    /// What ends its input early, where a handler reads that blocks.
    input_end: Option<Arc<InputEnd>>,
}

/// It shuts the stream down.
const AT_ONCE: u8 = 0;
/// It waits for [`close_deferred`](Stream::close_deferred).
const DEFERRED: u8 = 1;
/// It was called, and waits.
const REQUESTED: u8 = 2;

impl Stream {
    pub(super) fn accepted(socket: Socket, peer: &SockAddr) -> Self {
        let stream = Stream::plain(socket, peer);
        if let Address::Inet(_) = stream.peer {
            // A small answer must not wait for the acknowledgement of the one before. If the option
            // fails, the socket is broken, and its first read returns the error.
            let _ = stream.socket().set_tcp_nodelay(true);
        }
        stream
    }

    /// Wraps a connected socket, which no listener of this process has accepted.
    pub(super) fn connected(socket: Socket) -> Self {
        let peer = socket.peer_addr().map_or(Address::Unnamed, |peer| Address::of(&peer));
        Stream::with_peer(socket, peer)
    }

    pub(super) fn plain(socket: Socket, peer: &SockAddr) -> Self {
        Stream::with_peer(socket, Address::of(peer))
    }

    fn with_peer(socket: Socket, peer: Address) -> Self {
        Stream {
            socket: Some(socket),
            peer,
            permit: Permit::default(),
            buffered_total: None,
            extra: None,
            sending: Mutex::default(),
            closing: AtomicU8::new(AT_ONCE),
            owed: Owed::default(),
            is_nonblocking: AtomicBool::new(false),
            is_tcp: None,
        }
    }

    #[inline]
    pub(super) fn socket(&self) -> &Socket {
        self.socket.as_ref().expect("it is taken only when the stream ends")
    }

    /// Returns the bare socket, which no longer counts toward the listener's limit.
    pub(super) fn into_socket(mut self) -> Socket {
        self.socket.take().expect("it is taken only when the stream ends")
    }

    /// Notes what the listener knows of a socket that it has accepted non-blocking.
    pub(super) fn known_by_listener(mut self, is_tcp: Option<bool>) -> Self {
        self.is_nonblocking = AtomicBool::new(true);
        self.is_tcp = is_tcp;
        self
    }

    /// Returns what a reactor need not ask the kernel.
    pub(super) fn known(&self) -> Known {
        Known {
            reads_raw: true,
            is_nonblocking: self.is_nonblocking.load(Ordering::Relaxed),
            is_tcp: self.is_tcp,
        }
    }

    /// Returns two Unix streams that are connected to each other (`socketpair(2)`), without addresses.
    /// Both are blocking, as those of [`UnixStream::pair`].
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use tripoll::net::{Address, Stream};
    ///
    /// let (mut here, mut there) = Stream::pair()?;
    /// here.write_all(b"hello")?;
    /// let mut buffer = [0; 5];
    /// there.read_exact(&mut buffer)?;
    /// assert_eq!(&buffer, b"hello");
    /// assert_eq!((there.peer(), there.local_address()?), (&Address::Unnamed, Address::Unnamed));
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `socketpair(2)`: no descriptors are left, for example.
    pub fn pair() -> io::Result<(Self, Self)> {
        UnixStream::pair().map(|(here, there)| (here.into(), there.into()))
    }

    /// Counts what a connection on this stream buffers toward the total of its listener.
    pub(super) fn count_toward(mut self, total: &Arc<BufferedTotal>) -> Self {
        self.buffered_total = Some(Arc::clone(total));
        self
    }

    pub(super) fn buffered_total(&self) -> Option<&Arc<BufferedTotal>> {
        self.buffered_total.as_ref()
    }

    /// Counts `bytes` toward the total of the listener, until the share is dropped. `None` if a listener
    /// has not accepted the stream.
    pub(crate) fn share_of_total(&self, bytes: usize) -> Option<Share> {
        self.buffered_total.as_ref().map(|total| Share::new(total, bytes))
    }

    /// Holds a permit, and perhaps something else, until the stream is dropped.
    pub(super) fn hold(&mut self, permit: Permit, more: Option<Box<dyn Held>>) {
        self.permit = permit;
        if more.is_some() {
            self.extra_mut().held = more;
        }
    }

    fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Returns how long it may be idle, where a handler reads that blocks.
    #[inline]
    pub(super) fn idle_timeout(&self) -> Option<&IdleTimeout> {
        self.extra.as_ref()?.idle_timeout.as_ref()
    }

    /// Returns what ends its input early.
    pub(super) fn input_end(&self) -> Option<&InputEnd> {
        self.extra.as_ref()?.input_end.as_deref()
    }

    /// Shares what ends the input early.
    pub(crate) fn set_input_end(&mut self, input_end: &Arc<InputEnd>) {
        self.extra_mut().input_end = Some(Arc::clone(input_end));
    }

    /// Limits how long each read may block, and how long the stream may be idle in both directions.
    /// After the idle limit it ends as if the peer had finished.
    pub(crate) fn limit(
        &mut self,
        read: Option<Duration>,
        idle: Option<Duration>,
    ) -> io::Result<()> {
        if self.extra.is_some() || idle.is_some() {
            self.extra_mut().idle_timeout = idle.map(IdleTimeout::new);
        }
        if read.or(idle).is_some() {
            self.set_read_timeout(read)?;
        }
        if idle.is_some() {
            self.set_write_timeout(None)?;
        }
        Ok(())
    }

    /// Returns the address of the peer.
    pub fn peer(&self) -> &Address {
        &self.peer
    }

    /// Returns the address of this end (`getsockname(2)`). On a machine with several addresses it tells
    /// which one the peer uses.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`: a lack of memory.
    pub fn local_address(&self) -> io::Result<Address> {
        Address::of_socket(self.socket())
    }

    /// Returns the number of bytes in the kernel's send queue (`SIOCOUTQ`). While it falls, the peer
    /// reads. On TCP these are the bytes that the peer's machine has not acknowledged. On a Unix socket
    /// they are those that the peer has not read, with the kernel's overhead.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    /// use tripoll::net::Stream;
    ///
    /// let (here, mut there) = UnixStream::pair()?;
    /// let mut stream = Stream::from(here);
    /// stream.write_all(b"hello")?;
    /// assert!(stream.send_queue()? >= 5);
    /// there.read_exact(&mut [0; 5])?;
    /// assert_eq!(stream.send_queue()?, 0);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `ioctl(2)`. For a connected socket the call does not fail.
    pub fn send_queue(&self) -> io::Result<usize> {
        sys::send_queue(self.socket().as_fd())
    }

    /// Shuts down one direction or both, as [`TcpStream::shutdown`](std::net::TcpStream::shutdown) does.
    ///
    /// # Errors
    ///
    /// `NotConnected` when the peer has reset the connection.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket().shutdown(how)
    }

    /// Makes reads and writes non-blocking, or blocking for a thread that serves one client.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)`.
    pub fn set_nonblocking(&self, yes: bool) -> io::Result<()> {
        if let Some(idle_timeout) = self.idle_timeout() {
            idle_timeout.set_blocking(!yes);
        }
        self.is_nonblocking.store(yes, Ordering::Relaxed);
        sys::set_nonblocking(self.as_fd().as_raw_fd(), yes).map(drop)
    }

    /// Limits how long a blocking read may block. `None` is no limit. Default: none. A read that
    /// exceeds it returns `WouldBlock`, as std's sockets do.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = representable(timeout)?;
        match self.idle_timeout() {
            None => self.socket().set_read_timeout(timeout),
            Some(idle_timeout) => idle_timeout.set_read_timeout(self.socket(), timeout),
        }
    }

    /// Limits how long a blocking write may block. `None` is no limit. Default: none.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = representable(timeout)?;
        match self.idle_timeout() {
            None => self.socket().set_write_timeout(timeout),
            Some(idle_timeout) => idle_timeout.set_write_timeout(self.socket(), timeout),
        }
    }

    /// Reads from a blocking stream. Unlike `Read::read`, it returns `TimedOut` when its timeout is
    /// over, and continues after a signal.
    pub(crate) fn read_blocking(&self, buffer: &mut [u8]) -> io::Result<usize> {
        sys::retry(|| (&*self).read(buffer)).map_err(timed_out)
    }

    /// Writes all of `data` to a blocking stream, without other threads' data in between. Returns the
    /// number of bytes written.
    pub(crate) fn send_whole(&self, data: &[u8]) -> (usize, io::Result<()>) {
        let _whole = lock(&self.sending);
        let mut sent = 0;
        self.note_owed(true);
        while sent < data.len() {
            match sys::retry(|| (&*self).write(&data[sent..])) {
                Ok(0) => return (sent, Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => sent += count,
                Err(error) => return (sent, Err(timed_out(error))),
            }
        }
        self.note_owed(false);
        (sent, Ok(()))
    }

    /// Shuts down both directions, at once unless that is deferred.
    pub(crate) fn close_both(&self) {
        let (from, to) = (DEFERRED, REQUESTED);
        let was = self.closing.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
        if was == Err(AT_ONCE) {
            let _ = self.shutdown(Shutdown::Both); // the peer may have reset the connection
        }
    }

    /// Makes [`close_both`](Self::close_both) wait for [`close_deferred`](Self::close_deferred).
    pub(crate) fn defer_close(&self) {
        self.closing.store(DEFERRED, Ordering::Relaxed);
    }

    /// Shuts down both directions if [`close_both`](Self::close_both) was called meanwhile, and defers
    /// no further call of it.
    pub(crate) fn close_deferred(&self) {
        if self.closing.swap(AT_ONCE, Ordering::Relaxed) == REQUESTED {
            self.close_both();
        }
    }

    /// Sets whether small writes are sent at once (`TCP_NODELAY`). Default: true for a stream that a
    /// [`Listener`](super::Listener) accepts, false for one that a [`server`](crate::server) accepts, as
    /// in Python.
    ///
    /// # Errors
    ///
    /// Fails when the socket is not TCP.
    #[doc(alias = "Nagle")]
    #[doc(alias = "TCP_NODELAY")]
    pub fn set_nodelay(&self, yes: bool) -> io::Result<()> {
        self.socket().set_tcp_nodelay(yes)
    }

    /// Writes bytes that are sent in one packet with those that are written next (`MSG_MORE`). The packet
    /// waits for these. A Unix socket sends them at once.
    pub(super) fn write_before_more(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = libc::MSG_NOSIGNAL | libc::MSG_MORE;
        self.send(|| self.socket().send_vectored_with_flags(buffers, flags))
    }

    /// Takes the error that is pending (`SO_ERROR`), as of a reset.
    pub(super) fn take_error(&self) -> Option<io::Error> {
        self.socket().take_error().ok().flatten()
    }

    /// Notes whether a connection holds output that the kernel has not taken.
    #[inline]
    pub(super) fn note_owed(&self, yes: bool) {
        self.owed.note(yes);
    }

    /// Returns whether not all output was sent. Then the close is a reset.
    pub(crate) fn owes_output(&self) -> bool {
        self.owed.is_anything()
    }

    /// Ends the connection now. If it holds output, it is reset, so that the peer sees that something is
    /// missing. (A Unix socket has no reset.)
    pub(crate) fn cut(&self) {
        if !self.owes_output() || sys::disconnect(self.as_fd()).is_err() {
            let _ = self.shutdown(Shutdown::Both);
        }
    }
}

/// Resets the connection if not all output was sent, whatever drops it: a panic, a removal, the end of the
/// reactor. To the peer, an end would look as if that were all.
impl Drop for Stream {
    fn drop(&mut self) {
        if self.owes_output()
            && let Some(socket) = &self.socket
        {
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
    }
}

/// A blocking socket returns `WouldBlock` when its timeout is over.
pub(super) fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

/// Refuses a timeout of zero, which the kernel takes for no timeout, and rounds up one that is shorter
/// than a microsecond, which would become zero.
fn representable(timeout: Option<Duration>) -> io::Result<Option<Duration>> {
    if timeout == Some(Duration::ZERO) {
        let message = "a timeout of zero; use None for no timeout, or set_nonblocking";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(timeout.map(|timeout| timeout.max(Duration::from_micros(1))))
}

impl Stream {
    /// Reads by `read`, again and again, until the idle timeout is over or the read's own.
    pub(super) fn within_idle_timeout(
        &self,
        mut read: impl FnMut() -> io::Result<usize>,
    ) -> io::Result<usize> {
        let Some(idle_timeout) = self.idle_timeout() else { return read() };
        let mut wait = Waiting::begin();
        loop {
            match read() {
                Ok(count) => {
                    idle_timeout.note_progress();
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match idle_timeout.check(&mut wait) {
                        Expired::Nothing => {}
                        Expired::Read => return Err(error),
                        Expired::Idle => {
                            let _ = self.shutdown(Shutdown::Both);
                            return Ok(0);
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    #[inline(always)] // a stream in a reactor has no idle timeout of its own
    fn send(&self, mut send: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
        match self.idle_timeout() {
            None => send(),
            Some(idle_timeout) => idle_timeout.while_sending(self.socket(), send),
        }
    }
}

impl Read for &Stream {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.extra.is_none() {
            return self.socket().read(buffer); // as all in a reactor
        }
        self.within_idle_timeout(|| self.read_or_end(buffer))
    }
}

impl Write for &Stream {
    #[inline]
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        // Not `write(2)`: a closed connection must be an error, never a SIGPIPE.
        self.send(|| self.socket().send_with_flags(buffer, libc::MSG_NOSIGNAL))
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send(|| self.socket().send_vectored_with_flags(buffers, libc::MSG_NOSIGNAL))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Stream {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for Stream {
    #[inline]
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
        self.socket().as_fd()
    }
}

#[cfg(test)]
mod tests;
