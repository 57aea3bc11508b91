//! The memory of a connection that is idle, with its idle timeout armed. The test counts what the whole
//! process allocates, so it has a process of its own.

use std::alloc::System;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tripoll::net::{Connection, Protocol, Stream, Wire};
use tripoll::{Context, Deadline, Interest, Next, Reactor, Source};

/// The system's allocator. It counts what it allocates.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Returns the number of bytes that are allocated now.
fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// A protocol without a state.
struct Silent;

impl Protocol for Silent {
    fn received(&mut self, _: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
        Ok(data.len())
    }
}

/// So many that the tables, which double, are nearly full: 2,040 descriptors with the others.
const CONNECTIONS: usize = 2_000;

/// So many of them wait for each listener. The backlog of one has 128 places.
const FOR_EACH: usize = 100;

/// Connections whose other ends wait to be accepted, and so have no descriptor. As in a server, each
/// connection has one, and its share of the tables that have descriptors as their index is one place.
struct Clients {
    streams: Vec<TcpStream>,
    _listeners: Vec<TcpListener>,
}

impl Clients {
    fn connect() -> Self {
        let listeners: Vec<_> = (0..CONNECTIONS / FOR_EACH)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let to = |listener: &TcpListener| TcpStream::connect(listener.local_addr().unwrap());
        let all = listeners.iter().flat_map(|listener| (0..FOR_EACH).map(move |_| listener));
        Clients {
            streams: all.map(|listener| to(listener).unwrap()).collect(),
            _listeners: listeners,
        }
    }
}

/// Returns the bytes of one source, with its share of all tables.
fn of_one(mut add: impl FnMut(TcpStream, &mut Context)) -> usize {
    let mut reactor = Reactor::new().unwrap(); // first: its own descriptors are low
    let mut clients = Clients::connect();
    let before = allocated();
    for stream in clients.streams.drain(..) {
        add(stream, &mut reactor.context());
        reactor.turn(Deadline::Now).unwrap(); // what is added waits in a list
    }
    assert_eq!(reactor.context().len(), CONNECTIONS);
    (allocated() - before) / CONNECTIONS
}

/// A source without more than its descriptor.
fn bare(_: &mut Source<TcpStream>, _: &mut Context) -> io::Result<Next> {
    Ok(Next::Keep)
}

const BOX: usize = size_of::<TcpStream>();

#[test]
fn an_idle_connection_is_small_and_so_is_its_timeout() {
    tripoll::sys::raise_descriptor_limit(CONNECTIONS as u64 + 100).unwrap();
    let timeout = Duration::from_secs(60);
    let source = of_one(|stream, cx| {
        cx.add(stream, Interest::READ, bare).unwrap();
    });
    let source_timed = of_one(|stream, cx| {
        let token = cx.add(stream, Interest::READ, bare).unwrap();
        cx.set_deadline(token, Some(cx.now() + timeout)).unwrap();
    });
    let plain = of_one(|stream, cx| {
        Connection::new(Silent).serve(Stream::from(stream), cx).unwrap();
    });
    let timed = of_one(|stream, cx| {
        let connection = Connection::new(Silent).idle_timeout(timeout);
        connection.serve(Stream::from(stream), cx).unwrap();
    });
    println!(
        "an idle connection: {plain} bytes; with an idle timeout: {timed} bytes; \
         of these {} and {} are the reactor's",
        source - BOX,
        source_timed - BOX,
    );
    assert!(source_timed - BOX <= MAX_REACTOR, "{source_timed} bytes");
    assert!(plain <= MAX_PLAIN, "{plain} bytes");
    assert!(timed <= MAX_TIMED, "{timed} bytes");
}

/// In bytes. The reactor's part is that of a source with a deadline.
const MAX_REACTOR: usize = 88;
const MAX_PLAIN: usize = 170;
const MAX_TIMED: usize = 200;
