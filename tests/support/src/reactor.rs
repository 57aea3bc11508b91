//! Reactors for the tests: one body for every backend and trigger, and a driver that ends.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use tripoll::reactor::Counters;
use tripoll::{Context, Deadline, Interest, Next, Reactor, Source, Token};

use crate::LONG;
use crate::faulty::without_noise;
use crate::noise::made_on_this_thread;

/// Turns `reactor` until `until` holds of its state, and returns the number of turns. More than
/// `most` turns are a failure, and so is a turn in which nothing happens. Each fault that a selector
/// makes at random may cost a turn more.
pub fn drive<S: 'static>(
    reactor: &mut Reactor<S>,
    most: u64,
    mut until: impl FnMut(&mut S) -> bool,
) -> u64 {
    let (mut turns, faults) = (0, made_on_this_thread());
    while turns <= most + (made_on_this_thread() - faults) {
        if until(reactor.state_mut()) {
            return turns;
        }
        turns += 1;
        let began = Instant::now();
        reactor.turn(Deadline::after(LONG)).unwrap();
        assert!(
            began.elapsed() < LONG,
            "stalled in turn {turns}: {:?}",
            reactor.context().counters()
        );
    }
    panic!("not so after {turns} turns: {:?}", reactor.context().counters());
}

/// Asserts that a turn has no event, calls no handler, and blocks until its deadline. A selector
/// that makes noise stops making it meanwhile.
pub fn assert_quiet<S: 'static>(reactor: &mut Reactor<S>) {
    without_noise(|| {
        for _ in 0..if made_on_this_thread() > 0 { 10 } else { 0 } {
            reactor.turn(Deadline::Now).unwrap(); // what is late is reported
        }
        assert_silent(reactor);
    });
}

fn assert_silent<S: 'static>(reactor: &mut Reactor<S>) {
    let (before, began, asked) =
        (reactor.context().counters(), Instant::now(), Duration::from_millis(2));
    assert_eq!(reactor.turn(Deadline::after(asked)).unwrap(), 0, "a handler was called");
    let after = reactor.context().counters();
    assert_eq!(after.events, before.events, "an event was reported");
    assert!(began.elapsed() >= asked, "came back early, after {:?}", began.elapsed());
    let waits = after.waits - before.waits;
    assert!((1..=2).contains(&waits), "{waits} system calls for one turn"); // one may ask first
}

/// Turns until the kernel reports no more events, none of which calls a handler. By edge, readiness
/// that is not in the interest is reported when a source is added or its interest changes.
pub fn let_settle<S: 'static>(reactor: &mut Reactor<S>) {
    without_noise(|| {
        for _ in 0..10 {
            let before = reactor.context().counters().events;
            assert_eq!(reactor.turn(Deadline::Now).unwrap(), 0, "a handler was called");
            if reactor.context().counters().events == before {
                return;
            }
        }
        panic!("it spins: {:?}", reactor.context().counters());
    });
}

/// Returns by how much a counter has grown.
pub fn grown(after: Counters, before: Counters, count: impl Fn(Counters) -> u64) -> u64 {
    count(after) - count(before)
}

/// A handler that reads into the state, and removes its source at the end of the stream.
pub fn collect<F: Read>(source: &mut Source<F>, cx: &mut Context<Vec<u8>>) -> io::Result<Next> {
    let mut buffer = [0; 4_096];
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(Next::Remove),
            n => cx.state.extend_from_slice(&buffer[..n]),
        }
    }
}

/// Returns a handler that sends back what it reads, and removes its source when all is sent back.
pub fn echo<F: Read + Write, S: 'static>()
-> impl FnMut(&mut Source<F>, &mut Context<S>) -> io::Result<Next> {
    let mut unsent = Vec::new();
    move |client, _| {
        loop {
            client.set_interest(Interest::WRITE);
            while !unsent.is_empty() {
                let sent = client.write(&unsent)?;
                unsent.drain(..sent);
            }
            client.set_interest(Interest::READ);
            let mut buffer = [0; 4_096];
            match client.read(&mut buffer)? {
                0 => return Ok(Next::Remove),
                n => unsent.extend_from_slice(&buffer[..n]),
            }
        }
    }
}

/// Adds a source, which must succeed.
pub fn add<S: 'static, F: AsFd + 'static>(
    reactor: &mut Reactor<S>,
    source: F,
    interest: Interest,
    handler: impl FnMut(&mut Source<F>, &mut Context<S>) -> io::Result<Next> + 'static,
) -> Token {
    reactor.context().add(source, interest, handler).unwrap()
}

/// Makes a panic show the kind of stream.
pub fn on(kind: &str) -> crate::Context {
    crate::Context(format!("on a {kind} stream"))
}
