//! Chapter 2, `poll`.
//!
//! Question: what does `poll` say that `select` cannot?
//!
//! Run: `cargo run --example ch02_poll`
//!
//! Try: write three bytes into the pipe before its writer leaves.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use tripoll::sys::{PollFd, PollFlags, poll, select};

fn main() -> io::Result<()> {
    println!("{:32} {:16} poll says", "", "select says");

    let (mine, mut theirs) = tcp_pair()?;
    compare("nothing has come", &mine)?;
    theirs.write_all(b"hello")?;
    sleep_until(&mine, PollFlags::IN)?;
    compare("five bytes have come", &mine)?;
    theirs.shutdown(std::net::Shutdown::Write)?;
    sleep_until(&mine, PollFlags::RDHUP)?;
    compare("the peer will send no more", &mine)?;

    let (mut mine, theirs) = tcp_pair()?;
    mine.write_all(b"nobody will read this")?;
    sleep_until(&theirs, PollFlags::IN)?;
    drop(theirs); // closed with bytes unread, for which Linux sends a reset
    sleep_until(&mine, PollFlags::empty())?;
    compare("the peer has reset", &mine)?;

    let (reader, writer) = io::pipe()?;
    drop(writer);
    compare("a pipe without a writer", &reader)?;

    let number = reader.as_raw_fd();
    drop(reader);
    compare("a number that was closed", &number)
}

/// Asks both calls, without waiting, for everything that they can report of one descriptor.
fn compare(what: &str, descriptor: &impl AsRawFd) -> io::Result<()> {
    let fd = [descriptor.as_raw_fd()];
    let lists = match select(&fd, &fd, &fd, Some(Duration::ZERO)) {
        Ok((r, w, e)) => format!("r {}  w {}  e {}", r.len(), w.len(), e.len()),
        Err(error) => format!("{:?}", error.kind()),
    };
    let mut lines = [PollFd::new(fd[0], PollFlags::all())];
    poll(&mut lines, Some(Duration::ZERO))?;
    println!("{what:32} {lists:16} {}", names(lines[0].revents()));
    Ok(())
}

fn names(flags: PollFlags) -> String {
    flags.iter_names().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
}

/// Sleeps until the descriptor is ready as the next line of the table needs it. Errors and hang-ups
/// end the sleep whatever the flags are, so the reset needs none.
fn sleep_until(descriptor: &impl AsRawFd, flags: PollFlags) -> io::Result<()> {
    poll(&mut [PollFd::new(descriptor.as_raw_fd(), flags)], None).map(drop)
}

/// Two ends of a TCP connection on this machine.
fn tcp_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let theirs = TcpStream::connect(listener.local_addr()?)?;
    Ok((listener.accept()?.0, theirs))
}
