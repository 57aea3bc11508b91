//! Sockets from and into descriptors and the types of the standard library.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::{fs, thread};

use rustix::fs::OFlags;
use rustix::io::FdFlags;
use socket2::{Domain, SockRef, Socket, Type};
use support::net::{Call, Scripted, echo};
use support::sockets::{blocking_tcp_pair, exchange};
use support::{LONG, on_every_pair_and_noise};
use tripoll::net::{Address, Connection, DatagramSocket, Listener, Stream};

use crate::listener::{Directory, unix};

fn is_nonblocking(fd: impl AsFd) -> bool {
    rustix::fs::fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK)
}

#[test]
fn streams_of_descriptors_and_of_std_serve_in_a_reactor() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(());
        let (calls, told) = std::sync::mpsc::channel();
        let (tcp, served_tcp) = blocking_tcp_pair();
        let (unix, served_unix) = UnixStream::pair().unwrap();
        let (other, served_other) = UnixStream::pair().unwrap();
        let (own, served_own) = Stream::pair().unwrap();
        let streams = [
            Stream::from(served_tcp),
            Stream::from(served_unix),
            Stream::try_from(OwnedFd::from(served_other)).unwrap(),
            served_own,
        ];
        let handle = reactor.handle();
        for stream in streams {
            let protocol = Scripted::new(echo, calls.clone());
            Connection::new(protocol).serve(stream, &mut reactor.context()).unwrap();
        }
        let clients = thread::spawn(move || {
            assert_eq!(exchange(&tcp, b"tcp"), b"tcp");
            assert_eq!(exchange(&unix, b"unix"), b"unix");
            assert_eq!(exchange(&other, b"other"), b"other");
            let own = UnixStream::try_from(own).unwrap();
            assert_eq!(exchange(&own, b"own"), b"own");
            handle.stop();
        });
        reactor.run().unwrap();
        clients.join().unwrap();
        drop((reactor, calls));
        assert_eq!(told.iter().filter(|call| *call == Call::Opened).count(), 4);
    });
}

#[test]
fn listeners_of_descriptors_and_of_std_accept_under_the_options_of_their_builder() {
    on_every_pair_and_noise(|pair| {
        let directory = Directory::new("wrap");
        let path = directory.at("socket");
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let listeners = [
            Listener::builder().max_connections(1).wrap(tcp).unwrap(),
            Listener::try_from(UnixListener::bind(&path).unwrap()).unwrap(),
        ];
        assert_eq!(*listeners[0].local_address(), Address::Inet(address));
        assert_eq!(*listeners[1].local_address(), unix(&path));
        let mut reactor = pair.reactor(());
        let (calls, _told) = std::sync::mpsc::channel();
        for listener in listeners {
            let calls = calls.clone();
            let accepted = move |stream, cx: &mut tripoll::Context| {
                Connection::new(Scripted::new(echo, calls.clone())).serve(stream, cx)?;
                Ok(())
            };
            listener.serve(&mut reactor.context(), accepted).unwrap();
        }
        let handle = reactor.handle();
        let clients = thread::spawn(move || {
            assert_eq!(exchange(UnixStream::connect(&path).unwrap(), b"unix"), b"unix");
            let first = TcpStream::connect(address).unwrap();
            assert_eq!(exchange(&first, b"first"), b"first");
            // The second one is not accepted before the first has gone.
            let mut second = TcpStream::connect(address).unwrap();
            second.set_read_timeout(Some(LONG)).unwrap();
            second.write_all(b"second").unwrap();
            let (send, answer) = std::sync::mpsc::channel();
            let reading = thread::spawn(move || {
                let mut buffer = [0; 6];
                second.read_exact(&mut buffer).unwrap();
                send.send(buffer).unwrap();
            });
            assert_eq!(exchange(&first, b"again"), b"again");
            assert!(answer.try_recv().is_err());
            drop(first);
            assert_eq!(answer.recv_timeout(LONG).unwrap(), *b"second");
            reading.join().unwrap();
            handle.stop();
        });
        reactor.run().unwrap();
        clients.join().unwrap();
    });
}

#[test]
fn a_conversion_changes_no_option_and_keeps_the_descriptor() {
    for nonblocking in [false, true] {
        let (_client, tcp) = blocking_tcp_pair();
        tcp.set_nonblocking(nonblocking).unwrap();
        let number = tcp.as_raw_fd();
        let stream = Stream::from(tcp);
        let fd = OwnedFd::from(stream);
        let stream = Stream::try_from(fd).unwrap();
        let tcp = TcpStream::try_from(stream).unwrap();
        assert_eq!(tcp.as_raw_fd(), number);
        assert_eq!(is_nonblocking(&tcp), nonblocking);
        assert!(!tcp.nodelay().unwrap());
        assert!(rustix::io::fcntl_getfd(&tcp).unwrap().contains(FdFlags::CLOEXEC));

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(nonblocking).unwrap();
        let listener = Listener::try_from(listener).unwrap();
        assert_eq!(is_nonblocking(&listener), nonblocking);
        let listener = TcpListener::try_from(listener).unwrap();
        assert_eq!(is_nonblocking(&listener), nonblocking);

        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(nonblocking).unwrap();
        let socket = DatagramSocket::try_from(socket).unwrap();
        assert_eq!(is_nonblocking(&socket), nonblocking);
        let error = socket.recv_from(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "it never blocks");
        let socket = UdpSocket::try_from(socket).unwrap();
        assert_eq!(is_nonblocking(&socket), nonblocking);
    }
    // What a listener accepts has its options, whatever the listener's mode.
    let listener = Listener::try_from(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
    let Address::Inet(address) = *listener.local_address() else { panic!() };
    let client = TcpStream::connect(address).unwrap();
    let accepted = listener.accept().unwrap();
    assert!(is_nonblocking(&accepted) && SockRef::from(&accepted).tcp_nodelay().unwrap());
    assert_eq!(accepted.local_address().unwrap(), Address::Inet(address));
    assert_eq!(*accepted.peer(), Address::Inet(client.local_addr().unwrap()));
    let tcp = TcpStream::try_from(accepted).unwrap();
    assert!(is_nonblocking(&tcp) && tcp.nodelay().unwrap());
}

#[test]
fn a_datagram_socket_of_a_blocking_one_does_not_block_when_its_receiver_is_full() {
    let (here, _there) = UnixDatagram::pair().unwrap();
    let directory = Directory::new("full");
    let path = directory.at("socket");
    let _full = UnixDatagram::bind(&path).unwrap();
    let socket = DatagramSocket::try_from(here).unwrap();
    assert!(!is_nonblocking(&socket));
    let to = unix(&path);
    let error = (0..10_000).find_map(|_| socket.send_to(b"x", &to).err()).expect("it takes all");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

/// Every kind of descriptor, with what its error says of it.
fn descriptors() -> Vec<(OwnedFd, &'static str)> {
    let (_, tcp) = blocking_tcp_pair();
    let idle = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let packets = Socket::new(Domain::UNIX, Type::SEQPACKET, None).unwrap();
    let idle_unix = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    let directory = Directory::new("kinds");
    let listener = UnixListener::bind(directory.at("socket")).unwrap();
    vec![
        (tcp.into(), "a TCP connection"),
        (UnixStream::pair().unwrap().0.into(), "a Unix connection"),
        (TcpListener::bind("127.0.0.1:0").unwrap().into(), "a TCP socket that listens"),
        (listener.into(), "a Unix stream socket that listens"),
        (idle.into(), "a TCP socket that is not connected"),
        (idle_unix.into(), "a Unix stream socket that is not connected"),
        (UdpSocket::bind("127.0.0.1:0").unwrap().into(), "a UDP socket"),
        (UnixDatagram::pair().unwrap().0.into(), "a Unix datagram socket"),
        (packets.into(), "a Unix socket for packets"),
        (File::open("/proc/self/status").unwrap().into(), "a regular file"),
        (File::open("/dev/null").unwrap().into(), "a character device"),
        (File::open("/").unwrap().into(), "a directory"),
        (io::pipe().unwrap().0.into(), "a pipe"),
    ]
}

/// Converts each descriptor, and checks what is refused.
fn convert_all<T>(convert: impl Fn(OwnedFd) -> io::Result<T>, wanted: &str, taken: &[&str]) {
    for (fd, what) in descriptors() {
        let number = fd.as_raw_fd();
        match convert(fd) {
            Ok(_) => assert!(taken.contains(&what), "{wanted} of {what}"),
            Err(error) => {
                assert!(!taken.contains(&what), "{error}");
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                let text = format!("descriptor {number} is not {wanted}: it is {what}");
                assert_eq!(error.to_string(), text);
            }
        }
    }
}

#[test]
fn a_descriptor_of_another_kind_is_an_error_that_says_what_it_is() {
    convert_all(
        Stream::try_from,
        "a connected stream socket",
        &["a TCP connection", "a Unix connection"],
    );
    convert_all(
        Listener::try_from,
        "a socket that listens",
        &["a TCP socket that listens", "a Unix stream socket that listens"],
    );
    convert_all(
        DatagramSocket::try_from,
        "a datagram socket",
        &["a UDP socket", "a Unix datagram socket"],
    );
    let (here, _there) = Stream::pair().unwrap();
    let number = here.as_fd().as_raw_fd();
    let error = TcpStream::try_from(here).unwrap_err();
    let text = format!("descriptor {number} is not a TCP connection: it is a Unix connection");
    assert_eq!(error.to_string(), text);
    let socket = DatagramSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(UnixDatagram::try_from(socket).unwrap_err().kind(), ErrorKind::InvalidInput);
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    assert_eq!(UnixListener::try_from(listener).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn the_file_of_a_socket_that_becomes_a_descriptor_is_left_to_its_next_owner() {
    let directory = Directory::new("left");
    let path = directory.at("socket");
    let fd = OwnedFd::from(Listener::bind(unix(&path)).unwrap());
    UnixStream::connect(&path).unwrap();
    // The next owner does not remove it unless it is told to.
    let copy = fd.try_clone().unwrap();
    drop(Listener::try_from(copy).unwrap());
    UnixStream::connect(&path).unwrap();
    let mut listener = Listener::try_from(fd).unwrap();
    listener.set_unlink_on_drop(true);
    drop(listener);
    assert!(!path.exists());

    let fd = OwnedFd::from(DatagramSocket::bind(unix(&path)).unwrap());
    assert!(path.exists());
    let mut socket = DatagramSocket::try_from(fd).unwrap();
    socket.set_unlink_on_drop(true);
    drop(socket);
    assert!(!path.exists());

    // A file that another has put there in the meantime is not the socket's own.
    let mut listener = Listener::try_from(UnixListener::bind(&path).unwrap()).unwrap();
    listener.set_unlink_on_drop(true);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "").unwrap();
    drop(listener);
    assert!(path.exists());
}
