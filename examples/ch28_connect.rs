//! Chapter 28, a connection from this side.
//!
//! Question: when is a non-blocking `connect` connected?
//!
//! Run: `cargo run --example ch28_connect`
//!
//! Try: ask `select` before `settle`. What does it say while the connection is being made?

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;

use socket2::{Domain, Socket, Type};
use tripoll::sys::{PollFd, PollFlags, poll, select};

fn main() -> io::Result<()> {
    println!("{:20} {:12} {:16} poll reports          SO_ERROR", "", "connect", "select says");
    let listener = TcpListener::bind("127.0.0.1:0")?;
    connect("a server listens", listener.local_addr()?)?;
    // A port that is bound, and on which no program listens.
    let silent = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    silent.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    let nowhere = silent.local_addr()?.as_socket().expect("it is an IP address");
    connect("no server listens", nowhere)
}

fn connect(what: &str, address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    let begun = match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() == Some(EINPROGRESS) => "EINPROGRESS".into(),
        other => format!("{other:?}"),
    };
    settle(&socket)?;
    let fd = [socket.as_raw_fd()];
    let (r, w, e) = select(&fd, &fd, &fd, None)?;
    let mut lines = [PollFd::new(fd[0], PollFlags::all())];
    poll(&mut lines, None)?;
    let names: Vec<_> = lines[0].revents().iter_names().map(|(name, _)| name).collect();
    let outcome = socket.take_error()?.map(|error| error.kind());
    let outcome = outcome.map_or("0".into(), |kind: ErrorKind| format!("{kind:?}"));
    let lists = format!("r {}  w {}  e {}", r.len(), w.len(), e.len());
    println!("{what:20} {begun:12} {lists:16} {:21} {outcome}", names.join(" "));
    Ok(())
}

/// The number of the error "the connection is being made" on Linux.
const EINPROGRESS: i32 = 115;

/// Sleeps until the connection is made or refused.
fn settle(socket: &Socket) -> io::Result<()> {
    poll(&mut [PollFd::new(socket.as_raw_fd(), PollFlags::OUT)], None).map(drop)
}
