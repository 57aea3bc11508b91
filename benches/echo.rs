//! An echo over TCP beside N idle connections: a line is sent, answered by a server and read back.
//!
//! Client and server are in one thread, which never sleeps. So a figure has all the work and no
//! delay; `tripoll compare --workload latency` measures the delays.

mod thread_time;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use thread_time::{ThreadTime, by_thread_time};
use tripoll::net::{Address, Connection, Listener, Protocol, Wire};
use tripoll::{Backend, Context, Deadline, Reactor, Trigger, sys};

/// What is sent, in bytes.
const LINE: [u8; 64] = [b'x'; 64];

fn echo(criterion: &mut Criterion<ThreadTime>) {
    sys::raise_descriptor_limit(4_000).expect("the descriptor limit allows it");
    for idle in [0, 100, 1_000] {
        let mut group = criterion.benchmark_group(format!("echo/beside-{idle}"));
        for &backend in Backend::ALL {
            for trigger in [Trigger::Level, Trigger::Edge] {
                group.bench_function(format!("reactor/{backend}/{trigger}"), |bencher| {
                    let (mut reactor, address) = reactor(backend, trigger);
                    let turn = || reactor.turn(Deadline::Now).map(drop);
                    let mut clients = Clients::connect(address, idle, turn);
                    bencher.iter(|| clients.echo());
                });
            }
        }
        group.bench_function("raw/mio", |bencher| {
            let mut server = MioServer::new().expect("descriptors are free");
            let address = server.listener.local_addr().expect("it is bound");
            let mut clients = Clients::connect(address, idle, || server.turn());
            bencher.iter(|| clients.echo());
        });
    }
}

struct Echo;

impl Protocol for Echo {
    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        _: &mut Context<'_>,
    ) -> io::Result<usize> {
        wire.write(data);
        Ok(data.len())
    }
}

/// Returns a reactor with an echo server in it.
fn reactor(backend: Backend, trigger: Trigger) -> (Reactor, SocketAddr) {
    let reactor = Reactor::builder().backend(backend).trigger(trigger).build();
    let mut reactor = reactor.expect("descriptors are free");
    let listener = Listener::bind("127.0.0.1:0").expect("a free port");
    let Address::Inet(address) = *listener.local_address() else {
        unreachable!("it was bound to an IP address")
    };
    let served = listener.serve(&mut reactor.context(), |stream, cx| {
        Connection::new(Echo).linger(Duration::ZERO).serve(stream, cx).map(drop)
    });
    served.expect("a listener can be watched");
    (reactor, address)
}

/// A client, beside those that are idle, and a turn of its server.
struct Clients<T> {
    client: TcpStream,
    _idle: Vec<TcpStream>,
    turn: T,
}

impl<T: FnMut() -> io::Result<()>> Clients<T> {
    /// Connects, and sends the first line, after which all are accepted.
    fn connect(to: SocketAddr, idle: usize, mut turn: T) -> Self {
        let mut connect = || {
            let client = TcpStream::connect(to).expect("the server listens");
            turn().expect("a turn");
            client
        };
        let idle = (0..idle).map(|_| connect()).collect();
        let client = connect();
        client.set_nonblocking(true).expect("a socket");
        client.set_nodelay(true).expect("a socket");
        let mut clients = Clients { client, _idle: idle, turn };
        clients.echo();
        clients
    }

    fn echo(&mut self) {
        self.client.write_all(&LINE).expect("the line is sent");
        let (mut answer, mut filled) = ([0; LINE.len()], 0);
        while filled < answer.len() {
            (self.turn)().expect("a turn");
            match self.client.read(&mut answer[filled..]) {
                Ok(0) => panic!("the server has closed"),
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// The same server over mio, as mio's own example has it.
struct MioServer {
    poll: mio::Poll,
    events: mio::Events,
    listener: mio::net::TcpListener,
    streams: Vec<mio::net::TcpStream>,
}

impl MioServer {
    const LISTENER: mio::Token = mio::Token(usize::MAX);

    fn new() -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        let mut listener = mio::net::TcpListener::bind(([127, 0, 0, 1], 0).into())?;
        poll.registry().register(&mut listener, Self::LISTENER, mio::Interest::READABLE)?;
        let events = mio::Events::with_capacity(1_024);
        Ok(MioServer { poll, events, listener, streams: Vec::new() })
    }

    fn turn(&mut self) -> io::Result<()> {
        self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        for event in &self.events {
            match event.token() {
                Self::LISTENER => {
                    let mut accept = |(mut stream, _): (mio::net::TcpStream, _)| {
                        stream.set_nodelay(true)?;
                        let token = mio::Token(self.streams.len());
                        let interest = mio::Interest::READABLE | mio::Interest::WRITABLE;
                        self.poll.registry().register(&mut stream, token, interest)?;
                        self.streams.push(stream);
                        Ok(())
                    };
                    until_blocked(|| self.listener.accept().and_then(&mut accept))?;
                }
                mio::Token(index) if event.is_readable() => {
                    let stream = &mut self.streams[index];
                    let mut data = [0; 4_096];
                    // A line has a place in the socket's buffer: the answer is never cut.
                    until_blocked(|| match stream.read(&mut data)? {
                        0 => Err(ErrorKind::WouldBlock.into()),
                        count => stream.write_all(&data[..count]),
                    })?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Repeats an operation until the kernel has nothing more.
fn until_blocked(mut operation: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        match operation() {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

criterion_group! { name = benches; config = by_thread_time(); targets = echo }
criterion_main!(benches);
