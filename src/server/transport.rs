//! Transports: what a server listens on, and what its requests are.

use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Arc, Weak};
use std::time::Duration;
use std::{fmt, io};

use socket2::{Socket, Type};

use super::config::ServerConfig;
use crate::net::{Address, DatagramSocket, InputEnd, Listener, SocketFile, Stream};

/// What a server listens on: Python's class hierarchy from `TCPServer` to `UnixDatagramServer`. It
/// is sealed.
pub trait Transport: Sealed + 'static {
    /// The type of its requests.
    type Request: Request;

    /// Its name in error messages.
    #[doc(hidden)]
    const NAME: &'static str;

    /// Returns whether it can listen on the address.
    #[doc(hidden)]
    fn takes(address: &Address) -> bool;
}

/// Seals [`Transport`].
#[doc(hidden)]
pub trait Sealed {}

/// TCP, over IPv4 or IPv6.
#[derive(Debug)]
pub enum Tcp {}

/// UDP, over IPv4 or IPv6.
#[derive(Debug)]
pub enum Udp {}

/// Unix sockets for streams.
#[derive(Debug)]
pub enum Unix {}

/// Unix sockets for datagrams.
#[derive(Debug)]
pub enum UnixDgram {}

impl Sealed for Tcp {}
impl Sealed for Udp {}
impl Sealed for Unix {}
impl Sealed for UnixDgram {}

impl Transport for Tcp {
    type Request = Arc<Stream>;
    const NAME: &'static str = "TCP";

    fn takes(address: &Address) -> bool {
        matches!(address, Address::Inet(_))
    }
}

impl Transport for Udp {
    type Request = Datagram;
    const NAME: &'static str = "UDP";

    fn takes(address: &Address) -> bool {
        matches!(address, Address::Inet(_))
    }
}

impl Transport for Unix {
    type Request = Arc<Stream>;
    const NAME: &'static str = "Unix stream";

    fn takes(address: &Address) -> bool {
        matches!(address, Address::Unix(_) | Address::Abstract(_))
    }
}

impl Transport for UnixDgram {
    type Request = Datagram;
    const NAME: &'static str = "Unix datagram";

    fn takes(address: &Address) -> bool {
        matches!(address, Address::Unix(_) | Address::Abstract(_))
    }
}

/// A datagram with the socket through which it is answered: `request` of Python's `UDPServer`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Datagram {
    /// The bytes of the datagram. An empty datagram is a request, too.
    pub data: Arc<[u8]>,
    /// The server's socket. It stays open, and its port or path taken, as long as a request holds
    /// it: also after `server_close`.
    pub socket: Arc<DatagramSocket>,
    /// Whether the datagram was longer than
    /// [`max_packet_size`](ServerConfig#structfield.max_packet_size), so that the rest is lost.
    /// (Python does not report it.)
    pub truncated: bool,
}

/// A request of a server: `Arc<Stream>` or [`Datagram`]. It is sealed.
pub trait Request: RequestParts {}

impl Request for Arc<Stream> {}
impl Request for Datagram {}

/// What the server needs of a request. These are not items of [`Request`]: where that is imported,
/// they would shadow those of [`Stream`].
#[doc(hidden)]
pub trait RequestParts: Clone + Send + Sync + fmt::Debug + 'static {
    /// The socket through which they are accepted.
    type Endpoint: Endpoint<Request = Self>;

    /// A weak reference to a connection.
    type Weak: Send + fmt::Debug;

    /// Returns a weak reference to the connection, and a number that identifies it. Returns `None`
    /// for a datagram.
    fn downgrade(&self) -> Option<(usize, Self::Weak)>;

    /// Returns the connection, if it is still open.
    fn upgrade(weak: &Self::Weak) -> Option<Self>;

    /// Returns the peer of a connection.
    fn peer(&self) -> Option<&Address> {
        None
    }

    /// Returns the descriptor that the handler of the request needs.
    fn descriptor(&self) -> RawFd;

    /// Shuts down our side of a connection.
    fn shutdown(&self) {}

    /// Shuts down both sides of a connection.
    fn cut(&self) {}

    /// Returns whether the input ends early.
    fn is_input_ending(&self) -> bool {
        false
    }

    /// Returns whether the kernel holds output that the peer has not received.
    fn has_undelivered_output(&self) -> bool {
        false
    }

    /// Blocks until the peer has the output and its end, at most until `is_over`.
    fn linger(&self, is_over: &dyn Fn() -> bool) {
        let _ = is_over;
    }
}

impl RequestParts for Arc<Stream> {
    type Endpoint = Listener;

    type Weak = Weak<Stream>;

    fn downgrade(&self) -> Option<(usize, Weak<Stream>)> {
        Some((Arc::as_ptr(self).addr(), Arc::downgrade(self)))
    }

    fn upgrade(weak: &Weak<Stream>) -> Option<Self> {
        weak.upgrade()
    }

    fn peer(&self) -> Option<&Address> {
        Some(Stream::peer(self))
    }

    fn descriptor(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }

    fn shutdown(&self) {
        // Output that was dropped must not be followed by an end: the close is a reset then. The client
        // may have reset the connection.
        if !self.owes_output() {
            let _ = Stream::shutdown(self, Shutdown::Write);
        }
    }

    fn cut(&self) {
        Stream::cut(self);
    }

    fn is_input_ending(&self) -> bool {
        Stream::is_input_ending(self)
    }

    fn has_undelivered_output(&self) -> bool {
        self.send_queue().is_ok_and(|size| size > 0)
    }

    fn linger(&self, is_over: &dyn Fn() -> bool) {
        Stream::linger(self, is_over);
    }
}

impl RequestParts for Datagram {
    type Endpoint = DatagramSocket;
    type Weak = ();

    fn descriptor(&self) -> RawFd {
        self.socket.as_fd().as_raw_fd()
    }

    fn downgrade(&self) -> Option<(usize, ())> {
        None
    }

    fn upgrade((): &()) -> Option<Self> {
        None
    }
}

/// A socket through which requests are accepted.
#[doc(hidden)]
pub trait Endpoint: Sized + AsFd + Send + Sync + fmt::Debug + 'static {
    type Request;

    /// The type of the socket.
    const KIND: Type;

    /// Listens on a bound socket, and keeps its file. A reply to a datagram blocks for `send_timeout`
    /// at most. Clients in the loop hold `max_buffered` bytes together at most.
    fn activate(
        socket: Socket,
        file: Option<SocketFile>,
        config: &ServerConfig,
        send_timeout: Duration,
        max_buffered: Option<usize>,
    ) -> io::Result<Self>;

    /// Accepts the next request. `input_end` ends its input early, if its handler blocks.
    fn next(
        self: &Arc<Self>,
        config: &ServerConfig,
        input_end: Option<&Arc<InputEnd>>,
    ) -> io::Result<(Self::Request, Address)>;

    /// Returns the length of the accept queue. 0 for datagrams.
    fn backlog(&self) -> u32 {
        0
    }

    /// Accepts and closes the pending connections. Returns their number, and the error that ended
    /// it.
    fn reject_pending(&self) -> (usize, Option<io::Error>);
}

impl Endpoint for Listener {
    type Request = Arc<Stream>;
    const KIND: Type = Type::STREAM;

    fn activate(
        socket: Socket,
        file: Option<SocketFile>,
        config: &ServerConfig,
        _: Duration,
        max_buffered: Option<usize>,
    ) -> io::Result<Self> {
        let mut listener = Listener::listen(socket, file, config.request_queue_size)?;
        listener.set_max_buffered(max_buffered.unwrap_or(usize::MAX));
        Ok(listener)
    }

    fn next(
        self: &Arc<Self>,
        config: &ServerConfig,
        input_end: Option<&Arc<InputEnd>>,
    ) -> io::Result<(Arc<Stream>, Address)> {
        let mut stream = self.accept_plain()?;
        if let Some(input_end) = input_end {
            stream.set_input_end(input_end);
            // The connection's error, not the listener's: without a number it concerns one client.
            stream.limit(config.read_timeout, config.idle_timeout).map_err(io::Error::other)?;
        }
        let peer = stream.peer().clone();
        Ok((Arc::new(stream), peer))
    }

    fn backlog(&self) -> u32 {
        Listener::backlog(self)
    }

    fn reject_pending(&self) -> (usize, Option<io::Error>) {
        Listener::reject_pending(self)
    }
}

impl Endpoint for DatagramSocket {
    type Request = Datagram;
    const KIND: Type = Type::DGRAM;

    fn activate(
        socket: Socket,
        file: Option<SocketFile>,
        _: &ServerConfig,
        send_timeout: Duration,
        _: Option<usize>,
    ) -> io::Result<Self> {
        let mut socket = DatagramSocket::bound(socket, file)?;
        socket.set_send_timeout(send_timeout);
        Ok(socket)
    }

    fn next(
        self: &Arc<Self>,
        config: &ServerConfig,
        _: Option<&Arc<InputEnd>>,
    ) -> io::Result<(Datagram, Address)> {
        let (data, received) = self.take(config.max_packet_size)?;
        let request = Datagram { data, socket: Arc::clone(self), truncated: received.truncated };
        Ok((request, received.from))
    }

    /// Does nothing: a datagram needs no answer.
    fn reject_pending(&self) -> (usize, Option<io::Error>) {
        (0, None)
    }
}
