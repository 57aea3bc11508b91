//! Connected datagram sockets, groups and broadcast, on the loopback interface only.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

use socket2::SockRef;
use support::sockets::settle;
use support::{LONG, on_every_pair_and_noise};
use tripoll::net::{Address, DatagramSocket};
use tripoll::sys::PollFlags;
use tripoll::{Context, Interest, Next, Source};

use crate::listener::{Directory, unix};

/// Receives one datagram within the limit of a test.
fn receive(socket: &DatagramSocket) -> Vec<u8> {
    settle(&socket.as_fd(), PollFlags::IN);
    let mut buffer = [0; 64];
    let info = socket.recv_from(&mut buffer).unwrap();
    buffer[..info.size].to_vec()
}

fn assert_empty(socket: &DatagramSocket) {
    let received = socket.recv_from(&mut [0; 64]);
    assert_eq!(received.unwrap_err().kind(), ErrorKind::WouldBlock);
}

fn port(socket: &DatagramSocket) -> u16 {
    let Address::Inet(address) = socket.local_address() else { panic!() };
    address.port()
}

/// An address of UDP where nothing receives.
fn refusing() -> Address {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    Address::Inet(socket.local_addr().unwrap())
}

#[test]
fn a_connected_socket_hears_its_peer_alone() {
    let [one, two, other] = [(); 3].map(|()| DatagramSocket::bind("127.0.0.1:0").unwrap());
    assert_eq!(one.peer(), None);
    assert_eq!(one.send(b"x").unwrap_err().kind(), ErrorKind::NotConnected);
    one.connect(two.local_address()).unwrap();
    assert_eq!(one.peer().as_ref(), Some(two.local_address()));
    other.send_to(b"from another", one.local_address()).unwrap();
    two.send_to(b"from the peer", one.local_address()).unwrap();
    assert_eq!(receive(&one), b"from the peer");
    assert_empty(&one);
    assert_eq!(one.send(b"").unwrap(), 0);
    assert_eq!(receive(&two), b"", "an empty datagram is data");
    one.connect(other.local_address()).unwrap();
    one.send(b"to another").unwrap();
    assert_eq!(receive(&other), b"to another");

    let directory = Directory::new("connected");
    let path = directory.at("socket");
    let peer = UnixDatagram::bind(&path).unwrap();
    let socket = DatagramSocket::bind(unix(&directory.at("own"))).unwrap();
    assert_eq!(socket.send(b"x").unwrap_err().kind(), ErrorKind::NotConnected);
    socket.connect(&unix(&path)).unwrap();
    socket.send(b"unix").unwrap();
    assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 4);
    let nowhere = directory.at("nowhere");
    let error = socket.connect(&unix(&nowhere)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = format!("cannot connect to {}: ", nowhere.display());
    assert!(error.to_string().starts_with(&text), "{error}");
}

#[test]
fn a_refusal_by_the_peers_machine_is_an_error_that_ends_no_socket() {
    on_every_pair_and_noise(|pair| {
        /// What was refused, and what was received.
        type Seen = (u32, Vec<u8>);
        let socket = DatagramSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(&refusing()).unwrap();
        let own = socket.local_address().clone();
        let mut reactor = pair.reactor((0, Vec::new()));
        let peer = DatagramSocket::bind("127.0.0.1:0").unwrap();
        let to = peer.local_address().clone();
        let handler = move |source: &mut Source<DatagramSocket>, cx: &mut Context<'_, Seen>| loop {
            let mut buffer = [0; 64];
            match source.try_io(Interest::READ, |socket| socket.recv_from(&mut buffer)) {
                Ok(info) => {
                    cx.state.1.extend_from_slice(&buffer[..info.size]);
                    cx.stop();
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    cx.state.0 += 1;
                    source.get_ref().connect(&to)?; // the next peer is there
                    source.get_ref().send(b"hello")?;
                    peer.send_to(b"answer", &own)?;
                }
                Err(error) => return Err::<Next, io::Error>(error),
            }
        };
        socket.send(b"refused").unwrap();
        reactor.context().add(socket, Interest::READ, handler).unwrap();
        let stop = std::time::Instant::now() + LONG;
        reactor.context().set_timer(stop, |_| panic!("nothing was received"));
        reactor.run().unwrap();
        assert_eq!(*reactor.state(), (1, b"answer".to_vec()));
        assert_eq!(reactor.context().len(), 1);
    });
}

/// The group of IPv4 for one test: of those that organizations use within themselves.
fn group_v4() -> Ipv4Addr {
    let [.., a, b] = std::process::id().to_be_bytes();
    Ipv4Addr::new(239, 255, a, b)
}

/// Joins with two sockets that share a port, and sends to both. Says so where the machine refuses.
fn exchange_in_group(
    group: IpAddr,
    any: &str,
    join: impl Fn(&DatagramSocket) -> io::Result<()>,
    leave: impl Fn(&DatagramSocket) -> io::Result<()>,
    set_interface: impl Fn(&DatagramSocket) -> io::Result<()>,
) {
    let builder = DatagramSocket::builder().reuse_address(true);
    let one = match builder.clone().bind(format!("{any}:0").as_str()) {
        Ok(one) => one,
        Err(error) => return eprintln!("this machine has no group {group}: {error}"),
    };
    let two = builder.bind(format!("{any}:{}", port(&one)).as_str()).unwrap();
    let sender = DatagramSocket::bind(format!("{any}:0").as_str()).unwrap();
    let to = Address::Inet(SocketAddr::new(group, port(&one)));
    let joined = join(&one).and_then(|()| join(&two)).and_then(|()| set_interface(&sender));
    if let Err(error) = joined.and_then(|()| sender.send_to(b"first", &to)) {
        return eprintln!("this machine refuses groups on the loopback interface: {error}");
    }
    assert_eq!(receive(&one), b"first");
    assert_eq!(receive(&two), b"first");

    let again = join(&one).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AddrInUse);
    assert!(again.to_string().starts_with(&format!("cannot join the group {group} on ")));

    leave(&two).unwrap();
    assert_eq!(leave(&two).unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    sender.set_multicast_ttl(0).unwrap();
    sender.send_to(b"second", &to).unwrap();
    assert_eq!(receive(&one), b"second");
}

#[test]
fn members_of_a_group_of_ipv4_receive_what_is_sent_to_it() {
    let (group, interface) = (group_v4(), Ipv4Addr::LOCALHOST);
    exchange_in_group(
        group.into(),
        "0.0.0.0",
        |socket| socket.join_multicast_v4(group, interface),
        |socket| socket.leave_multicast_v4(group, interface),
        |socket| socket.set_multicast_interface_v4(interface),
    );
}

#[test]
fn members_of_a_group_of_ipv6_receive_what_is_sent_to_it() {
    const LOOPBACK: u32 = 1;
    let [.., a, b] = std::process::id().to_be_bytes();
    // ff11: transient, and valid on one machine only.
    let group = Ipv6Addr::new(0xff11, 0, 0, 0, 0, 0, 0, u16::from_be_bytes([a, b]));
    exchange_in_group(
        group.into(),
        "[::]",
        |socket| socket.join_multicast_v6(group, LOOPBACK),
        |socket| socket.leave_multicast_v6(group, LOOPBACK),
        |socket| socket.set_multicast_interface_v6(LOOPBACK),
    );
}

#[test]
fn options_of_groups_reach_each_version_of_ip_that_the_socket_has() {
    let v4 = DatagramSocket::bind("127.0.0.1:0").unwrap();
    v4.set_multicast_ttl(7).unwrap();
    v4.set_multicast_loop(false).unwrap();
    let socket = SockRef::from(&v4);
    assert_eq!(socket.multicast_ttl_v4().unwrap(), 7);
    assert!(!socket.multicast_loop_v4().unwrap());
    for v6_only in [true, false] {
        let builder = DatagramSocket::builder().v6_only(v6_only);
        let Ok(v6) = builder.bind("[::]:0") else { return eprintln!("no IPv6 here") };
        v6.set_multicast_ttl(7).unwrap();
        v6.set_multicast_loop(false).unwrap();
        let socket = SockRef::from(&v6);
        assert_eq!(socket.multicast_hops_v6().unwrap(), 7);
        assert!(!socket.multicast_loop_v6().unwrap());
        assert_eq!(socket.multicast_ttl_v4().unwrap() == 7, !v6_only);
    }
    let error = v4.join_multicast_v4(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let text = "cannot join the group 127.0.0.1 on interface 127.0.0.1: ";
    assert!(error.to_string().starts_with(text), "{error}");
}

#[test]
fn a_broadcast_needs_a_permission() {
    let receiver = DatagramSocket::bind("0.0.0.0:0").unwrap();
    let sender = DatagramSocket::bind("127.0.0.1:0").unwrap();
    let to = SocketAddr::from(([127, 255, 255, 255], port(&receiver)));
    let refused = sender.send_to(b"x", &Address::Inet(to)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    sender.set_broadcast(true).unwrap();
    sender.send_to(b"to all", &Address::Inet(to)).unwrap();
    assert_eq!(receive(&receiver), b"to all");
}
