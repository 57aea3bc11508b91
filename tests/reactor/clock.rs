//! A clock that tests advance: no sleep, no time that is early or late.

use std::thread;
use std::time::{Duration, Instant};

use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::reactor::ManualClock;
use tripoll::{Context, Deadline, Handler, Interest, Next, Reactor, Source};

const HOUR: Duration = Duration::from_secs(3_600);

fn with_clock<S: 'static>(pair: Pair, state: S) -> (Reactor<S>, ManualClock) {
    let clock = ManualClock::new();
    (pair.build(pair.builder().clock(clock.clone()), state), clock)
}

#[test]
fn timers_fire_when_the_clock_is_advanced_and_not_before() {
    on_every_pair(|pair| {
        let (mut reactor, clock) = with_clock(pair, 0_u32);
        let at = clock.now() + HOUR;
        reactor.context().set_timer(at, |cx: &mut Context<u32>| *cx.state += 1);
        assert_eq!(reactor.next_deadline(), Some(at));
        assert_quiet(&mut reactor);
        clock.advance(HOUR - Duration::from_nanos(1));
        assert_quiet(&mut reactor);
        clock.advance(Duration::from_nanos(1));
        drive(&mut reactor, 1, |fired| *fired == 1);
        assert_quiet(&mut reactor);
        // Due when it is set.
        reactor.context().set_timer(at, |cx: &mut Context<u32>| *cx.state += 1);
        drive(&mut reactor, 1, |fired| *fired == 2);
    });
}

#[test]
fn a_big_jump_fires_each_due_timer_once_in_order() {
    on_every_pair(|pair| {
        let (mut reactor, clock) = with_clock(pair, Vec::new());
        let start = clock.now();
        for number in 0..100_u32 {
            let after = number * 37 % 100;
            reactor.context().set_timer(start + after * HOUR, move |cx: &mut Context<Vec<u32>>| {
                assert_eq!(cx.now(), start + 1_000 * HOUR);
                cx.state.push(after);
            });
        }
        clock.advance(1_000 * HOUR);
        drive(&mut reactor, 1, |fired| fired.len() == 100);
        assert!(reactor.state().is_sorted(), "{:?}", reactor.state());
        // Never backwards.
        clock.advance_to(start);
        assert_eq!(clock.now(), start + 1_000 * HOUR);
        assert_eq!(reactor.context().now(), clock.now());
        assert_quiet(&mut reactor);
        assert_eq!(reactor.state().len(), 100);
    });
}

#[test]
fn the_time_of_a_turn_is_that_of_its_first_reading() {
    on_every_pair(|pair| {
        let (mut reactor, clock) = with_clock(pair, Vec::new());
        let start = clock.now();
        for _ in 0..2 {
            let clock = clock.clone();
            reactor.context().set_timer(start, move |cx: &mut Context<Vec<Instant>>| {
                let now = cx.now();
                cx.state.push(now);
                clock.advance(HOUR);
                assert_eq!(cx.now(), now, "it stands still within a turn");
            });
        }
        drive(&mut reactor, 1, |seen| seen.len() == 2);
        assert_eq!(*reactor.state(), [start, start]);
        assert_eq!(reactor.context().now(), start + 2 * HOUR);

        // A hook before the wait does not see the time of the last turn, and a handler does not see
        // the time before the wait.
        reactor.context().set_timer(start + 3 * HOUR, |cx: &mut Context<Vec<Instant>>| {
            let now = cx.now();
            cx.state.push(now);
        });
        let advance = clock.clone();
        reactor.before_wait(move |cx| {
            let now = cx.now();
            cx.state.push(now);
            advance.advance(HOUR);
        });
        reactor.state_mut().clear();
        clock.advance(HOUR / 2);
        drive(&mut reactor, 1, |seen| seen.len() == 2);
        let half = start + 5 * HOUR / 2;
        assert_eq!(*reactor.state(), [half, half + HOUR]);
    });
}

#[test]
fn an_advance_on_another_thread_wakes_a_sleeping_loop() {
    on_every_pair_at_once(|pair| {
        let (mut reactor, clock) = with_clock(pair, ());
        let at = clock.now() + HOUR;
        reactor.context().set_timer(at, |cx| cx.stop());
        let advance = thread::spawn(move || {
            // By small steps, so that most of them race with the loop.
            for _ in 0..3_600 {
                clock.advance(Duration::from_secs(1));
            }
        });
        let began = Instant::now();
        reactor.run().unwrap();
        assert!(began.elapsed() < LONG);
        assert!(reactor.context().now() >= at);
        advance.join().unwrap();
    });
}

#[test]
fn reactors_share_a_clock_and_one_that_was_dropped_is_forgotten() {
    on_every_pair(|pair| {
        let clock = ManualClock::new();
        let mut reactors: Vec<_> =
            (0..3).map(|_| pair.build(pair.builder().clock(clock.clone()), 0)).collect();
        for (reactor, hours) in reactors.iter_mut().zip(1_u32..) {
            let at = clock.now() + hours * HOUR;
            reactor.context().set_timer(at, |cx: &mut Context<u32>| *cx.state += 1);
            assert_quiet(reactor);
        }
        reactors.remove(0);
        clock.advance(2 * HOUR);
        drive(&mut reactors[0], 1, |fired| *fired == 1);
        assert_quiet(&mut reactors[1]);
        clock.advance(HOUR);
        drive(&mut reactors[1], 1, |fired| *fired == 1);
    });
}

/// Counts its timeouts, and flushes for ever.
struct Patient;

impl<F> Handler<F, u32> for Patient {
    fn ready(&mut self, _: &mut Source<F>, _: &mut Context<u32>) -> std::io::Result<Next> {
        unreachable!()
    }

    fn timed_out(&mut self, _: &mut Source<F>, cx: &mut Context<u32>) -> std::io::Result<Next> {
        *cx.state += 1;
        Ok(Next::Keep)
    }

    fn shutting_down(&mut self, _: &mut Source<F>, _: &mut Context<u32>) -> std::io::Result<Next> {
        Ok(Next::Keep)
    }
}

#[test]
fn deadlines_and_the_grace_of_a_shutdown_follow_the_clock() {
    on_every_pair(|pair| {
        let (mut reactor, clock) = with_clock(pair, 0_u32);
        let (mine, _theirs) = unix_pair();
        let mut cx = reactor.context();
        let token = cx.add(mine, Interest::READ, Patient).unwrap();
        let now = cx.now();
        cx.set_deadline(token, Some(now + HOUR)).unwrap();
        cx.set_deadline(token, Some(now + 2 * HOUR)).unwrap(); // postponed: one timer expires in vain
        clock.advance(HOUR);
        reactor.turn(Deadline::Now).unwrap();
        assert_eq!(*reactor.state(), 0);
        clock.advance(HOUR);
        drive(&mut reactor, 2, |timeouts| *timeouts == 1);

        reactor.context().shutdown(HOUR);
        reactor.turn(Deadline::Now).unwrap();
        assert_quiet(&mut reactor);
        assert!(!reactor.handle().is_stopped());
        clock.advance(HOUR);
        reactor.run().unwrap();
        assert!(reactor.handle().is_stopped());
    });
}

#[test]
fn without_a_clock_of_its_own_a_reactor_has_the_systems() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(());
        let before = Instant::now();
        let now = reactor.context().now();
        assert!(before <= now && now <= Instant::now());
    });
}
