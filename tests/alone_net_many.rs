//! As many connections in one reactor as a process may have descriptors, on every backend.
//!
//! The server is this program again: its limit of descriptors is its own, and so is its memory.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::{env, fs};

use support::LONG;
use support::program::{self, Program};
use tripoll::net::{Connection, Listener, Protocol, Wire};
use tripoll::{Backend, Context, Interest, Next, Reactor, Trigger};

/// The hard limit of descriptors is often 20,000. The server needs a few for itself.
const CONNECTIONS: usize = 19_000;

/// A client's port serves once for each port of the server, and there are some 28,000.
const PORTS: usize = 4;

/// So many clients ask at the same time.
const AT_ONCE: usize = 1_000;

/// What an idle connection may cost in the server's memory, its place in all tables included.
const MOST_BYTES: usize = 1_024;

const ROLES: &[(&str, fn())] = &[("echo", echo)];

const TESTS: &[(&str, fn())] = &[(
    "nineteen_thousand_connections_echo_in_one_reactor",
    nineteen_thousand_connections_echo_in_one_reactor,
)];

fn main() {
    program::main(ROLES, TESTS);
}

struct Echo;

impl Protocol for Echo {
    fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
        wire.write(data);
        Ok(data.len())
    }
}

/// Serves until standard input ends. At each byte of it, prints how many connections there are, and
/// how many bytes of memory the process has.
fn echo() {
    tripoll::sys::raise_descriptor_limit(CONNECTIONS as u64 + 100).unwrap();
    let variable = |name| env::var(name).unwrap();
    let mut reactor = Reactor::builder()
        .backend(variable("BACKEND").parse().unwrap())
        .trigger(variable("TRIGGER").parse().unwrap())
        .build()
        .unwrap();
    let mut cx = reactor.context();
    for _ in 0..PORTS {
        let listener = Listener::builder().accepts_per_turn(1_000).bind("127.0.0.1:0").unwrap();
        println!("listening on {}", listener.local_address());
        let accepted = |stream, cx: &mut Context| Connection::new(Echo).serve(stream, cx).map(drop);
        listener.serve(&mut cx, accepted).unwrap();
    }
    cx.add_fn(io::stdin(), Interest::READ, |source, cx| {
        if source.try_io(Interest::READ, |stdin| stdin.read(&mut [0]))? == 0 {
            cx.stop();
            return Ok(Next::Remove);
        }
        println!("{} {}", cx.len() - 1 - PORTS, memory());
        Ok(Next::Keep)
    })
    .unwrap();
    reactor.run().unwrap();
    println!("ended");
}

/// Returns the resident memory of this process, in bytes.
fn memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1_024
}

fn nineteen_thousand_connections_echo_in_one_reactor() {
    let limit = tripoll::sys::raise_descriptor_limit(CONNECTIONS as u64 + 200).unwrap();
    let most = usize::try_from(limit.soft).unwrap() - 200;
    if most < CONNECTIONS {
        println!("the limit of descriptors allows {most} connections of {CONNECTIONS}");
    }
    for &backend in Backend::ALL {
        let triggers = if backend == Backend::Epoll { 2 } else { 1 };
        for trigger in [Trigger::Level, Trigger::Edge].into_iter().take(triggers) {
            println!("{backend}, {trigger}-triggered");
            echo_from_each(backend, trigger, CONNECTIONS.min(most));
        }
    }
}

fn echo_from_each(backend: Backend, trigger: Trigger, count: usize) {
    let mut server = Program::start("echo", backend, trigger);
    let addresses: Vec<_> = (0..PORTS).map(|_| server.address().to_string()).collect();
    let before = figures(&mut server).1;
    let clients: Vec<_> = (0..count)
        .map(|index| {
            let client = TcpStream::connect(&addresses[index % PORTS]).unwrap();
            client.set_read_timeout(Some(LONG)).unwrap();
            client
        })
        .collect();
    for round in 0..2 {
        for (part, clients) in clients.chunks(AT_ONCE).enumerate() {
            let text = |index: usize| format!("{round} {part} {index}\n");
            for (index, mut client) in clients.iter().enumerate() {
                client.write_all(text(index).as_bytes()).unwrap();
            }
            for (index, mut client) in clients.iter().enumerate() {
                let mut answer = vec![0; text(index).len()];
                client.read_exact(&mut answer).unwrap();
                assert_eq!(answer, text(index).as_bytes());
            }
        }
    }
    let (open, after) = figures(&mut server);
    assert_eq!(open, count);
    let each = after.saturating_sub(before) / count;
    assert!(each <= MOST_BYTES, "{each} bytes for each idle connection");
    drop(clients);
    let mut tries = 0;
    while figures(&mut server).0 > 0 {
        tries += 1; // each takes a turn at least
        assert!(tries < 100_000, "connections are left");
    }
    assert_eq!(server.end(), "");
}

/// Asks the server how many connections and bytes it has.
fn figures(server: &mut Program) -> (usize, usize) {
    server.stdin.as_mut().unwrap().write_all(b"?").unwrap();
    let line = server.line();
    let (open, bytes) = line.split_once(' ').expect("two figures");
    (open.parse().unwrap(), bytes.parse().unwrap())
}
