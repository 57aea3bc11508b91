//! Sockets for the tests, and short forms of what the tests do with them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, listen, socket_with};
use tripoll::sys::{self, PollFd, PollFlags};

use crate::LONG;

/// Two ends of a Unix stream, neither of which blocks.
pub fn unix_pair() -> (UnixStream, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (one, other)
}

/// Two ends of a TCP connection over the loopback device, neither of which blocks.
pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let (accepted, connected) = blocking_tcp_pair();
    accepted.set_nonblocking(true).unwrap();
    connected.set_nonblocking(true).unwrap();
    (connected, accepted)
}

/// The accepted end of a TCP connection and the one that has connected. Both block.
pub fn blocking_tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0, connected)
}

/// Reads until the stream would block or ends.
pub fn drain(mut stream: impl Read) {
    let mut buffer = [0; 4_096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits until `fd` is in one of the states `flags`, hung up or in error: a change at the other end
/// of a TCP connection takes a moment to arrive.
pub fn settle(fd: &impl AsRawFd, flags: PollFlags) {
    let mut fds = [PollFd::new(fd.as_raw_fd(), flags)];
    assert_eq!(sys::poll(&mut fds, Some(LONG)).unwrap(), 1, "{flags:?} never came");
}

/// Returns a duplicate of `fd` whose number is used for nothing else in this process, not even
/// after it is closed. (The kernel takes the lowest free number, and tests run side by side.)
pub fn with_own_number(fd: &impl AsFd) -> OwnedFd {
    static NEXT: AtomicI32 = AtomicI32::new(2_000);
    with_number(fd, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Returns a duplicate of `fd` with the given number, which must be free.
pub fn with_number(fd: &impl AsFd, number: RawFd) -> OwnedFd {
    let limit = sys::raise_descriptor_limit(10_000).unwrap();
    assert!(limit.soft > number as u64, "descriptor {number} needs a higher limit than {limit:?}");
    let duplicate = rustix::io::fcntl_dupfd_cloexec(fd, number).unwrap();
    assert_eq!(duplicate.as_raw_fd(), number, "the number is taken");
    duplicate
}

/// Returns the number of a descriptor that has been closed.
pub fn closed_number() -> RawFd {
    with_own_number(&io::stdin()).as_raw_fd()
}

/// Reads to the end.
pub fn read_all(mut stream: impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    all
}

/// Sends `data` and reads as many bytes.
pub fn exchange(mut stream: impl Read + Write, data: &[u8]) -> Vec<u8> {
    stream.write_all(data).unwrap();
    read_exactly(stream, data.len())
}

pub fn read_exactly(mut stream: impl Read, count: usize) -> Vec<u8> {
    let mut answer = vec![0; count];
    stream.read_exact(&mut answer).unwrap();
    answer
}

/// Closes a connection with a reset.
pub fn reset(client: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    drop(client);
}

/// A TCP server that does not answer: its backlog is full, and the kernel drops what comes.
#[derive(Debug)]
pub struct Silent {
    pub address: SocketAddr,
    pub listener: TcpListener,
    /// What fills the backlog.
    pub clients: Vec<OwnedFd>,
}

impl Silent {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listen(&listener, 0).unwrap(); // room for one
        let address = listener.local_addr().unwrap();
        let (family, flags) = (AddressFamily::INET, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC);
        let fill = || {
            let socket = socket_with(family, SocketType::STREAM, flags, None).unwrap();
            let _ = connect(&socket, &address); // in progress
            socket
        };
        let clients = (0..4).map(|_| fill()).collect();
        Silent { address, listener, clients }
    }
}
