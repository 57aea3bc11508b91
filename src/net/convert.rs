//! Sockets from and into descriptors and the types of the standard library.
//!
//! No conversion changes the socket. Its options, its `O_NONBLOCK`, and its close-on-exec flag stay as
//! they are. `O_NONBLOCK` belongs to the open file, which other processes may share.

use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use super::datagram::DatagramSocket;
use super::listener::Listener;
use super::socket_kind::{Family, SocketKind, socket_of};
use super::stream::Stream;

impl From<TcpStream> for Stream {
    /// Wraps a connected socket, and leaves its options as they are.
    fn from(stream: TcpStream) -> Self {
        Stream::connected(stream.into())
    }
}

impl From<UnixStream> for Stream {
    /// Wraps a connected socket, and leaves its options as they are.
    fn from(stream: UnixStream) -> Self {
        Stream::connected(stream.into())
    }
}

impl TryFrom<OwnedFd> for Stream {
    type Error = io::Error;

    /// Wraps a connected stream socket, TCP or Unix, and leaves its options as they are.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another descriptor. The message has its number and says what it is. The
    /// descriptor is closed then.
    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        let is_connection = |kind| matches!(kind, SocketKind::Connection(_));
        socket_of(fd, "a connected stream socket", is_connection).map(Stream::connected)
    }
}

impl From<Stream> for OwnedFd {
    /// Returns the bare descriptor, which no longer counts toward the listener's limit.
    fn from(stream: Stream) -> Self {
        stream.into_socket().into()
    }
}

impl TryFrom<OwnedFd> for Listener {
    type Error = io::Error;

    /// Wraps a socket that listens, TCP or Unix, with the defaults of
    /// [`ListenerBuilder::wrap`](super::ListenerBuilder::wrap).
    ///
    /// # Errors
    ///
    /// As [`ListenerBuilder::wrap`](super::ListenerBuilder::wrap).
    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        Listener::builder().wrap(fd)
    }
}

impl From<Listener> for OwnedFd {
    /// Returns the bare descriptor. The file of a Unix socket stays: its new owner removes it. See
    /// [`Listener::set_unlink_on_drop`].
    fn from(listener: Listener) -> Self {
        listener.into_socket().into()
    }
}

impl TryFrom<OwnedFd> for DatagramSocket {
    type Error = io::Error;

    /// Wraps a datagram socket, UDP or Unix, and leaves its options as they are. The file of a Unix
    /// socket is left to its earlier owner, unless
    /// [`set_unlink_on_drop`](DatagramSocket::set_unlink_on_drop) says otherwise.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another descriptor. The message has its number and says what it is. The
    /// descriptor is closed then.
    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        let is_datagrams = |kind| matches!(kind, SocketKind::Datagrams(_));
        DatagramSocket::of_elsewhere(socket_of(fd, "a datagram socket", is_datagrams)?)
    }
}

impl From<DatagramSocket> for OwnedFd {
    /// Returns the bare descriptor. The file of a Unix socket stays: its new owner removes it. See
    /// [`DatagramSocket::set_unlink_on_drop`].
    fn from(socket: DatagramSocket) -> Self {
        socket.into_socket().into()
    }
}

/// Converts from a type of the standard library, which may have been made of any descriptor, too.
macro_rules! from_std {
    ($($std:ty => $own:ty),+ $(,)?) => {$(
        impl TryFrom<$std> for $own {
            type Error = io::Error;

            /// Wraps a socket of the standard library, as a bare descriptor.
            ///
            /// # Errors
            ///
            /// As for an [`OwnedFd`].
            fn try_from(socket: $std) -> io::Result<Self> {
                OwnedFd::from(socket).try_into()
            }
        }
    )+};
}

from_std! {
    TcpListener => Listener,
    UnixListener => Listener,
    UdpSocket => DatagramSocket,
    UnixDatagram => DatagramSocket,
}

/// Converts into a type of the standard library, which is for one family of addresses.
macro_rules! into_std {
    ($($own:ty => $std:ty, $wanted:literal, $family:ident);+ $(;)?) => {$(
        impl TryFrom<$own> for $std {
            type Error = io::Error;

            /// Unwraps the socket, and leaves its options and its `O_NONBLOCK` as they are.
            ///
            /// # Errors
            ///
            /// `InvalidInput` for a socket of the other family. The message has its number and says
            /// what it is. The socket is closed then.
            fn try_from(socket: $own) -> io::Result<Self> {
                let is_wanted = |kind: SocketKind| kind.family() == Some(Family::$family);
                socket_of(socket.into(), $wanted, is_wanted).map(Into::into)
            }
        }
    )+};
}

into_std! {
    Stream => TcpStream, "a TCP connection", Inet;
    Stream => UnixStream, "a Unix connection", Unix;
    Listener => TcpListener, "a TCP listener", Inet;
    Listener => UnixListener, "a Unix listener", Unix;
    DatagramSocket => UdpSocket, "a UDP socket", Inet;
    DatagramSocket => UnixDatagram, "a Unix datagram socket", Unix;
}
