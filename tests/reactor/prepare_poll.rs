//! A reactor that is waited for by another loop: parked before each of its sleeps.

use std::io::{Read, Write};
use std::time::Instant;

use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::{Context, Deadline, Interest, Next};

/// Whoever is on the ready list when the reactor is parked is still there afterwards.
#[test]
fn preparing_to_poll_twice_loses_no_source() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (mine, mut theirs) = unix_pair();
        theirs.write_all(b"0123456789").unwrap();
        add(&mut reactor, mine, Interest::READ, |source, cx: &mut Context<Vec<u8>>| {
            let mut byte = [0];
            source.read_exact(&mut byte)?;
            cx.state.push(byte[0]);
            Ok(Next::Keep)
        });
        for _ in 0..30 {
            reactor.prepare_poll().unwrap();
            reactor.prepare_poll().unwrap();
            reactor.turn(Deadline::Now).unwrap();
        }
        assert_eq!(reactor.state(), b"0123456789");
    });
}

/// A source that is always ready does not keep the others, the timers and the jobs from their turn.
#[test]
fn preparing_to_poll_starves_no_source() {
    #[derive(Default, PartialEq, Debug)]
    struct Served {
        other: bool,
        timer: bool,
        job: bool,
    }
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Served::default());
        let (idler, mut theirs) = unix_pair();
        theirs.write_all(b"x").unwrap();
        add(&mut reactor, idler, Interest::READ, |_, _: &mut Context<Served>| Ok(Next::Keep));
        drive(&mut reactor, 5, |_| true);
        reactor.turn(Deadline::Now).unwrap();

        let (other, mut theirs) = unix_pair();
        theirs.write_all(b"x").unwrap();
        add(&mut reactor, other, Interest::READ, |source, cx: &mut Context<Served>| {
            cx.state.other = source.read(&mut [0; 10])? > 0;
            Ok(Next::Keep)
        });
        reactor.context().set_timer(Instant::now(), |cx| cx.state.timer = true);
        reactor.handle().post(|cx| cx.state.job = true).unwrap();
        for _ in 0..1_000 {
            reactor.prepare_poll().unwrap();
            reactor.turn(Deadline::Now).unwrap();
        }
        assert_eq!(*reactor.state(), Served { other: true, timer: true, job: true });
    });
}

/// Nothing to do is nothing to do, parked once or twice: the descriptor stays quiet, and a turn of
/// one's own afterwards sleeps.
#[test]
fn an_idle_reactor_is_quiet_when_it_is_parked() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(());
        let (mine, _theirs) = unix_pair();
        add(&mut reactor, mine, Interest::READ, |_, _: &mut Context| unreachable!("it is idle"));
        reactor.turn(Deadline::Now).unwrap();
        reactor.prepare_poll().unwrap();
        reactor.prepare_poll().unwrap();
        assert_quiet(&mut reactor);
    });
}
