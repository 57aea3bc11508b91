//! Jobs that run again and again, by a clock that the tests advance.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use support::reactor::*;
use support::*;
use tripoll::reactor::{ManualClock, TimerId};
use tripoll::{Context, Deadline, Reactor};

const SECOND: Duration = Duration::from_secs(1);

type Times = Vec<Instant>;

fn note(cx: &mut Context<Times>) {
    let now = cx.now();
    cx.state.push(now);
}

fn with_clock(pair: Pair) -> (Reactor<Times>, ManualClock) {
    let clock = ManualClock::new();
    (pair.build(pair.builder().clock(clock.clone()), Times::new()), clock)
}

#[test]
fn an_interval_does_not_drift_and_merges_what_was_missed() {
    on_every_pair(|pair| {
        let (mut reactor, clock) = with_clock(pair);
        let start = clock.now();
        reactor.context().set_interval(SECOND, note);
        assert_quiet(&mut reactor);
        assert_eq!(reactor.next_deadline(), Some(start + SECOND));
        // Each is late, by more and more, and the next is not.
        for (number, late) in (1..=5).zip([0.0, 0.1, 0.5, 0.9, 0.0]) {
            clock.advance_to(start + number * SECOND + SECOND.mul_f64(late));
            drive(&mut reactor, 1, |times| times.len() == number as usize);
            assert_eq!(reactor.next_deadline(), Some(start + (number + 1) * SECOND));
        }
        clock.advance_to(start + 1_000 * SECOND + SECOND / 2);
        drive(&mut reactor, 1, |times| times.len() == 6);
        assert_quiet(&mut reactor);
        assert_eq!(reactor.next_deadline(), Some(start + 1_001 * SECOND));
        assert_eq!(reactor.context().timers(), 1);
        assert_eq!(reactor.context().counters().timers, 6);
    });
}

#[test]
fn an_interval_is_cancelled_by_its_id_from_its_own_job_too() {
    on_every_pair(|pair| {
        let (mut reactor, clock) = with_clock(pair);
        let owned = Rc::new(());
        let in_job = Rc::clone(&owned);
        let id = reactor.context().set_interval(SECOND, move |cx| {
            let _ = &in_job;
            note(cx);
        });
        clock.advance(SECOND);
        drive(&mut reactor, 1, |times| times.len() == 1);
        assert!(reactor.context().cancel_timer(id));
        assert!(!reactor.context().cancel_timer(id));
        assert_eq!(Rc::strong_count(&owned), 1, "the job is dropped");
        clock.advance(SECOND);
        reactor.turn(Deadline::Now).unwrap(); // the timer descriptor was set already
        assert_quiet(&mut reactor);

        let own = Rc::new(Cell::new(None::<TimerId>));
        let in_job = Rc::clone(&own);
        let id = reactor.context().set_interval(SECOND, move |cx| {
            note(cx);
            if cx.state.len() == 3 {
                let own = in_job.get().unwrap();
                assert!(cx.cancel_timer(own));
                assert!(!cx.cancel_timer(own));
                // One that takes its place keeps its own time.
                cx.set_timer(cx.now() + 10 * SECOND, note);
            }
        });
        own.set(Some(id));
        for times in 2..=3 {
            clock.advance(SECOND);
            drive(&mut reactor, 1, |seen| seen.len() == times);
        }
        assert_eq!(Rc::strong_count(&own), 1, "the job is dropped");
        assert_eq!(reactor.context().timers(), 1);
        clock.advance(9 * SECOND);
        reactor.turn(Deadline::Now).unwrap();
        assert_eq!(reactor.state().len(), 3);
        clock.advance(SECOND);
        drive(&mut reactor, 1, |times| times.len() == 4);
        assert_eq!((reactor.context().timers(), reactor.next_deadline()), (0, None));
    });
}

#[test]
fn a_panic_cancels_its_own_interval_and_no_other() {
    on_every_pair(|pair| {
        expect_panic("the job of an interval");
        let (mut reactor, clock) = with_clock(pair);
        reactor.context().set_interval(SECOND, |_| panic!("the job of an interval"));
        reactor.context().set_interval(SECOND, note);
        for times in 1..=3 {
            clock.advance(SECOND);
            drive(&mut reactor, 2, |seen| seen.len() == times);
        }
        assert_eq!(reactor.context().counters().panics, 1);
        assert_eq!(reactor.context().timers(), 1);
    });
}

#[test]
fn intervals_of_any_length_are_possible() {
    on_every_pair(|pair| {
        let (mut reactor, clock) = with_clock(pair);
        let never = reactor.context().set_interval(Duration::MAX, |_| unreachable!());
        let always = reactor.context().set_interval(Duration::ZERO, note);
        for _ in 0..3 {
            clock.advance(SECOND);
            reactor.turn(Deadline::Now).unwrap();
        }
        assert_eq!(reactor.state().len(), 3, "once a turn, and the loop goes on");
        assert!(reactor.context().cancel_timer(never) && reactor.context().cancel_timer(always));
    });
}
