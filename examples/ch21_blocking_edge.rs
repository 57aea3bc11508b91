//! Chapter 21, why an edge needs a non-blocking descriptor.
//!
//! Question: `epoll` said "ready". How can the read block?
//!
//! Run: `cargo run --example ch21_blocking_edge`
//!
//! Try: let the server read once for each event. When is bob answered then, and what is wrong now?

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use tripoll::sys::{Epoll, EpollFlags, PollFd, PollFlags, poll};

fn main() -> io::Result<()> {
    for (what, is_nonblocking) in [("blocking", false), ("non-blocking", true)] {
        println!("{what} descriptors:");
        let (ann, mut at_ann) = UnixStream::pair()?;
        let (bob, mut at_bob) = UnixStream::pair()?;
        for client in [&ann, &bob] {
            client.set_nonblocking(is_nonblocking)?;
        }
        let server = thread::spawn(move || serve(&[ann, bob]));

        at_ann.write_all(b"hello")?;
        println!("    ann is answered: {}", is_answered(&at_ann)?);
        at_bob.write_all(b"hello")?;
        println!("    bob is answered: {}", is_answered(&at_bob)?);
        at_ann.read_exact(&mut [0; 5])?;
        drop(at_ann);
        println!("    ann leaves, and bob is answered: {}", is_answered(&at_bob)?);
        at_bob.read_exact(&mut [0; 5])?;
        drop(at_bob);
        server.join().expect("it does not panic")?;
    }
    Ok(())
}

/// Echoes, edge-triggered: after each event it reads until there is no more. Returns when both
/// clients have left.
fn serve(clients: &[UnixStream]) -> io::Result<()> {
    let epoll = Epoll::new()?;
    for (index, client) in (0..).zip(clients) {
        epoll.add(client.as_raw_fd(), EpollFlags::IN | EpollFlags::ET, index)?;
    }
    let (mut left, mut events) = (0, Vec::with_capacity(8));
    while left < clients.len() {
        epoll.wait(&mut events, None)?;
        for event in &events {
            let mut client = &clients[event.data() as usize];
            let mut buffer = [0; 1024];
            loop {
                match client.read(&mut buffer) {
                    Ok(0) => break left += 1,
                    Ok(count) => _ = client.write(&buffer[..count]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(())
}

/// Returns whether an answer arrives soon. It stays unread.
fn is_answered(client: &UnixStream) -> io::Result<&'static str> {
    let mut line = [PollFd::new(client.as_raw_fd(), PollFlags::IN)];
    let is_readable = poll(&mut line, Some(Duration::from_millis(500)))? == 1;
    Ok(if is_readable { "yes" } else { "no" })
}
