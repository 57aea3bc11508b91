//! Chapter 27, two threads and one descriptor.
//!
//! Question: two threads wait with the same epoll. Do both get the same client?
//!
//! Run: `cargo run --example ch27_one_shot`
//!
//! Try: `EpollFlags::ET` instead of `ONESHOT`. Why is that not enough?

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tripoll::sys::{Epoll, EpollFlags};

fn main() -> io::Result<()> {
    println!("level-triggered:");
    two_workers(EpollFlags::IN)?;
    println!("one-shot:");
    two_workers(EpollFlags::IN | EpollFlags::ONESHOT)
}

/// Two workers take turns here, in one thread, so that each run prints the same. With two threads the
/// kernel gives the same answers.
fn two_workers(flags: EpollFlags) -> io::Result<()> {
    let (mut mine, mut client) = UnixStream::pair()?;
    mine.set_nonblocking(true)?;
    let epoll = Epoll::new()?;
    epoll.add(mine.as_raw_fd(), flags, 0)?;

    client.write_all(b"hel")?;
    println!("    \"hel\" has come:              worker 1 {}", ask(&epoll)?);
    println!("    worker 1 has not read yet:   worker 2 {}", ask(&epoll)?);
    mine.read_exact(&mut [0; 3])?;
    client.write_all(b"lo")?;
    println!("    1 has read; \"lo\" has come:   worker 2 {}", ask(&epoll)?);
    epoll.modify(mine.as_raw_fd(), flags, 0)?; // worker 1 is done with this client
    println!("    worker 1 arms it again:      worker 2 {}", ask(&epoll)?);
    Ok(())
}

fn ask(epoll: &Epoll) -> io::Result<&'static str> {
    let mut events = Vec::with_capacity(1);
    epoll.wait(&mut events, Some(Duration::ZERO))?;
    Ok(if events.is_empty() { "gets nothing" } else { "gets the client" })
}
