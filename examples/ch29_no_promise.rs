//! Chapter 29, readiness is no promise.
//!
//! Question: the kernel has reported "readable". May the read still find nothing?
//!
//! Run: `cargo run --example ch29_no_promise`
//!
//! Try: make `mine` blocking. Which line is the last one then?

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use socket2::SockRef;
use tripoll::sys::{PollFd, PollFlags, poll};

fn main() -> io::Result<()> {
    another_reader()?;
    a_client_that_changes_its_mind()?;
    less_room_than_needed()
}

/// Two processes, or two threads, share a socket. Here both are this program.
fn another_reader() -> io::Result<()> {
    println!("two readers of one socket:");
    let (mut mine, mut client) = UnixStream::pair()?;
    mine.set_nonblocking(true)?;
    let mut other = mine.try_clone()?;
    client.write_all(b"hello")?;
    println!("    poll reports: {}", ready(&mine)?);
    println!("    the other reader reads {} bytes", other.read(&mut [0; 64])?);
    println!("    our read: {}", result(mine.read(&mut [0; 64])));
    Ok(())
}

/// A client connects, and resets the connection before it is accepted.
fn a_client_that_changes_its_mind() -> io::Result<()> {
    println!("a client that has left before it is accepted:");
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    println!("    poll reports: {}", ready(&listener)?);
    SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
    drop(client); // a reset
    let accepted = listener.accept();
    println!("    our accept: {}", if accepted.is_ok() { "a connection" } else { "an error" });
    if let Ok((mut stream, _)) = accepted {
        println!("    our read: {}", result(stream.read(&mut [0; 64])));
    }
    Ok(())
}

/// A socket is writable as soon as there is some room.
fn less_room_than_needed() -> io::Result<()> {
    println!("a socket with some room:");
    let (mut mine, _client) = UnixStream::pair()?;
    mine.set_nonblocking(true)?;
    println!("    poll reports: {}", ready(&mine)?);
    let (message, mut sent) = (vec![0; 8 << 20], 0);
    let error = loop {
        match mine.write(&message[sent..]) {
            Ok(count) => sent += count,
            Err(error) => break error.kind(),
        }
    };
    println!("    of 8 MiB it takes all: {}, then: {error:?}", sent == message.len());
    Ok(())
}

fn ready(descriptor: &impl AsRawFd) -> io::Result<String> {
    let mut lines = [PollFd::new(descriptor.as_raw_fd(), PollFlags::IN | PollFlags::OUT)];
    poll(&mut lines, None)?;
    Ok(lines[0].revents().iter_names().map(|(name, _)| name).collect::<Vec<_>>().join(" "))
}

fn result(answer: io::Result<usize>) -> String {
    match answer {
        Ok(count) => format!("{count} bytes"),
        Err(error) if error.kind() == ErrorKind::WouldBlock => "WouldBlock".into(),
        Err(error) => format!("{:?}", error.kind()),
    }
}
