//! Datagram sockets: what a send does while there is no room.

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{process, thread};

use socket2::SockRef;
use support::*;
use tripoll::net::{Address, DatagramSocket};

/// A name that nobody else has.
fn name() -> Vec<u8> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("tripoll-net-datagrams-{}-{number}", process::id()).into_bytes()
}

/// A socket, and a peer that has read nothing and has no room.
fn full_peer(is_connected: bool) -> (DatagramSocket, UnixDatagram, Address) {
    let mine = name();
    let socket = DatagramSocket::bind(Address::Abstract(mine.clone())).unwrap();
    let name = name();
    let peer = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    if is_connected {
        peer.connect_addr(&SocketAddr::from_abstract_name(mine).unwrap()).unwrap();
    }
    let to = Address::Abstract(name);
    let sent = (0..10_000).take_while(|_| socket.send_to(b"full", &to).is_ok()).count();
    assert!((1..10_000).contains(&sent), "{sent}");
    let error = socket.send_to(b"full", &to).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert_eq!(error.get_ref().is_some(), is_connected, "{error}");
    (socket, peer, to)
}

#[test]
fn a_send_is_patient_for_its_timeout_and_no_longer() {
    for is_connected in [false, true] {
        let (socket, _peer, to) = full_peer(is_connected);
        for timeout in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(50)] {
            let began = Instant::now();
            let error = socket.send_to_timeout(b"more", &to, timeout).unwrap_err();
            assert!(began.elapsed() >= timeout, "{:?} of {timeout:?}", began.elapsed());
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            let fault = if is_connected { "has not read" } else { "has no room for a datagram" };
            assert!(error.to_string().starts_with(&format!("{to} {fault}")), "{error}");
        }
    }
}

#[test]
fn a_send_ends_when_there_is_room() {
    for is_connected in [false, true] {
        for timeout in [LONG, Duration::MAX] {
            let (socket, peer, to) = full_peer(is_connected);
            thread::scope(|scope| {
                let sending = scope.spawn(|| socket.send_to_timeout(b"at last", &to, timeout));
                peer.set_read_timeout(Some(LONG)).unwrap();
                let mut buffer = [0; 16];
                loop {
                    let count = peer.recv(&mut buffer).unwrap();
                    if &buffer[..count] == b"at last" {
                        break;
                    }
                }
                assert_eq!(sending.join().unwrap().unwrap(), b"at last".len());
            });
        }
    }
}

#[test]
fn who_reads_nothing_leaves_room_for_others_and_is_named() {
    let (socket, greedy, _) = full_peer(true);
    for _ in 0..3 {
        let name = name();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let peer = UnixDatagram::bind_addr(&address).unwrap();
        let to = Address::Abstract(name);
        for _ in 0..1_000 {
            socket.send_to(b"x", &to).unwrap();
            assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 1);
        }
    }
    // One that has read has room again.
    greedy.set_nonblocking(true).unwrap();
    while greedy.recv(&mut [0; 16]).is_ok() {}
    let to = greedy.local_addr().unwrap();
    let to = Address::Abstract(to.as_abstract_name().unwrap().to_vec());
    socket.send_to(b"again", &to).unwrap();
}

#[test]
fn an_error_that_no_wait_mends_is_returned_at_once() {
    let socket = DatagramSocket::bind(Address::Abstract(name())).unwrap();
    let nobody = Address::Abstract(name());
    for timeout in [Duration::ZERO, LONG] {
        let error = socket.send_to_timeout(b"hello", &nobody, timeout).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
    }
}

#[test]
fn a_send_ends_when_its_receiver_goes_while_it_waits() {
    let (socket, peer, to) = full_peer(false);
    let waiting = thread::spawn(move || socket.send_to_timeout(b"more", &to, LONG));
    thread::sleep(Duration::from_millis(50)); // it waits now, most likely
    let began = Instant::now();
    drop(peer);
    assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert!(began.elapsed() < LONG / 2);
}

#[test]
fn what_is_too_long_is_an_error_of_its_own_though_others_have_filled_the_buffer() {
    let socket = DatagramSocket::bind(Address::Abstract(name())).unwrap();
    let peers: Vec<_> = (0..3)
        .map(|_| {
            let name = name();
            let address = SocketAddr::from_abstract_name(&name).unwrap();
            (UnixDatagram::bind_addr(&address).unwrap(), Address::Abstract(name))
        })
        .collect();
    let capacity = SockRef::from(&socket).send_buffer_size().unwrap();
    for (_, to) in &peers[..2] {
        socket.send_to(&vec![0; capacity * 6 / 10], to).unwrap();
    }
    let third = &peers[2].1;
    let full = socket.send_to(b"hello", third).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    assert!(full.to_string().contains("full of what others have not read"), "{full}");
    let too_long = socket.send_to(&vec![0; capacity * 2], third).unwrap_err();
    assert_eq!(too_long.raw_os_error(), Some(libc::EMSGSIZE), "{too_long}");
}
