//! Options and points in time with the least and the greatest values. On every backend and trigger.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use support::{LONG, on_every_pair};
use tripoll::reactor::Budget;
use tripoll::{Context, Deadline, Interest, Next, Source};

/// Returns the latest point in time that the clock can express, to the second.
fn end_of_time() -> Instant {
    let (mut at, mut step) = (Instant::now(), Duration::from_secs(1 << 63));
    while step >= Duration::from_secs(1) {
        at = at.checked_add(step).unwrap_or(at);
        step /= 2;
    }
    at
}

fn read(stream: &mut Source<'_, UnixStream>, cx: &mut Context<'_, Vec<u8>>) -> io::Result<Next> {
    let mut buffer = [0; 100];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            cx.stop();
            return Ok(Next::Remove);
        }
        cx.state.extend_from_slice(&buffer[..count]);
    }
}

#[test]
fn a_reactor_takes_the_least_and_the_greatest_budgets_and_capacities() {
    on_every_pair(|pair| {
        for (count, capacity) in [(0, 0), (1, 1), (u32::MAX, usize::MAX)] {
            let builder =
                pair.builder().budget(Budget::new(count, count)).events_capacity(capacity);
            let mut reactor = pair.build(builder, Vec::new());
            let (here, mut there) = UnixStream::pair().unwrap();
            reactor.context().add(here, Interest::READ, read).unwrap();
            there.write_all(&[7; 1_000]).unwrap();
            drop(there);
            reactor.run().unwrap();
            assert_eq!(*reactor.state(), [7; 1_000]);
        }
    });
}

#[test]
fn what_is_due_at_the_end_of_time_delays_nothing() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (here, _there) = UnixStream::pair().unwrap();
        let token = reactor.context().add(here, Interest::READ, read).unwrap();
        let end = end_of_time();
        let mut cx = reactor.context();
        let last = cx.set_timer(end, |_| panic!("the end of time has come"));
        cx.set_deadline(token, Some(end)).unwrap();
        // With nothing nearer, the wait lasts until the loop is woken.
        for (number, deadline) in
            [Deadline::At(end), Deadline::after(Duration::MAX)].into_iter().enumerate()
        {
            let handle = reactor.handle();
            let waker = std::thread::spawn(move || {
                handle.post(|cx| cx.state.push(1)).unwrap();
            });
            while reactor.state().len() == number {
                reactor.turn(deadline).unwrap();
            }
            waker.join().unwrap();
        }
        // A timer that is nearer fires.
        let soon = Instant::now() + Duration::from_millis(1);
        reactor.context().set_timer(soon, |cx| cx.state.push(2));
        while reactor.state().len() < 3 {
            reactor.turn(Deadline::Never).unwrap();
        }
        assert!(reactor.context().cancel_timer(last));
        // The end of a shutdown that is as far away does not come before its time.
        reactor.context().shutdown(Duration::MAX);
        reactor.run().unwrap();
        assert!(reactor.context().is_empty());
    });
}

#[test]
fn a_shutdown_without_time_stops_at_once() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (here, _there) = UnixStream::pair().unwrap();
        reactor.context().add(here, Interest::READ, Stays).unwrap();
        reactor.handle().shutdown(Duration::ZERO).unwrap();
        let begin = Instant::now();
        reactor.run().unwrap();
        assert!(begin.elapsed() < LONG);
        assert_eq!(reactor.context().len(), 1);
    });
}

/// Stays when the reactor shuts down.
struct Stays;

impl tripoll::Handler<UnixStream, Vec<u8>> for Stays {
    fn ready(
        &mut self,
        _: &mut Source<'_, UnixStream>,
        _: &mut Context<'_, Vec<u8>>,
    ) -> io::Result<Next> {
        Ok(Next::Keep)
    }

    fn shutting_down(
        &mut self,
        _: &mut Source<'_, UnixStream>,
        _: &mut Context<'_, Vec<u8>>,
    ) -> io::Result<Next> {
        Ok(Next::Keep)
    }
}
