//! Turning, running and stopping; hooks; and the silence of a thousand who have nothing to say.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::gettid;
use support::reactor::*;
use support::sleep::*;
use support::sockets::*;
use support::*;
use tripoll::{Context, Deadline, Interest, Next, Source};

#[test]
fn stop_before_run_is_remembered() {
    on_every_pair_and_noise(|pair| {
        for early in ["handle", "context"] {
            let mut reactor = pair.reactor(());
            match early {
                "handle" => reactor.handle().stop(),
                _ => reactor.context().stop(),
            }
            assert!(reactor.handle().is_stopped());
            for _ in 0..2 {
                reactor.run().unwrap();
            }
            assert_eq!(reactor.context().counters().turns, 0);
            // A turn by hand is still possible, and does not sleep.
            reactor.turn(Deadline::Never).unwrap();
        }
    });
}

#[test]
fn a_handler_can_stop_the_loop_and_the_others_in_the_batch_are_served() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(0_u32);
        let mut peers = Vec::new();
        for _ in 0..5 {
            let (mine, mut theirs) = unix_pair();
            theirs.write_all(b"x").unwrap();
            peers.push(theirs);
            add(&mut reactor, mine, Interest::READ, |_, cx: &mut Context<u32>| {
                *cx.state += 1;
                cx.stop();
                cx.handle().stop(); // twice is once
                Ok(Next::Done)
            });
        }
        reactor.run().unwrap();
        assert_eq!((*reactor.state(), reactor.context().counters().turns), (5, 1));
        reactor.run().unwrap();
        assert_eq!(reactor.context().counters().turns, 1);
    });
}

#[test]
fn another_thread_stops_a_sleeping_loop() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(());
        let (handle, sleeper) = (reactor.handle(), gettid());
        let stopper = thread::spawn(move || {
            await_sleep(sleeper);
            handle.stop();
            handle.stop();
        });
        reactor.run().unwrap();
        stopper.join().unwrap();
        let counters = reactor.context().counters();
        assert!(counters.turns <= 2, "{counters:?}");
        assert!(counters.wakes <= 2, "{counters:?}");
    });
}

/// However the two meet: stopping is never slept over.
#[test]
fn a_stop_is_never_lost_in_the_race_with_falling_asleep() {
    on_every_pair_and_noise(|pair| {
        for _ in 0..300 {
            let mut reactor = pair.reactor(());
            let handle = reactor.handle();
            let stopper = thread::spawn(move || handle.stop());
            reactor.run().unwrap();
            stopper.join().unwrap();
        }
    });
}

#[test]
fn a_turn_that_must_not_wait_does_not_sleep() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(());
        let (mine, _theirs) = unix_pair();
        add(&mut reactor, mine, Interest::READ, |_, _| unreachable!());
        let_settle(&mut reactor);
        let (before, began) = (reactor.context().counters(), Instant::now());
        for _ in 0..100 {
            assert_eq!(reactor.turn(Deadline::Now).unwrap(), 0);
        }
        assert!(began.elapsed() < LONG);
        let after = reactor.context().counters();
        assert_eq!((after.turns - before.turns, after.waits - before.waits), (100, 100));
    });
}

#[test]
fn a_turn_ends_at_its_deadline_and_not_before() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(());
        let_settle(&mut reactor);
        for asked in [1_u64, 900, 1_000, 3_700].map(Duration::from_micros) {
            let began = Instant::now();
            assert_eq!(reactor.turn(Deadline::after(asked)).unwrap(), 0);
            assert!(began.elapsed() >= asked, "{:?} instead of {asked:?}", began.elapsed());
        }
    });
}

#[test]
fn a_thousand_idle_connections_cause_no_turn() {
    let limit = tripoll::sys::raise_descriptor_limit(10_000).unwrap();
    assert!(limit.soft >= 3_000, "two thousand connections need more than {limit:?}");
    let connections: Vec<_> = (0..1_000).map(|_| unix_pair()).collect();
    // One second for each way of asking; all of them at the same time.
    thread::scope(|scope| {
        for &backend in tripoll::Backend::ALL {
            for trigger in [tripoll::Trigger::Level, tripoll::Trigger::Edge] {
                let pair = Pair::new(backend, trigger);
                let connections = &connections;
                scope.spawn(move || {
                    let _context = support::Context(format!("on {pair:?}"));
                    let mut reactor = pair.reactor(());
                    for (mine, _) in connections {
                        let mine = mine.try_clone().unwrap();
                        add(&mut reactor, mine, Interest::READ, |_, _| unreachable!());
                    }
                    let far = Instant::now() + Duration::from_secs(3_600);
                    reactor.context().set_timer(far, |_| unreachable!());
                    let_settle(&mut reactor);
                    let before = reactor.context().counters();
                    let deadline = Duration::from_secs(1);
                    assert_eq!(reactor.turn(Deadline::after(deadline)).unwrap(), 0);
                    let after = reactor.context().counters();
                    assert_eq!(after.turns - before.turns, 1, "the one that was asked for");
                    assert_eq!(after.events, before.events);
                    assert!(after.waits - before.waits <= 2, "one may ask first");
                });
            }
        }
    });
}

#[test]
fn hooks_are_called_once_a_turn_around_the_wait() {
    on_every_pair(|pair| {
        let log = Rc::new(RefCell::new(Vec::new()));
        let mut reactor = pair.reactor(());
        let write = |what: &'static str| {
            let log = Rc::clone(&log);
            move || log.borrow_mut().push(what)
        };
        let (first, second, after) = (write("before 1"), write("before 2"), write("after"));
        let (handler, job) = (write("handler"), write("timer"));
        reactor.before_wait(move |_| first());
        reactor.before_wait(move |_| second());
        reactor.after_wait(move |_| after());
        let (mine, mut theirs) = unix_pair();
        add(&mut reactor, mine, Interest::READ, move |_, _| {
            handler();
            Ok(Next::Done)
        });
        reactor.context().set_timer(Instant::now() + LONG, move |_| job());
        theirs.write_all(b"x").unwrap();
        reactor.turn(Deadline::after(LONG)).unwrap();
        assert_eq!(*log.borrow(), ["before 1", "before 2", "after", "handler"]);
        log.borrow_mut().clear();
        theirs.write_all(b"x").unwrap();
        reactor.turn(Deadline::after(LONG)).unwrap();
        assert_eq!(*log.borrow(), ["before 1", "before 2", "after", "handler"]);
    });
}

#[test]
fn what_a_hook_changes_before_the_wait_counts_in_this_turn() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(0_u32);
        let (paused, mut paused_peer) = unix_pair();
        let (added, mut added_peer) = unix_pair();
        paused_peer.write_all(b"x").unwrap();
        added_peer.write_all(b"x").unwrap();
        let count = |source: &mut Source<std::os::unix::net::UnixStream>, cx: &mut Context<u32>| {
            *cx.state += source.read(&mut [0; 8])? as u32;
            Ok(Next::Keep)
        };
        let token = add(&mut reactor, paused, Interest::NONE, count);
        let mut added = Some(added);
        reactor.before_wait(move |cx: &mut Context<u32>| {
            if let Some(added) = added.take() {
                cx.set_interest(token, Interest::READ).unwrap();
                cx.add(added, Interest::READ, count).unwrap();
            }
        });
        assert_eq!(reactor.turn(Deadline::after(LONG)).unwrap(), 2);
        assert_eq!(*reactor.state(), 2);
    });
}

#[test]
fn a_source_added_by_a_handler_is_called_for_what_is_ready_already() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(0_u32);
        let (mine, mut theirs) = unix_pair();
        theirs.write_all(b"x").unwrap();
        let (next, mut next_peer) = unix_pair();
        next_peer.write_all(b"y").unwrap();
        let mut next = Some(next);
        add(&mut reactor, mine, Interest::READ, move |_, cx: &mut Context<u32>| {
            cx.add(
                next.take().unwrap(),
                Interest::READ,
                |_: &mut Source<_>, cx: &mut Context<u32>| {
                    *cx.state += 1;
                    Ok(Next::Remove)
                },
            )?;
            Ok(Next::Remove)
        });
        drive(&mut reactor, 3, |calls| *calls == 1);
        assert!(reactor.context().is_empty());
    });
}

/// Reactors that live in the same thread, and are turned in turn.
#[test]
fn many_reactors_can_live_side_by_side() {
    on_every_pair_and_noise(|pair| {
        let mut reactors: Vec<_> = (0..5).map(|_| pair.reactor(Vec::new())).collect();
        let mut peers = Vec::new();
        for reactor in &mut reactors {
            let (mine, theirs) = unix_pair();
            add(reactor, mine, Interest::READ, collect);
            peers.push(theirs);
        }
        for (number, peer) in (0_u8..).zip(&mut peers) {
            peer.write_all(&[number]).unwrap();
        }
        for (number, reactor) in (0_u8..).zip(&mut reactors) {
            drive(reactor, 3, |read| *read == [number]);
            assert_quiet(reactor);
        }
    });
}

/// Winding down begins when everybody has been called of whom the kernel has told in this turn: what
/// was sent before the signal is answered, in whatever order the kernel tells.
#[test]
fn winding_down_waits_for_the_end_of_the_batch() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(0);
        let mut peers = Vec::new();
        for _ in 0..3 {
            let (mine, mut theirs) = unix_pair();
            theirs.write_all(b"x").unwrap();
            add(&mut reactor, mine, Interest::READ, |source, cx: &mut Context<i32>| {
                assert_eq!(source.read(&mut [0; 8])?, 1);
                *cx.state += 1;
                cx.shutdown(LONG);
                Ok(Next::Keep)
            });
            peers.push(theirs);
        }
        reactor.run().unwrap();
        assert_eq!((*reactor.state(), reactor.context().len()), (3, 0));
    });
}

/// The events of a source come before its shutdown, also if more sources are ready than one wait
/// reports, and for a source that was added in the same turn.
#[test]
fn what_was_sent_before_a_shutdown_is_read_by_every_source() {
    on_every_pair(|pair| {
        let mut reactor = pair.build(pair.builder().events_capacity(1), 0);
        let mut peers = Vec::new();
        reactor.handle().post(|cx| cx.shutdown(LONG)).unwrap();
        let mut add_one = |cx: &mut Context<i32>| {
            let (mine, mut theirs) = unix_pair();
            theirs.write_all(b"x").unwrap();
            let read = |source: &mut Source<_>, cx: &mut Context<i32>| {
                *cx.state += source.read(&mut [0; 8])? as i32;
                Ok(Next::Keep)
            };
            cx.add::<std::os::unix::net::UnixStream, _>(mine, Interest::READ, read).unwrap();
            peers.push(theirs);
        };
        (0..20).for_each(|_| add_one(&mut reactor.context()));
        reactor.run().unwrap();
        assert_eq!((*reactor.state(), reactor.context().len()), (20, 0));
    });
}

/// There is nothing to wait for, whatever the grace is.
#[test]
fn a_shutdown_without_sources_ends_at_once() {
    on_every_pair(|pair| {
        for grace in [LONG, Duration::MAX] {
            let mut reactor = pair.reactor(());
            reactor.context().shutdown(grace);
            let began = Instant::now();
            reactor.run().unwrap();
            assert!(began.elapsed() < LONG);

            let mut embedded = pair.reactor(());
            embedded.context().shutdown(grace);
            assert_eq!(embedded.turn(Deadline::Never).unwrap(), 0);
            assert!(embedded.handle().is_stopped());
        }
    });
}
