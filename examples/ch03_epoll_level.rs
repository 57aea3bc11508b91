//! Chapter 3, `epoll`, level-triggered.
//!
//! Question: where does the list of descriptors live now, and what follows from that?
//!
//! Run: `cargo run --example ch03_epoll_level`
//!
//! Try: add `epoll.delete(number)?;` before `drop(mine)`, and see which events are reported then.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tripoll::sys::{Epoll, EpollFlags};

fn main() -> io::Result<()> {
    let epoll = Epoll::new()?;
    let mut pairs = (0..100).map(|_| UnixStream::pair()).collect::<io::Result<Vec<_>>>()?;
    for (data, (mine, _)) in (0..).zip(&pairs) {
        epoll.add(mine.as_raw_fd(), EpollFlags::IN, data)?;
    }
    ask("100 are added, none has written", &epoll)?;
    pairs[7].1.write_all(b"hello")?;
    pairs[42].1.write_all(b"hello")?;
    ask("7 and 42 have written", &epoll)?;
    ask("neither has been read", &epoll)?;
    pairs[7].0.read_exact(&mut [0; 5])?;
    ask("7 has been read", &epoll)?;
    epoll.delete(pairs[42].0.as_raw_fd())?;
    ask("42 is deleted, and still unread", &epoll)?;

    // The number is closed, but the file behind it is open under another number.
    let (mine, mut theirs) = pairs.swap_remove(7);
    let duplicate = mine.try_clone()?;
    let number = mine.as_raw_fd();
    drop(mine);
    theirs.write_all(b"anybody there?")?;
    ask("7 is closed, but for a duplicate", &epoll)?;
    println!("    its deletion is answered: {}", epoll.delete(number).unwrap_err());
    ask("7 is reported for ever", &epoll)?;
    drop(duplicate);
    ask("the duplicate is closed too", &epoll)
}

/// Asks, without waiting, and prints the reported descriptors and the length of the kernel's list.
fn ask(what: &str, epoll: &Epoll) -> io::Result<()> {
    let mut events = Vec::with_capacity(16);
    epoll.wait(&mut events, Some(Duration::ZERO))?;
    let reported: Vec<_> = events.iter().map(|event| event.data().to_string()).collect();

    let about = format!("/proc/self/fdinfo/{}", epoll.as_fd().as_raw_fd());
    let list = std::fs::read_to_string(about)?;
    let length = list.lines().filter(|line| line.starts_with("tfd:")).count();
    println!("{what:36} reported [{}], the kernel's list: {length}", reported.join(" "));
    Ok(())
}
