//! Datagrams that are received and sent together.

use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::thread;

use support::sockets::settle;
use support::{LONG, on_every_pair_and_noise};
use tripoll::net::{Address, DatagramBatch, DatagramSocket};
use tripoll::sys::PollFlags;
use tripoll::{Context, Interest, Next, Source};

use crate::listener::{Directory, unix};

fn bound() -> DatagramSocket {
    DatagramSocket::bind("127.0.0.1:0").unwrap()
}

/// More than one system call is for.
const MANY: usize = 100;

#[test]
fn many_datagrams_are_sent_and_received_in_order_with_their_senders() {
    let (one, other, receiver) = (bound(), bound(), bound());
    let mut batch = DatagramBatch::new(MANY, 100);
    assert_eq!((batch.len(), batch.capacity()), (0, MANY));
    for number in 0..MANY {
        batch.push(&vec![number as u8; number], Some(receiver.local_address())).unwrap();
    }
    assert_eq!(one.send_many(&mut batch).unwrap(), MANY);
    assert!(batch.is_empty());
    other.send_to(b"last", receiver.local_address()).unwrap();

    assert_eq!(receiver.recv_many(&mut batch).unwrap(), MANY);
    for (number, datagram) in batch.iter().enumerate() {
        assert_eq!(datagram.data, vec![number as u8; number], "an empty datagram is data, too");
        assert_eq!(datagram.from, *one.local_address());
        assert!(!datagram.truncated);
    }
    assert_eq!(receiver.recv_many(&mut batch).unwrap(), 1);
    let last = batch.iter().next().unwrap();
    assert_eq!((last.data, last.from), (&b"last"[..], other.local_address().clone()));
    assert_eq!(receiver.recv_many(&mut batch).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(batch.is_empty());
}

#[test]
fn a_datagram_that_is_longer_than_its_room_is_told_to_be_truncated() {
    let (sender, receiver) = (bound(), bound());
    for data in [&b"four"[..], b"fiver", b"more"] {
        sender.send_to(data, receiver.local_address()).unwrap();
    }
    let mut batch = DatagramBatch::new(8, 4);
    assert_eq!(receiver.recv_many(&mut batch).unwrap(), 3);
    let received: Vec<_> = batch.iter().map(|got| (got.data.to_vec(), got.truncated)).collect();
    let expected = [(&b"four"[..], false), (b"five", true), (b"more", false)];
    assert_eq!(received, expected.map(|(data, truncated)| (data.to_vec(), truncated)));
}

#[test]
fn a_batch_echoes_in_a_reactor_on_every_pair() {
    on_every_pair_and_noise(|pair| {
        let socket = bound();
        let address = socket.local_address().clone();
        let mut batch = DatagramBatch::new(40, 64);
        let mut reactor = pair.reactor(());
        let echo =
            move |source: &mut Source<DatagramSocket>, _: &mut Context| -> io::Result<Next> {
                loop {
                    source.try_io(Interest::READ, |socket| socket.recv_many(&mut batch))?;
                    while !batch.is_empty() {
                        source.try_io(Interest::WRITE, |socket| socket.send_many(&mut batch))?;
                    }
                }
            };
        reactor.context().add(socket, Interest::READ, echo).unwrap();
        let handle = reactor.handle();
        let client = thread::spawn(move || {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.set_read_timeout(Some(LONG)).unwrap();
            let Address::Inet(address) = address else { panic!() };
            for number in 0..MANY as u8 {
                client.send_to(&vec![number; usize::from(number) % 64], address).unwrap();
            }
            for number in 0..MANY as u8 {
                let mut buffer = [0; 100];
                let (size, from) = client.recv_from(&mut buffer).unwrap();
                assert_eq!(from, address);
                assert_eq!(buffer[..size], vec![number; usize::from(number) % 64]);
            }
            handle.stop();
        });
        reactor.run().unwrap();
        client.join().unwrap();
        assert_eq!(reactor.context().len(), 1);
    });
}

#[test]
fn a_datagram_that_cannot_be_sent_is_an_error_and_the_others_are_sent() {
    let (sender, receiver) = (bound(), bound());
    let nowhere: Address = "127.0.0.1:0".parse().unwrap(); // port 0: EINVAL
    let mut batch = DatagramBatch::new(5, 10);
    for (data, to) in
        [(b"a", receiver.local_address()), (b"b", &nowhere), (b"c", receiver.local_address())]
    {
        batch.push(data, Some(to)).unwrap();
    }
    assert_eq!(sender.send_many(&mut batch).unwrap(), 1);
    assert_eq!(sender.send_many(&mut batch).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(sender.send_many(&mut batch).unwrap(), 1);
    assert_eq!(receiver.recv_many(&mut batch).unwrap(), 2);
    let data: Vec<_> = batch.iter().map(|datagram| datagram.data.to_vec()).collect();
    assert_eq!(data, [b"a", b"c"]);

    let too_long = batch.push(&[0; 11], None).unwrap_err();
    assert_eq!(too_long.to_string(), "a datagram of 11 bytes in a batch with room for 10");
    batch.clear();
    for _ in 0..5 {
        batch.push(b"x", Some(receiver.local_address())).unwrap();
    }
    let full = batch.push(b"x", None).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    assert_eq!(sender.send_many(&mut batch).unwrap(), 5);
    batch.push(b"without a peer", None).unwrap_err();
    batch.push(b"no peer", None).unwrap();
    assert!(sender.send_many(&mut batch).is_err());
    assert!(batch.is_empty());
}

#[test]
fn a_connected_socket_sends_to_its_peer_and_learns_of_a_refusal() {
    let socket = bound();
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    socket.connect(&Address::Inet(gone)).unwrap();
    let mut batch = DatagramBatch::new(4, 10);
    batch.push(b"refused", None).unwrap();
    assert_eq!(socket.send_many(&mut batch).unwrap(), 1);
    settle(&socket.as_fd(), PollFlags::IN);
    let refused = socket.recv_many(&mut batch).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(socket.recv_many(&mut batch).unwrap_err().kind(), ErrorKind::WouldBlock);

    let peer = bound();
    socket.connect(peer.local_address()).unwrap();
    for _ in 0..3 {
        batch.push(b"hello", None).unwrap();
    }
    assert_eq!(socket.send_many(&mut batch).unwrap(), 3);
    assert_eq!(peer.recv_many(&mut batch).unwrap(), 3);
}

#[test]
fn unix_datagrams_without_room_stay_in_the_batch_and_a_sender_without_a_name_is_unnamed() {
    let directory = Directory::new("batches");
    let path = directory.at("socket");
    let socket = DatagramSocket::bind(unix(&path)).unwrap();
    let mut batch = DatagramBatch::new(4, 10);
    // A sender with a name comes first: its name must not stay for the next.
    let named = UnixDatagram::bind(directory.at("named")).unwrap();
    named.send_to(b"named", &path).unwrap();
    assert_eq!(socket.recv_many(&mut batch).unwrap(), 1);
    assert_eq!(batch.iter().next().unwrap().from, unix(&directory.at("named")));
    UnixDatagram::unbound().unwrap().send_to(b"unnamed", &path).unwrap();
    assert_eq!(socket.recv_many(&mut batch).unwrap(), 1);
    assert_eq!(batch.iter().next().unwrap().from, Address::Unnamed);
    let error = socket.send_many(&mut batch).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected, "it cannot be answered");

    let to = unix(&directory.at("named"));
    let sent = loop {
        batch.clear();
        for _ in 0..4 {
            batch.push(b"x", Some(&to)).unwrap();
        }
        match socket.send_many(&mut batch) {
            Ok(4) => {}
            sent => break sent,
        }
    };
    assert!(matches!(sent, Ok(1..4)) || sent.unwrap_err().kind() == ErrorKind::WouldBlock);
    let left = batch.len();
    assert!(left > 0);
    assert_eq!(socket.send_many(&mut batch).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(batch.len(), left);
    for _ in 0..left {
        named.recv(&mut [0; 8]).unwrap();
    }
    assert_eq!(socket.send_many(&mut batch).unwrap(), left);
}
