//! What a server listens on, and what a request is there.

use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Arc, Weak};
use std::time::Duration;
use std::{fmt, io};

use socket2::{Socket, Type};

use super::config::ServerConfig;
use crate::net::{Address, DatagramSocket, Listener, Stream};

/// What a server listens on: Python's class hierarchy from `TCPServer` to `UnixDatagramServer`. It
/// cannot be implemented elsewhere.
pub trait Transport: Sealed + 'static {
    /// What comes in.
    type Request: Request;

    /// Its name in messages.
    #[doc(hidden)]
    const NAME: &'static str;

    /// Whether it can listen there.
    #[doc(hidden)]
    fn takes(address: &Address) -> bool;
}

/// What keeps [`Transport`] to this module.
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

/// A datagram, and the socket to answer through: what `request` is in Python's `UDPServer`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Datagram {
    /// The bytes. There may be none: an empty datagram is a request too.
    pub data: Arc<[u8]>,
    /// The server's socket. It is open, and its port or path taken, for as long as anybody has it: also
    /// after `server_close`.
    pub socket: Arc<DatagramSocket>,
    /// Whether it was longer than [`max_packet_size`](ServerConfig::max_packet_size), and the rest is lost.
    /// (Python does not say.)
    pub truncated: bool,
}

/// What a server's requests are: `Arc<Stream>`, or [`Datagram`]. It cannot be implemented elsewhere.
pub trait Request: Clone + Send + Sync + fmt::Debug + 'static {
    /// What they come in through.
    #[doc(hidden)]
    type Endpoint: Endpoint<Request = Self>;

    /// Knows a connection without holding it.
    #[doc(hidden)]
    type Weak: Send + fmt::Debug;

    /// The connection, known and not held, and a number that no other has while it is known. A
    /// datagram is no connection.
    #[doc(hidden)]
    fn downgrade(&self) -> Option<(usize, Self::Weak)>;

    /// The connection, if there still is one.
    #[doc(hidden)]
    fn upgrade(weak: &Self::Weak) -> Option<Self>;

    /// The peer of a connection.
    #[doc(hidden)]
    fn peer(&self) -> Option<&Address> {
        None
    }

    /// The descriptor that whoever handles the request needs.
    #[doc(hidden)]
    fn descriptor(&self) -> RawFd;

    /// Finishes our side, as far as there is one.
    #[doc(hidden)]
    fn shutdown(&self) {}

    /// Finishes both sides.
    #[doc(hidden)]
    fn cut(&self) {}
}

impl Request for Arc<Stream> {
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
        // The client may be gone.
        let _ = Stream::shutdown(self, Shutdown::Write);
    }

    fn cut(&self) {
        let _ = Stream::shutdown(self, Shutdown::Both);
    }
}

impl Request for Datagram {
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

/// A socket that requests come in through.
#[doc(hidden)]
pub trait Endpoint: Sized + AsFd + Send + Sync + fmt::Debug + 'static {
    type Request;

    /// What type of socket it is.
    const KIND: Type;

    /// Takes requests from a bound socket from now on, and waits so long at most for who is answered
    /// through it.
    fn activate(socket: Socket, config: &ServerConfig, send_timeout: Duration) -> io::Result<Self>;

    /// The next request. `waits`: whether its handler will.
    fn next(
        self: &Arc<Self>,
        config: &ServerConfig,
        waits: bool,
    ) -> io::Result<(Self::Request, Address)>;

    /// Closes whoever waits.
    fn reject_pending(&self) -> bool;
}

impl Endpoint for Listener {
    type Request = Arc<Stream>;
    const KIND: Type = Type::STREAM;

    fn activate(socket: Socket, config: &ServerConfig, _: Duration) -> io::Result<Self> {
        let mut listener = Listener::listen(socket, config.request_queue_size)?;
        if !config.unlink_on_close {
            listener.keep_file();
        }
        Ok(listener)
    }

    fn next(
        self: &Arc<Self>,
        config: &ServerConfig,
        waits: bool,
    ) -> io::Result<(Arc<Stream>, Address)> {
        let mut stream = self.accept_plain()?;
        if waits {
            stream.limit(config.read_timeout, config.idle_timeout)?;
        }
        let peer = stream.peer().clone();
        Ok((Arc::new(stream), peer))
    }

    fn reject_pending(&self) -> bool {
        Listener::reject_pending(self)
    }
}

impl Endpoint for DatagramSocket {
    type Request = Datagram;
    const KIND: Type = Type::DGRAM;

    fn activate(socket: Socket, config: &ServerConfig, send_timeout: Duration) -> io::Result<Self> {
        let mut socket = DatagramSocket::bound(socket)?;
        socket.set_send_timeout(send_timeout);
        if !config.unlink_on_close {
            socket.keep_file();
        }
        Ok(socket)
    }

    fn next(self: &Arc<Self>, config: &ServerConfig, _: bool) -> io::Result<(Datagram, Address)> {
        let (data, received) = self.take(config.max_packet_size)?;
        let request = Datagram { data, socket: Arc::clone(self), truncated: received.truncated };
        Ok((request, received.from))
    }

    /// A datagram waits for nobody.
    fn reject_pending(&self) -> bool {
        false
    }
}
