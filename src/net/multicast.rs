//! One datagram to many: multicast and broadcast.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use socket2::{Domain, Socket};

use super::datagram::DatagramSocket;
use crate::sys;

/// # Multicast and broadcast
impl DatagramSocket {
    /// Joins a group, so that the socket receives what is sent to it (`IP_ADD_MEMBERSHIP`, see `ip(7)`).
    /// `interface` is the address of the interface on which it is joined. With
    /// [`Ipv4Addr::UNSPECIFIED`] the kernel chooses one, by its routes.
    ///
    /// A socket that is bound to a port of any address (`0.0.0.0`) also receives what others in the
    /// machine have joined. One that is bound to the address of the group receives only that. Several
    /// sockets can share a port, and all receive, if each
    /// [reuses the address](super::DatagramSocketBuilder::reuse_address).
    ///
    /// ```no_run
    /// use std::net::{Ipv4Addr, SocketAddr};
    /// use tripoll::net::DatagramSocket;
    ///
    /// let group = Ipv4Addr::new(239, 255, 77, 1);
    /// let receiver = DatagramSocket::builder().reuse_address(true).bind(SocketAddr::from((group, 0)))?;
    /// receiver.join_multicast_v4(group, Ipv4Addr::LOCALHOST)?;
    ///
    /// let sender = DatagramSocket::bind("127.0.0.1:0")?;
    /// sender.set_multicast_interface_v4(Ipv4Addr::LOCALHOST)?;
    /// sender.send_to(b"to all", receiver.local_address())?;
    /// let mut buffer = [0; 16];
    /// assert_eq!(receiver.recv_from(&mut buffer)?.size, 6);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`, with the group and the interface in the message: the address is no
    /// group, it was joined before (`AddrInUse`), or no interface has this address.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        let joined = self.socket().join_multicast_v4(&group, &interface);
        joined.map_err(|error| with_group("join", group, interface, error))
    }

    /// Leaves a group that was joined on `interface` (`IP_DROP_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`, with the group and the interface in the message: it was not joined
    /// there (`AddrNotAvailable`).
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        let left = self.socket().leave_multicast_v4(&group, &interface);
        left.map_err(|error| with_group("leave", group, interface, error))
    }

    /// As [`join_multicast_v4`](Self::join_multicast_v4), for IPv6 (`IPV6_ADD_MEMBERSHIP`, see
    /// `ipv6(7)`). `interface` is the index of an interface. With 0 the kernel chooses one.
    ///
    /// # Errors
    ///
    /// As [`join_multicast_v4`](Self::join_multicast_v4).
    pub fn join_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        let joined = self.socket().join_multicast_v6(&group, interface);
        joined.map_err(|error| with_group("join", group, interface, error))
    }

    /// Leaves a group of IPv6 that was joined on `interface` (`IPV6_DROP_MEMBERSHIP`).
    ///
    /// # Errors
    ///
    /// As [`leave_multicast_v4`](Self::leave_multicast_v4).
    pub fn leave_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        let left = self.socket().leave_multicast_v6(&group, interface);
        left.map_err(|error| with_group("leave", group, interface, error))
    }

    /// Sets the interface through which datagrams to groups are sent, by its address
    /// (`IP_MULTICAST_IF`). Default: the one that the routes say.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`: no interface has this address.
    pub fn set_multicast_interface_v4(&self, interface: Ipv4Addr) -> io::Result<()> {
        self.socket().set_multicast_if_v4(&interface)
    }

    /// Sets the interface through which datagrams to groups of IPv6 are sent, by its index
    /// (`IPV6_MULTICAST_IF`). Default: the one that the routes say.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`: there is no interface with this index.
    pub fn set_multicast_interface_v6(&self, interface: u32) -> io::Result<()> {
        self.socket().set_multicast_if_v6(interface)
    }

    /// Sets how many routers a datagram to a group may pass, plus one (`IP_MULTICAST_TTL`,
    /// `IPV6_MULTICAST_HOPS`). With 0 it does not leave the machine. Default: 1, the local network.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`: on a Unix socket it fails.
    pub fn set_multicast_ttl(&self, ttl: u8) -> io::Result<()> {
        self.for_each_version(
            |socket| socket.set_multicast_ttl_v4(ttl.into()),
            |socket| socket.set_multicast_hops_v6(ttl.into()),
        )
    }

    /// Sets whether members of a group on this machine receive what this socket sends to it
    /// (`IP_MULTICAST_LOOP`, `IPV6_MULTICAST_LOOP`). Default: true.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`: on a Unix socket it fails.
    pub fn set_multicast_loop(&self, yes: bool) -> io::Result<()> {
        self.for_each_version(
            |socket| socket.set_multicast_loop_v4(yes),
            |socket| socket.set_multicast_loop_v6(yes),
        )
    }

    /// Sets whether the socket may send to a broadcast address of IPv4 (`SO_BROADCAST`, see
    /// `socket(7)`). Without it such a send fails with `PermissionDenied`. Default: false.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`. For an open socket it does not fail.
    pub fn set_broadcast(&self, yes: bool) -> io::Result<()> {
        self.socket().set_broadcast(yes)
    }

    /// Sets an option of the socket's version of IP. A socket of IPv6 that is open for IPv4, too, has
    /// both.
    fn for_each_version(
        &self,
        v4: impl FnOnce(&Socket) -> io::Result<()>,
        v6: impl FnOnce(&Socket) -> io::Result<()>,
    ) -> io::Result<()> {
        let socket = self.socket();
        match socket.domain()? {
            Domain::IPV6 if socket.only_v6()? => v6(socket),
            Domain::IPV6 => v6(socket).and_then(|()| v4(socket)),
            _ => v4(socket),
        }
    }
}

fn with_group(
    verb: &str,
    group: impl std::fmt::Display,
    interface: impl std::fmt::Display,
    error: io::Error,
) -> io::Error {
    sys::with_context(format!("cannot {verb} the group {group} on interface {interface}"), error)
}
