//! A datagram socket.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{io, thread};

use socket2::{Socket, Type};

use super::accept_class::is_of_network;
use super::address::Address;
use super::bind::BindOptions;
use super::socket_file::SocketFile;
use super::to_address::ToAddress;
use super::unread::Unread;
use crate::sync::lock;
use crate::sys::{self, PollFd, PollFlags};

/// How long servers block until the receiver of a datagram has room, by default.
pub(crate) const SEND_TIMEOUT: Duration = Duration::from_millis(100);

/// The flags of each send.
const NEVER_BLOCK: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// The longest time after which a send that finds no room is tried again.
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// A datagram socket, UDP or Unix, non-blocking. When it is dropped it is closed, and the file
/// of a Unix socket is removed: [by the process that has bound it](Self::set_unlink_on_drop), and if
/// it is still the socket's own.
///
/// It is made from an [`OwnedFd`](std::os::fd::OwnedFd) and the datagram sockets of the standard
/// library, and converts into them. A conversion changes nothing: `O_NONBLOCK` and other options stay
/// as they are. The calls of this type never block, whatever `O_NONBLOCK` is.
///
/// An empty datagram is data, not the end of a stream. A datagram that is longer than its buffer is
/// reported as [truncated](RecvInfo::truncated).
///
/// ```
/// use std::time::Duration;
/// use tripoll::net::DatagramSocket;
///
/// let server = DatagramSocket::bind("127.0.0.1:0")?;
/// let client = DatagramSocket::bind("127.0.0.1:0")?;
/// client.send_to(b"hello", server.local_address())?;
///
/// let mut buffer = [0; 4];
/// let info = server.recv_from(&mut buffer)?; // on the loopback interface it has arrived
/// assert_eq!((&buffer[..info.size], info.truncated), (&b"hell"[..], true));
/// assert_eq!(&info.from, client.local_address());
/// server.send_to_timeout(b"cut", &info.from, Duration::from_millis(10))?;
/// # std::io::Result::Ok(())
/// ```
#[doc(alias = "UdpSocket")]
#[doc(alias = "UDP")]
#[derive(Debug)]
pub struct DatagramSocket {
    // Dropped first: a socket that is closed looks stale as long as its file exists.
    file: Option<SocketFile>,
    socket: Socket,
    address: Address,
    send_timeout: Duration,
    /// What the peers of a Unix socket have not read, and the size of its send buffer.
    unread: Option<Mutex<(Unread, usize)>>,
    /// The receive buffer of [`take`](Self::take).
    buffer: Mutex<Vec<u8>>,
}

/// A received datagram, except its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecvInfo {
    /// Number of bytes in the buffer.
    pub size: usize,
    /// Whether the datagram was longer than the buffer. The rest is lost.
    pub truncated: bool,
    /// The address of the sender.
    pub from: Address,
}

/// Builds a [`DatagramSocket`].
#[derive(Debug, Clone)]
#[must_use = "no socket is bound before `bind`"]
pub struct DatagramSocketBuilder {
    options: BindOptions,
}

impl DatagramSocket {
    /// Binds a socket to `address`, with the defaults of [`DatagramSocket::builder`]. Port 0 is any
    /// free port.
    ///
    /// # Errors
    ///
    /// As [`DatagramSocketBuilder::bind`].
    pub fn bind(address: impl ToAddress) -> io::Result<Self> {
        DatagramSocket::builder().bind(address)
    }

    /// Returns a builder, which sets the options.
    pub fn builder() -> DatagramSocketBuilder {
        DatagramSocketBuilder::new()
    }

    /// Wraps a bound socket. Its file, if it has one, is removed on drop.
    pub(crate) fn bound(socket: Socket, file: Option<SocketFile>) -> io::Result<Self> {
        let address = Address::of_socket(&socket)?;
        let unread = match address {
            Address::Inet(_) => None,
            _ => Some(Mutex::new((Unread::default(), socket.send_buffer_size()?))),
        };
        Ok(DatagramSocket {
            unread,
            file,
            socket,
            address,
            send_timeout: SEND_TIMEOUT,
            buffer: Mutex::default(),
        })
    }

    /// Wraps a socket that was made elsewhere. Its file is left to its earlier owner.
    pub(super) fn of_elsewhere(socket: Socket) -> io::Result<Self> {
        let file = SocketFile::of_elsewhere(&Address::of_socket(&socket)?);
        DatagramSocket::bound(socket, file)
    }

    /// Returns the socket, and keeps its file.
    pub(super) fn into_socket(mut self) -> Socket {
        self.set_unlink_on_drop(false);
        self.socket
    }

    /// Sets how long a server blocks until the receiver of a reply has room.
    pub(crate) fn set_send_timeout(&mut self, send_timeout: Duration) {
        self.send_timeout = send_timeout;
    }

    pub(crate) fn send_timeout(&self) -> Duration {
        self.send_timeout
    }

    /// Sets whether this process removes the file of a Unix socket when the socket is dropped. Default:
    /// true in the process that has bound it. False in a child that was forked later, and for a socket
    /// that was made of a descriptor. The file is removed only if it is still the socket's own.
    ///
    /// [`Listener::set_unlink_on_drop`](super::Listener::set_unlink_on_drop) says how a socket is handed
    /// to another process.
    pub fn set_unlink_on_drop(&mut self, yes: bool) {
        if let Some(file) = &mut self.file {
            file.set_unlink(yes);
        }
    }

    /// Returns the bound address, with the port that the system chose for port 0.
    pub fn local_address(&self) -> &Address {
        &self.address
    }

    pub(super) fn is_unix(&self) -> bool {
        self.unread.is_some()
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Connects the socket to a peer: it receives datagrams of this peer only, and
    /// [`send`](Self::send) sends to it. Nothing is sent now. A second call replaces the peer.
    ///
    /// A connected UDP socket learns when its peer's machine answers that nothing receives there
    /// (ICMP). The next call of `send` or [`recv_from`](Self::recv_from) returns the error, mostly
    /// `ConnectionRefused`. The socket is not harmed: the peer may be there later.
    ///
    /// ```
    /// use tripoll::net::DatagramSocket;
    ///
    /// let server = DatagramSocket::bind("127.0.0.1:0")?;
    /// let client = DatagramSocket::bind("127.0.0.1:0")?;
    /// client.connect(server.local_address())?;
    /// client.send(b"hello")?;
    /// let info = server.recv_from(&mut [0; 16])?;
    /// assert_eq!((info.size, &info.from), (5, client.local_address()));
    /// assert_eq!(client.peer().as_ref(), Some(server.local_address()));
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`, with the address in the message.
    pub fn connect(&self, to: &Address) -> io::Result<()> {
        let connected = to.to_sock_addr().and_then(|to| self.socket.connect(&to));
        connected.map_err(|error| sys::with_context(format!("cannot connect to {to}"), error))
    }

    /// Returns the peer to which the socket is connected, if it is.
    pub fn peer(&self) -> Option<Address> {
        self.socket.peer_addr().ok().map(|peer| Address::of(&peer))
    }

    /// Receives the next datagram, of any sender or of the [connected](Self::connect) peer. Never
    /// blocks.
    ///
    /// # Errors
    ///
    /// Those of `recvfrom(2)`. `WouldBlock` when there is no datagram. The error of an earlier datagram
    /// that a connected peer has refused: the socket goes on.
    #[doc(alias = "recv")]
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<RecvInfo> {
        let (length, from) = sys::receive_from(self.as_fd(), buffer)?;
        Ok(RecvInfo {
            size: length.min(buffer.len()),
            truncated: length > buffer.len(),
            from: Address::of(&from),
        })
    }

    /// As [`recv_from`](Self::recv_from), into a buffer of `max` bytes that is reused.
    pub(crate) fn take(&self, max: usize) -> io::Result<(Arc<[u8]>, RecvInfo)> {
        let mut buffer = lock(&self.buffer);
        if buffer.len() != max {
            *buffer = vec![0; max];
        }
        let received = self.recv_from(&mut buffer)?;
        Ok((buffer[..received.size].into(), received))
    }

    /// Sends a datagram to the [connected](Self::connect) peer. Never blocks.
    ///
    /// # Errors
    ///
    /// Those of `send(2)`. `NotConnected` when the socket has no peer. `WouldBlock` when there is no room
    /// for the datagram. The error of an earlier datagram that the peer has refused, mostly
    /// `ConnectionRefused`: then this one was not sent, and the socket goes on.
    pub fn send(&self, data: &[u8]) -> io::Result<usize> {
        sys::retry(|| self.socket.send_with_flags(data, NEVER_BLOCK)).map_err(|error| {
            if error.raw_os_error() == Some(libc::EDESTADDRREQ) {
                let message = "the socket is not connected: see `connect` and `send_to`";
                return io::Error::new(io::ErrorKind::NotConnected, message);
            }
            error
        })
    }

    /// Sends a datagram. Never blocks.
    ///
    /// # Errors
    ///
    /// Those of `sendto(2)`. `WouldBlock` when there is no room for the datagram. `NotConnected` when
    /// `to` is [`Address::Unnamed`].
    ///
    /// On a Unix socket there is also no room for a receiver that has left more unread than what is
    /// free in the send buffer (`SO_SNDBUF`). Linux charges unread datagrams to that buffer, and one
    /// receiver that reads nothing would leave no room for the others. The error then says what is
    /// unread, and by whom. A forked child does not know what its parent has sent.
    pub fn send_to(&self, data: &[u8], to: &Address) -> io::Result<usize> {
        if *to == Address::Unnamed {
            let message =
                "the sender has no address: a Unix socket that was not bound cannot be answered";
            return Err(io::Error::new(io::ErrorKind::NotConnected, message));
        }
        let to_socket = to.to_sock_addr()?;
        let send = || sys::retry(|| self.socket.send_to_with_flags(data, &to_socket, NEVER_BLOCK));
        match &self.unread {
            None => send_past_errors(send),
            Some(unread) => self.send_counted(send, to, &mut lock(unread)),
        }
    }

    /// Sends to a peer of a Unix socket, and counts what is unread.
    fn send_counted(
        &self,
        send: impl FnOnce() -> io::Result<usize>,
        to: &Address,
        (unread, capacity): &mut (Unread, usize),
    ) -> io::Result<usize> {
        unread.observe(sys::send_queue(self.as_fd())?);
        if !unread.has_room(to, *capacity) {
            let message = format!("{to} has not read {} bytes that were sent to it", unread.of(to));
            return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
        }
        let sent = send();
        let total = sys::send_queue(self.as_fd())?;
        match &sent {
            Ok(_) => unread.sent(to, total),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && total >= *capacity => {
                if let Some((most, count)) = unread.most() {
                    let message = format!(
                        "there is no room to send to {to}: the send buffer of {capacity} bytes is \
                         full of what others have not read, {most} the most: {count} bytes"
                    );
                    return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
                }
            }
            Err(_) => {}
        }
        sent
    }

    /// Sends a datagram, and blocks for `timeout` at most until there is room for it. A thread can
    /// wait like this; a handler in a loop cannot.
    ///
    /// # Errors
    ///
    /// Those of [`send_to`](Self::send_to). `TimedOut` instead of `WouldBlock`.
    pub fn send_to_timeout(
        &self,
        data: &[u8],
        to: &Address,
        timeout: Duration,
    ) -> io::Result<usize> {
        match self.send_to(data, to) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.wait_and_send(error, data, to, timeout)
            }
            sent => sent,
        }
    }

    #[cold]
    fn wait_and_send(
        &self,
        mut reason: io::Error,
        data: &[u8],
        to: &Address,
        timeout: Duration,
    ) -> io::Result<usize> {
        let deadline = Instant::now().checked_add(timeout);
        let mut pause = Duration::from_millis(1);
        loop {
            let left =
                deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                let message = match reason.get_ref() {
                    Some(reason) => reason.to_string(),
                    None => format!("{to} has no room for a datagram"),
                };
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            if let Address::Inet(_) = to {
                let mut fds = [PollFd::new(self.socket.as_raw_fd(), PollFlags::OUT)];
                sys::poll(&mut fds, Some(left))?;
            } else {
                // `poll` would return at once: our socket is writable all the time, but the receiver
                // has no room.
                thread::sleep(pause.min(left));
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            match self.send_to(data, to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => reason = error,
                sent => return sent,
            }
        }
    }
}

/// Sends, although the kernel reports errors of earlier datagrams first (`IP_RECVERR`, see `ip(7)`).
/// An error of this one is reported each time.
pub(super) fn send_past_errors(send: impl Fn() -> io::Result<usize>) -> io::Result<usize> {
    const MOST: usize = 4;
    let mut sent = send();
    for _ in 1..MOST {
        match &sent {
            Err(error) if is_of_network(error) => sent = send(),
            _ => break,
        }
    }
    sent
}

impl DatagramSocketBuilder {
    fn new() -> Self {
        DatagramSocketBuilder {
            options: BindOptions {
                // SO_REUSEADDR would let two datagram sockets share the address, and one of them
                // would receive nothing.
                reuse_address: false,
                reuse_port: false,
                v6_only: true,
                replace_stale: false,
                mode: None,
            },
        }
    }

    /// Sets whether several sockets that all reuse the address can share it (`SO_REUSEADDR`). Each of
    /// them receives what is sent to a [group](DatagramSocket::join_multicast_v4) that it has joined, or
    /// to a broadcast address. Of other datagrams only the socket that was bound last receives any.
    /// Default: false.
    pub fn reuse_address(mut self, yes: bool) -> Self {
        self.options.reuse_address = yes;
        self
    }

    /// Sets whether several sockets can share the port (`SO_REUSEPORT`). The kernel distributes
    /// datagrams among them by the address of the sender. Default: false.
    pub fn reuse_port(mut self, yes: bool) -> Self {
        self.options.reuse_port = yes;
        self
    }

    /// Sets whether an IPv6 address receives from IPv6 peers only (`IPV6_V6ONLY`). Default: true,
    /// whatever the system's default is.
    pub fn v6_only(mut self, yes: bool) -> Self {
        self.options.v6_only = yes;
        self
    }

    /// Sets whether a stale file of a Unix socket is replaced, as
    /// [`ListenerBuilder::replace_stale`](super::ListenerBuilder::replace_stale). Default: false.
    pub fn replace_stale(mut self, yes: bool) -> Self {
        self.options.replace_stale = yes;
        self
    }

    /// Sets the permissions of the file of a Unix socket, as
    /// [`ListenerBuilder::mode`](super::ListenerBuilder::mode). To send to the socket, a process needs
    /// the permission to write. Default: 0o777 without the umask.
    pub fn mode(mut self, mode: u32) -> Self {
        self.options.mode = Some(mode);
        self
    }

    /// Binds a socket to `address`. Port 0 is any free port.
    ///
    /// # Errors
    ///
    /// Those of [`ToAddress::to_address`] and of `bind(2)` (`AddrInUse`, `PermissionDenied`), with the
    /// address and the cause in the message. `InvalidInput` for a [`mode`](Self::mode) over 0o777.
    pub fn bind(self, address: impl ToAddress) -> io::Result<DatagramSocket> {
        let address = address.to_address()?;
        let socket = BindOptions::socket(&address, Type::DGRAM)?;
        let file = self.options.bind(&socket, &address)?;
        DatagramSocket::bound(socket, file)
    }
}

impl AsFd for DatagramSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
