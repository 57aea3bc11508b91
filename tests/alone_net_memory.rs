//! The memory of an idle connection of `net`. The test counts what the whole process allocates, so it has
//! a process of its own.

use std::alloc::System;
use std::io;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use support::sockets::unix_pair;
use tripoll::net::{Connection, Protocol, Stream, Wire};
use tripoll::{Context, Deadline, Reactor};

/// The system's allocator. It counts what it allocates.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

struct Silent;

impl Protocol for Silent {
    fn received(&mut self, _: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
        Ok(data.len())
    }
}

/// So many that the tables of the reactor, which double, are full.
const COUNT: usize = 64;

/// Returns how many bytes an idle connection needs, with its share of the reactor's tables.
fn idle(set_up: impl Fn(Connection<Silent>) -> Connection<Silent>) -> usize {
    let mut reactor = Reactor::new().unwrap();
    let (streams, _others): (Vec<_>, Vec<_>) = (0..COUNT).map(|_| unix_pair()).unzip();
    let mut streams: Vec<_> = streams.into_iter().map(Stream::from).collect();
    let before = allocated();
    for stream in streams.drain(..) {
        set_up(Connection::new(Silent)).serve(stream, &mut reactor.context()).unwrap();
    }
    reactor.turn(Deadline::Now).unwrap();
    (allocated() - before) / COUNT
}

#[test]
fn an_idle_connection_is_small_with_a_timeout_and_measured_too() {
    let minute = Duration::from_secs(60);
    let plain = idle(|connection| connection);
    let timed = idle(|connection| connection.idle_timeout(minute));
    let measured = idle(|connection| connection.idle_timeout(minute).measured());
    println!("{plain} bytes, with a timeout {timed}, and measured {measured}");
    assert!(size_of::<Connection<Silent>>() <= 72);
    assert!(plain <= 376, "{plain} bytes");
    assert!(timed <= plain + 192, "{plain} bytes, with a timeout {timed}");
    assert!(measured <= timed + 72, "with a timeout {timed} bytes, and measured {measured}");
}
