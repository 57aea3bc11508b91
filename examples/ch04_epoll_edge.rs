//! Chapter 4, `epoll`, edge-triggered.
//!
//! Question: what is an edge, and why did my socket fall silent?
//!
//! Run: `cargo run --example ch04_epoll_edge`
//!
//! Try: let the peer send 1,024 bytes, or 4,096. Which of them does the first server lose?

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tripoll::sys::{Epoll, EpollFlags, PollFd, PollFlags, poll};

fn main() -> io::Result<()> {
    println!("edge, one read of at most 1024 bytes for each report:");
    converse(EpollFlags::ET, read_once)?;
    println!("\nlevel, the same read:");
    converse(EpollFlags::empty(), read_once)?;
    println!("\nedge, read until there is no more:");
    converse(EpollFlags::ET, read_until_would_block)
}

/// The peer sends 2,048 bytes, and before the fourth turn one more.
fn converse(trigger: EpollFlags, handler: fn(&UnixStream) -> usize) -> io::Result<()> {
    let (mine, mut theirs) = UnixStream::pair()?;
    mine.set_nonblocking(true)?;
    let epoll = Epoll::new()?;
    epoll.add(mine.as_raw_fd(), EpollFlags::IN | trigger, 0)?;

    let mut events = Vec::with_capacity(1);
    println!("    turn  sent  ready now  reported  read");
    for turn in 1..=5 {
        let sent = [2048, 0, 0, 1, 0][turn - 1];
        theirs.write_all(&vec![b'x'; sent])?;

        let ready_now = is_readable(&mine)?; // `poll` does not consume an edge
        epoll.wait(&mut events, Some(Duration::ZERO))?;
        let reported = !events.is_empty();
        let read = if reported { handler(&mine) } else { 0 };
        let stalled = if ready_now && !reported { "   <- stalled" } else { "" };
        let [ready_now, reported] = [ready_now, reported].map(|yes| if yes { "yes" } else { "-" });
        println!("    {turn:>4}  {sent:>4}  {ready_now:<9}  {reported:<8}  {read:>4}{stalled}");
    }
    Ok(())
}

fn is_readable(socket: &UnixStream) -> io::Result<bool> {
    let ready = poll(&mut [PollFd::new(socket.as_raw_fd(), PollFlags::IN)], Some(Duration::ZERO))?;
    Ok(ready == 1)
}

/// A handler that was written for a level-triggered loop.
fn read_once(mut socket: &UnixStream) -> usize {
    socket.read(&mut [0; 1024]).unwrap_or(0)
}

/// Reads until the kernel says `WouldBlock`. Only then is the next edge sure to be reported.
fn read_until_would_block(mut socket: &UnixStream) -> usize {
    let mut total = 0;
    while let Ok(count @ 1..) = socket.read(&mut [0; 1024]) {
        total += count;
    }
    total
}
