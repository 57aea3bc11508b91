//! The memory of a connection that is idle, with its idle timeout armed. The test counts what the whole
//! process allocates, so it has a process of its own.

use std::alloc::System;
use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tripoll::net::{Connection, Protocol, Stream, Wire};
use tripoll::{Context, Deadline, Reactor};

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

/// So many that the tables, which double, are nearly full.
const CONNECTIONS: usize = 2_000;

/// Returns the bytes of one connection, with its share of all tables.
fn of_one(idle_timeout: Option<Duration>) -> usize {
    let mut reactor = Reactor::new().unwrap();
    let pairs: Vec<_> = (0..CONNECTIONS).map(|_| UnixStream::pair().unwrap()).collect();
    let (ours, _theirs): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let before = allocated();
    for stream in ours.iter() {
        let stream = Stream::from(stream.try_clone().unwrap());
        let mut connection = Connection::new(Silent);
        if let Some(idle_timeout) = idle_timeout {
            connection = connection.idle_timeout(idle_timeout);
        }
        connection.serve(stream, &mut reactor.context()).unwrap();
        reactor.turn(Deadline::Now).unwrap(); // what is added waits in a list
    }
    assert_eq!(reactor.context().len(), CONNECTIONS);
    (allocated() - before) / CONNECTIONS
}

#[test]
fn an_idle_connection_is_small_and_so_is_its_timeout() {
    tripoll::sys::raise_descriptor_limit(3 * CONNECTIONS as u64 + 100).unwrap();
    let plain = of_one(None);
    let timed = of_one(Some(Duration::from_secs(60)));
    println!("an idle connection: {plain} bytes; with an idle timeout: {timed} bytes");
    assert!(plain <= MAX_PLAIN, "{plain} bytes");
    assert!(timed <= MAX_TIMED, "{timed} bytes");
}

/// In bytes.
const MAX_PLAIN: usize = 400;
const MAX_TIMED: usize = 560;
