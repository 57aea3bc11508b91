//! Chapter 20, the interest in writing.
//!
//! Question: why does my loop use a whole processor as soon as I ask for "writable"?
//!
//! Run: `cargo run --example ch20_always_writable`
//!
//! Try: let the client send three bytes instead of one.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tripoll::sys::{Epoll, EpollFlags};

/// A server that does not sleep is stopped after this many waits.
const MOST_WAITS: u32 = 1_000;

/// When a server asks for WRITE.
#[derive(Clone, Copy, PartialEq)]
enum Asks {
    Always,
    WhileItHasOutput,
}

fn main() -> io::Result<()> {
    println!("{:44} waits  with work to do  it slept", "");
    serve("always asks for WRITE", Asks::Always, EpollFlags::empty())?;
    serve("asks while it has output", Asks::WhileItHasOutput, EpollFlags::empty())?;
    serve("always asks for WRITE, edge-triggered", Asks::Always, EpollFlags::ET)
}

/// Echoes one byte, and then goes on until a wait sleeps.
fn serve(what: &str, asks: Asks, trigger: EpollFlags) -> io::Result<()> {
    let (mut mine, mut client) = UnixStream::pair()?;
    mine.set_nonblocking(true)?;
    let epoll = Epoll::new()?;
    let flags = |wants_to_write| {
        let write = if wants_to_write { EpollFlags::OUT } else { EpollFlags::empty() };
        EpollFlags::IN | write | trigger
    };
    epoll.add(mine.as_raw_fd(), flags(asks == Asks::Always), 0)?;
    client.write_all(b"x")?;

    let (mut output, mut events) = (Vec::new(), Vec::with_capacity(1));
    let (mut waits, mut useful, mut has_slept) = (0, 0, false);
    while waits < MOST_WAITS && !has_slept {
        waits += 1;
        epoll.wait(&mut events, Some(Duration::from_millis(10)))?;
        has_slept = events.is_empty();
        let mut is_useful = false;
        for event in &events {
            if event.flags().contains(EpollFlags::IN) {
                let mut buffer = [0; 64];
                if let Ok(count) = mine.read(&mut buffer) {
                    output.extend_from_slice(&buffer[..count]);
                    is_useful = true;
                }
            }
            if event.flags().contains(EpollFlags::OUT) && !output.is_empty() {
                let count = mine.write(&output)?;
                output.drain(..count);
                is_useful = true;
            }
        }
        useful += u32::from(is_useful);
        if asks == Asks::WhileItHasOutput {
            epoll.modify(mine.as_raw_fd(), flags(!output.is_empty()), 0)?;
        }
    }
    let slept = if has_slept { "yes" } else { "no" };
    println!("{what:44} {waits:>5}  {useful:>15}  {slept:>8}");
    Ok(())
}
