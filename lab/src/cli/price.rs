//! `tripoll price`: what a request, a connection and a timer cost, in a process that does nothing else.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tripoll::net::{Address, Closed, Connection, Listener, Protocol, Wire};
use tripoll::{Backend, Context, Deadline, Reactor, Trigger};

use super::failure::Failure;
use super::output::print;

/// What is done again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Item {
    /// A request over one of 64 open connections, and its answer
    Request,
    /// A connection that is accepted, receives a byte and is closed by its client
    Connection,
    /// A timer that is set, and fires with all the others
    Timer,
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Price {
    pub(super) item: Item,
    pub(super) count: u64,
    pub(super) backend: Backend,
    pub(super) trigger: Trigger,
}

const CONNECTIONS: usize = 64;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: example\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

pub(super) fn run(price: Price) -> Result<(), Failure> {
    let mut reactor = Reactor::builder()
        .backend(price.backend)
        .trigger(price.trigger)
        .build_with(State::default())?;
    let start = Sample::take();
    match price.item {
        Item::Request => requests(price.count, &mut reactor)?,
        Item::Connection => connections(price.count, &mut reactor)?,
        Item::Timer => timers(price.count, &mut reactor)?,
    }
    print(&Report { count: price.count, start, end: Sample::take() }.to_string())
}

/// What the connections count.
#[derive(Default)]
struct State {
    opened: u64,
    answered: u64,
    closed: u64,
    fired: u64,
}

/// Answers each request. It has no parser: a request is what ends with an empty line.
struct Answers;

impl Protocol<State> for Answers {
    fn opened(&mut self, _: &mut Wire, cx: &mut Context<State>) -> io::Result<()> {
        cx.state.opened += 1;
        Ok(())
    }

    fn received(
        &mut self,
        wire: &mut Wire,
        data: &[u8],
        cx: &mut Context<State>,
    ) -> io::Result<usize> {
        if data.ends_with(b"\r\n\r\n") {
            wire.write(ANSWER);
        }
        cx.state.answered += 1;
        Ok(data.len())
    }

    fn closed(&mut self, _: &Closed, cx: &mut Context<State>) {
        cx.state.closed += 1;
    }
}

/// Adds a listener whose connections answer. Returns its address.
fn listen(reactor: &mut Reactor<State>) -> io::Result<SocketAddr> {
    let listener = Listener::bind("127.0.0.1:0")?;
    let Address::Inet(address) = *listener.local_address() else { unreachable!("it is TCP") };
    listener.serve(&mut reactor.context(), |stream, cx| {
        Connection::new(Answers).serve(stream, cx).map(|_| ())
    })?;
    Ok(address)
}

/// Runs turns until as much was counted.
fn until(reactor: &mut Reactor<State>, count: u64, counted: fn(&State) -> u64) -> io::Result<()> {
    while counted(reactor.state()) < count {
        reactor.turn(Deadline::Never)?;
    }
    Ok(())
}

fn requests(count: u64, reactor: &mut Reactor<State>) -> io::Result<()> {
    let address = listen(reactor)?;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(TcpStream::connect(address)?);
    }
    let mut sent = 0;
    while sent < count {
        for client in &mut clients {
            client.write_all(REQUEST)?;
            sent += 1;
        }
        until(reactor, sent, |state| state.answered)?;
        for client in &mut clients {
            client.read_exact(&mut [0; ANSWER.len()])?;
        }
    }
    Ok(())
}

fn connections(count: u64, reactor: &mut Reactor<State>) -> io::Result<()> {
    let address = listen(reactor)?;
    for number in 1..=count {
        let mut client = TcpStream::connect(address)?;
        until(reactor, number, |state| state.opened)?;
        client.write_all(b"x")?;
        until(reactor, number, |state| state.answered)?;
        drop(client);
        until(reactor, number, |state| state.closed)?;
    }
    Ok(())
}

fn timers(count: u64, reactor: &mut Reactor<State>) -> io::Result<()> {
    let mut cx = reactor.context();
    let start = cx.now();
    for number in 0..count {
        // Spread by a multiplication: neither in order nor against it. All are due at once.
        let nanos = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        cx.set_timer(start - Duration::from_nanos(nanos), |cx| cx.state.fired += 1);
    }
    until(reactor, count, |state| state.fired)
}

/// When, and how much of the processor was used until then.
struct Sample {
    at: Instant,
    processor: Duration,
}

impl Sample {
    fn take() -> Self {
        let processor = clock_gettime(ClockId::ProcessCPUTime);
        let processor = Duration::new(processor.tv_sec as u64, processor.tv_nsec as u32);
        Sample { at: Instant::now(), processor }
    }
}

/// The figures as they are printed.
struct Report {
    count: u64,
    start: Sample,
    end: Sample,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = |time: Duration| time.as_nanos() as f64 / self.count as f64;
        let wall = each(self.end.at - self.start.at);
        let processor = each(self.end.processor - self.start.processor);
        writeln!(f, "ns={wall:.1} cpu_ns={processor:.1}")
    }
}
