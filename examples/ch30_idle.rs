//! Chapter 30, timers and idle timeouts.
//!
//! Question: how does a server close ten thousand silent clients, each a minute after its last byte?
//!
//! Run: `cargo run --example ch30_idle`
//!
//! Try: let bob send a byte every 59 seconds. What does such a client cost, and what ends it?

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tripoll::net::{Closed, Connection, Protocol, Stream, Wire};
use tripoll::reactor::ManualClock;
use tripoll::{Context, Deadline, Reactor};

const IDLE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_secs(30);

/// The names of the clients that were closed since the last line.
type Names = Vec<&'static str>;

/// A client with a deadline a minute after its last byte.
struct Idle {
    name: &'static str,
}

impl Idle {
    fn postpone(wire: &Wire, cx: &mut Context<Names>) -> io::Result<()> {
        let at = cx.now() + IDLE;
        cx.set_deadline(wire.token(), Some(at))
    }
}

impl Protocol<Names> for Idle {
    fn opened(&mut self, wire: &mut Wire, cx: &mut Context<Names>) -> io::Result<()> {
        Self::postpone(wire, cx)
    }

    fn received(
        &mut self,
        wire: &mut Wire,
        data: &[u8],
        cx: &mut Context<Names>,
    ) -> io::Result<usize> {
        Self::postpone(wire, cx)?;
        Ok(data.len())
    }

    fn timed_out(&mut self, wire: &mut Wire, _: &mut Context<Names>) -> io::Result<()> {
        wire.abort();
        Ok(())
    }

    fn closed(&mut self, _: &Closed, cx: &mut Context<Names>) {
        cx.state.push(self.name);
    }
}

fn main() -> io::Result<()> {
    let clock = ManualClock::new(); // so that nobody has to wait for a minute
    let mut reactor = Reactor::builder().clock(clock.clone()).build_with(Names::new())?;
    let mut clients = Vec::new();
    for name in ["ann", "bob", "cy"] {
        let (mine, client) = UnixStream::pair()?;
        Connection::new(Idle { name }).serve(Stream::from(mine), &mut reactor.context())?;
        clients.push(client);
    }
    turn(&mut reactor)?;
    println!("seconds  sends  closed   timers left");
    for (step, sender) in (1..).zip([Some(0), Some(0), None, None]) {
        clock.advance(STEP);
        turn(&mut reactor)?;
        let sends = sender.map_or("-", |index: usize| ["ann", "bob", "cy"][index]);
        if let Some(index) = sender {
            clients[index].write_all(b"x")?;
            turn(&mut reactor)?;
        }
        let closed = std::mem::take(reactor.state_mut()).join(" ");
        let closed = if closed.is_empty() { "-" } else { &closed };
        let timers = reactor.context().timers();
        println!("{:>7}  {sends:5}  {closed:7}  {timers:>11}", step * STEP.as_secs());
    }
    Ok(())
}

/// Turns the loop until there is nothing left to do at this time.
fn turn(reactor: &mut Reactor<Names>) -> io::Result<()> {
    for _ in 0..4 {
        reactor.turn(Deadline::Now)?;
    }
    Ok(())
}
