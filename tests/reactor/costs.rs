//! What things cost, in system calls.

use std::io::{Read, Write};

use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::reactor::Counters;
use tripoll::sys::PollFlags;
use tripoll::{Context, Deadline, Interest, Next, Trigger};

const BOTH: Interest = Interest::READ.union(Interest::WRITE);

/// The controls of one turn.
fn controls_of_a_turn<S: 'static>(reactor: &mut tripoll::Reactor<S>) -> u64 {
    let before = reactor.context().counters();
    reactor.turn(Deadline::Now).unwrap();
    grown(reactor.context().counters(), before, |counters| counters.controls)
}

#[test]
fn a_change_of_interest_is_one_call_a_source_and_turn_or_none() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(());
        let (unix, _unix_peer) = unix_pair();
        let (tcp, _tcp_peer) = tcp_pair();
        let unix = add(&mut reactor, unix, Interest::READ, |_, _| Ok(Next::Done));
        let tcp = add(&mut reactor, tcp, Interest::READ, |_, _| Ok(Next::Done));
        reactor.turn(Deadline::Now).unwrap();
        // On edge, TCP is asked for everything once and for all.
        let step = u64::from(pair.changes_cost());
        let tcp_step = if pair.effective_trigger() == Trigger::Edge { 0 } else { step };
        for (token, step) in [(unix, step), (tcp, tcp_step)] {
            // Changed many times, and not back.
            for interest in [BOTH, Interest::READ, Interest::WRITE, BOTH] {
                reactor.context().set_interest(token, interest).unwrap();
            }
            assert_eq!(controls_of_a_turn(&mut reactor), step);
            assert_eq!(controls_of_a_turn(&mut reactor), 0);
            // Taken back.
            let saved = reactor.context().counters().controls_saved;
            for interest in [Interest::READ, Interest::NONE, BOTH] {
                reactor.context().set_interest(token, interest).unwrap();
            }
            assert_eq!(controls_of_a_turn(&mut reactor), 0);
            let saved = reactor.context().counters().controls_saved - saved;
            assert_eq!(saved, if pair.changes_cost() { 3 } else { 0 });
        }
    });
}

#[test]
fn toggles_inside_a_handler_cost_nothing_when_they_are_taken_back() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(());
        let (mine, mut theirs) = unix_pair();
        add(&mut reactor, mine, Interest::READ, echo());
        for round in 0..50 {
            theirs.write_all(b"ping").unwrap();
            let before = reactor.context().counters();
            reactor.turn(Deadline::after(LONG)).unwrap();
            assert_eq!(theirs.read(&mut [0; 8]).unwrap(), 4);
            let after = reactor.context().counters();
            assert_eq!(grown(after, before, |counters| counters.controls), 0, "round {round}");
            assert_eq!(grown(after, before, |counters| counters.dispatches), 1);
        }
    });
}

#[test]
fn a_turn_is_one_wait_on_epoll_and_at_most_two_elsewhere() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(());
        let far = std::time::Instant::now() + 1_000 * LONG;
        reactor.context().set_timer(far, |_| unreachable!());
        let (mine, mut theirs) = tcp_pair();
        let twin = mine.try_clone().unwrap();
        add(&mut reactor, mine, Interest::READ, echo());
        let_settle(&mut reactor);
        let before = reactor.context().counters();
        theirs.set_nonblocking(false).unwrap();
        for _ in 0..500 {
            theirs.write_all(b"ping").unwrap();
            settle(&twin, PollFlags::IN);
            reactor.turn(Deadline::after(LONG)).unwrap();
            theirs.read_exact(&mut [0; 4]).unwrap();
        }
        let after = reactor.context().counters();
        assert_eq!(grown(after, before, |counters| counters.turns), 500);
        let waits = grown(after, before, |counters| counters.waits);
        if pair.changes_cost() {
            assert_eq!(waits, 500);
        } else {
            assert!((500..=520).contains(&waits), "{waits}: it always found something");
        }
        assert_eq!(grown(after, before, |counters| counters.dispatches), 500);
        let events = grown(after, before, |counters| counters.events);
        assert_eq!(events, 500, "one event a message");
        let for_nothing = |counters: Counters| {
            let Counters { controls, spurious, idle, wakes, stale, .. } = counters;
            [controls, spurious, idle, wakes, stale]
        };
        assert_eq!(for_nothing(after), for_nothing(before));
    });
}

/// Who meets `WouldBlock` and says something of its own interest through the context is on no list.
#[test]
fn a_handler_that_sets_its_own_interest_costs_no_turn() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(());
        let (mine, mut theirs) = unix_pair();
        add(&mut reactor, mine, Interest::READ, |source, cx: &mut Context| {
            while source.read(&mut [0; 64]).is_ok() {}
            cx.set_interest(source.token(), Interest::READ)?;
            Ok(Next::Keep)
        });
        theirs.write_all(b"x").unwrap();
        assert_eq!(reactor.turn(Deadline::after(LONG)).unwrap(), 1);
        assert_quiet(&mut reactor);
    });
}
