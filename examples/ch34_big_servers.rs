//! Chapter 34, what the big servers do.
//!
//! Question: level or edge, what do well-known servers use, and what does it save?
//!
//! Run: `cargo run --example ch34_big_servers`
//!
//! Try: let the client send two small requests before the server's turn. Which column changes?

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use tripoll::sys::{Epoll, EpollFlags};

/// How a server uses epoll.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    /// Level-triggered. Asks for `OUT`, and writes when it is reported.
    AsksFirst,
    /// Level-triggered. Writes at once, and asks for `OUT` if not everything was taken.
    WritesAtOnce,
    /// Edge-triggered, both directions registered once. Reads until `WouldBlock`.
    Edge,
    /// As `Edge`, but takes a read that did not fill the buffer for the last one.
    EdgeUntilShortRead,
}

fn main() -> io::Result<()> {
    println!("{:25} for each small answer             for a large one", "");
    println!("{:25} waits  changes  reads  writes     changes", "");
    show("level, asks first", Style::AsksFirst)?;
    show("level, writes at once", Style::WritesAtOnce)?;
    show("edge, until WouldBlock", Style::Edge)?;
    show("edge, until a short read", Style::EdgeUntilShortRead)
}

struct Server {
    style: Style,
    socket: TcpStream,
    epoll: Epoll,
    output: Vec<u8>,
    asks_to_write: bool,
    calls: Calls,
}

/// How often each system call was made.
#[derive(Default)]
struct Calls {
    wait: u32,
    change: u32,
    read: u32,
    write: u32,
}

impl Server {
    /// One turn: waits, and calls what is ready.
    fn turn(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(1);
        self.calls.wait += 1;
        self.epoll.wait(&mut events, None)?;
        let flags = events[0].flags();
        if flags.contains(EpollFlags::OUT) {
            self.write()?;
        }
        if flags.contains(EpollFlags::IN) {
            self.read()?;
            if self.style != Style::AsksFirst {
                self.write()?;
            }
        }
        // An edge-triggered server has asked for both at the beginning.
        let asks_to_write = !self.output.is_empty();
        if !self.style.is_edge() && asks_to_write != self.asks_to_write {
            self.asks_to_write = asks_to_write;
            self.calls.change += 1;
            let write = if asks_to_write { EpollFlags::OUT } else { EpollFlags::empty() };
            self.epoll.modify(self.socket.as_raw_fd(), EpollFlags::IN | write, 0)?;
        }
        Ok(())
    }

    /// Reads requests, and answers each: a large one with 8 MiB, a small one with a byte.
    fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; 64];
        loop {
            self.calls.read += 1;
            match self.socket.read(&mut buffer) {
                Ok(count) => {
                    for request in &buffer[..count] {
                        let size = if *request == b'L' { LARGE } else { 1 };
                        self.output.resize(self.output.len() + size, b'.');
                    }
                    if count < buffer.len() && self.style != Style::Edge {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            self.calls.write += 1;
            match self.socket.write(&self.output) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

const LARGE: usize = 8 << 20;

impl Style {
    fn is_edge(self) -> bool {
        matches!(self, Style::Edge | Style::EdgeUntilShortRead)
    }
}

fn show(what: &str, style: Style) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (socket, epoll) = (listener.accept()?.0, Epoll::new()?);
    socket.set_nonblocking(true)?;
    let both = EpollFlags::IN | EpollFlags::OUT | EpollFlags::RDHUP | EpollFlags::ET;
    let flags = if style.is_edge() { both } else { EpollFlags::IN };
    epoll.add(socket.as_raw_fd(), flags, 0)?;
    let (output, asks_to_write) = (Vec::new(), false);
    let mut server =
        Server { style, socket, epoll, output, asks_to_write, calls: Calls::default() };
    if style.is_edge() {
        server.turn()?; // the socket is writable: the first edge
        server.calls = Calls::default();
    }

    for _ in 0..10 {
        client.write_all(b"s")?;
        let reads = server.calls.read;
        while server.calls.read == reads || !server.output.is_empty() {
            server.turn()?;
        }
        client.read_exact(&mut [0])?;
    }
    let Calls { wait, change, read, write } = std::mem::take(&mut server.calls);
    let small = [wait, change, read, write].map(|calls| calls / 10);

    client.write_all(b"L")?;
    server.turn()?;
    client.set_nonblocking(true)?;
    let (mut left, mut buffer) = (LARGE, vec![0; 1 << 20]);
    while left > 0 {
        match client.read(&mut buffer) {
            Ok(count) => left -= count,
            Err(_) if server.output.is_empty() => std::thread::yield_now(),
            Err(_) => server.turn()?,
        }
    }
    let [wait, change, read, write] = small;
    let large = server.calls.change;
    println!("{what:25} {wait:5}  {change:7}  {read:5}  {write:6}     {large:7}");
    Ok(())
}
