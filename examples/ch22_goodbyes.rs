//! Chapter 22, the ways in which a conversation ends.
//!
//! Question: a read of 0, `EAGAIN`, `RDHUP`, `HUP`, `ERR`: which is what?
//!
//! Run: `cargo run --example ch22_goodbyes`
//!
//! Try: let the peer that closes leave a byte unread.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use tripoll::sys::{PollFd, PollFlags, poll};

fn main() -> io::Result<()> {
    println!("{:26} {:24} {:16} a write", "", "poll reports", "a read");

    let (mine, _theirs) = tcp_pair()?;
    show("nothing has come", &mine, PollFlags::OUT)?;

    let (mine, mut theirs) = tcp_pair()?;
    theirs.write_all(b"hello")?;
    show("five bytes have come", &mine, PollFlags::IN)?;

    let (mine, theirs) = tcp_pair()?;
    theirs.shutdown(Shutdown::Write)?;
    show("the peer half-closes", &mine, PollFlags::RDHUP)?;
    show("    once more", &mine, PollFlags::RDHUP)?;
    drop(theirs);

    let (mine, theirs) = tcp_pair()?;
    drop(theirs);
    show("the peer closes", &mine, PollFlags::RDHUP)?;
    sleep_until(&mine, PollFlags::empty())?; // the peer's kernel refuses what was written
    show("    once more", &mine, PollFlags::empty())?;

    let (mut mine, theirs) = tcp_pair()?;
    mine.write_all(b"nobody reads this")?;
    sleep_until(&theirs, PollFlags::IN)?;
    drop(theirs); // closed with bytes unread, for which Linux sends a reset
    show("the peer resets", &mine, PollFlags::empty())?;
    show("    once more", &mine, PollFlags::empty())
}

/// Sleeps until `poll` reports one of the flags, an error or a hang-up. Then asks `poll` for
/// everything, reads, and writes.
fn show(what: &str, mine: &TcpStream, until: PollFlags) -> io::Result<()> {
    sleep_until(mine, until)?;
    let mut lines = [PollFd::new(mine.as_raw_fd(), PollFlags::all())];
    poll(&mut lines, Some(Duration::ZERO))?;
    let names: Vec<_> = lines[0].revents().iter_names().map(|(name, _)| name).collect();

    let mut stream = mine;
    stream.set_nonblocking(true)?;
    let read = result(stream.read(&mut [0; 64]));
    let write = result(stream.write(b"x"));
    println!("{what:26} {:24} {read:16} {write}", names.join(" "));
    Ok(())
}

fn result(answer: io::Result<usize>) -> String {
    match answer {
        Ok(count) => count.to_string(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

fn sleep_until(stream: &TcpStream, flags: PollFlags) -> io::Result<()> {
    poll(&mut [PollFd::new(stream.as_raw_fd(), flags)], None).map(drop)
}

/// Two ends of a TCP connection on this machine.
fn tcp_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let theirs = TcpStream::connect(listener.local_addr()?)?;
    Ok((listener.accept()?.0, theirs))
}
