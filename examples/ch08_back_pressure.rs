//! Chapter 8, partial writes and back-pressure.
//!
//! Question: what if the client does not read?
//!
//! Run: `cargo run --example ch08_back_pressure`
//!
//! Try: `Watermarks::new(MIB, 4 * MIB, MUCH)` in place of the default ones.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tripoll::net::{Address, Connection, Listener, Protocol, Watermarks, Wire};
use tripoll::{Context, Deadline, Reactor};

const MIB: usize = 1 << 20;
const MUCH: usize = 32 * MIB;
/// Longer than the kernel takes to carry bytes from one socket to another.
const MOMENT: Duration = Duration::from_millis(300);

fn main() -> io::Result<()> {
    println!("a client sends 32 MiB to an echo server, and reads nothing of the answer:\n");
    let unbounded = Watermarks::new(MUCH, MUCH + 1, 2 * MUCH);
    converse("no watermark", unbounded)?;
    converse("the default watermarks", Watermarks::default())
}

fn converse(what: &str, marks: Watermarks) -> io::Result<()> {
    println!("{what}:");
    let mut reactor = Reactor::builder().build_with(Kept::default())?;
    let listener = Listener::bind("127.0.0.1:0")?;
    let Address::Inet(address) = *listener.local_address() else { unreachable!() };
    listener.serve(&mut reactor.context(), move |client, cx| {
        Connection::new(Echo).watermarks(marks).serve(client, cx)?;
        Ok(())
    })?;
    let connect = || -> io::Result<TcpStream> {
        let client = TcpStream::connect(address)?;
        client.set_nonblocking(true)?;
        Ok(client)
    };

    // Client and server share one thread: when the client would block, the server's loop turns.
    let mut silent = connect()?;
    let message = vec![b'x'; MUCH];
    let (mut sent, mut has_sent_a_part, mut is_quiet) = (0, false, false);
    while sent < MUCH {
        match silent.write(&message[sent..]) {
            Ok(count) => {
                sent += count;
                has_sent_a_part |= sent < MUCH;
                is_quiet = false;
            }
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) if is_quiet => break, // the client waits for the server, and the server for it
            Err(_) => is_quiet = reactor.turn(Deadline::after(MOMENT))? == 0,
        }
    }
    quiet(&mut reactor)?;
    let kept = reactor.state().now;
    println!("    one write sends only a part:  {}", yes(has_sent_a_part));
    println!("    the client could send it all: {}", yes(sent == MUCH));
    println!("    the server keeps:             {}", roughly(kept));

    // A second client.
    let mut other = connect()?;
    other.write_all(b"hello")?;
    println!("    another client is served:     {}", yes(received(&mut other, 5, &mut reactor)?));

    // Now the silent client reads. All that it has sent comes back.
    let all = received(&mut silent, sent, &mut reactor)?;
    println!("    it reads, and gets all back:  {}", yes(all));
    println!("    the server keeps:             {}\n", roughly(reactor.state().now));
    Ok(())
}

/// The size of the server's write buffer for the silent client.
#[derive(Default)]
struct Kept {
    now: usize,
}

struct Echo;

impl Protocol<Kept> for Echo {
    fn received(
        &mut self,
        client: &mut Wire,
        data: &[u8],
        cx: &mut Context<Kept>,
    ) -> io::Result<usize> {
        cx.state.now = client.unsent(); // what is kept of earlier answers
        client.write(data);
        Ok(data.len())
    }

    fn drained(&mut self, client: &mut Wire, cx: &mut Context<Kept>) -> io::Result<()> {
        cx.state.now = client.unsent();
        Ok(())
    }
}

/// Turns until there is nothing to do.
fn quiet(reactor: &mut Reactor<Kept>) -> io::Result<()> {
    while reactor.turn(Deadline::Now)? > 0 {}
    Ok(())
}

/// Reads `count` bytes while the server serves. Returns `false` if the connection ends before.
fn received(client: &mut TcpStream, count: usize, reactor: &mut Reactor<Kept>) -> io::Result<bool> {
    let mut buffer = vec![0; MIB];
    let mut left = count;
    while left > 0 {
        match client.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => left -= count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                reactor.turn(Deadline::Now)?;
            }
            Err(error) => return Err(error),
        }
    }
    quiet(reactor)?;
    Ok(true)
}

fn yes(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

fn roughly(bytes: usize) -> &'static str {
    match bytes {
        0 => "nothing",
        _ if bytes < MIB / 4 => "less than 256 KiB",
        _ if bytes > 8 * MIB => "more than 8 MiB",
        _ => "something in between",
    }
}
