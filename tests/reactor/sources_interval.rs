//! Intervals: no drift, and missed ticks are counted.

use std::io::ErrorKind;
use std::thread;
use std::time::{Duration, Instant};

use support::reactor::*;
use support::*;
use tripoll::reactor::sources::{Interval, Tick};

const PERIOD: Duration = Duration::from_millis(2);

#[test]
fn ticks_do_not_drift_and_missed_ones_are_counted() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let before = Instant::now();
        let interval = Interval::new(PERIOD).unwrap();
        let after = Instant::now();
        let note = move |tick: Tick, cx: &mut tripoll::Context<'_, Vec<(Tick, Instant)>>| {
            cx.state.push((tick, Instant::now()));
            if cx.state.len() == 3 {
                thread::sleep(PERIOD * 5); // it is late for some ticks
            }
        };
        interval.on(&mut reactor.context(), note).unwrap();
        for _ in 0..12 {
            let (asked, count) = (Instant::now(), reactor.state().len());
            drive(&mut reactor, 20, |ticks| ticks.len() > count);
            let (tick, at) = *reactor.state().last().unwrap();
            let due = |number: u64| PERIOD * u32::try_from(number).unwrap();
            assert!(before + due(tick.number) <= at, "{tick:?} is early");
            // Whatever was late before, it has counted all that were due when the turn began.
            assert!(asked < after + due(tick.number + 1), "{tick:?} drifts");
        }
        let ticks: Vec<Tick> = reactor.state().iter().map(|(tick, _)| *tick).collect();
        let mut number = 0;
        for tick in &ticks {
            number += tick.missed + 1;
            assert_eq!(tick.number, number, "{ticks:?}");
        }
        assert!(ticks[3].missed >= 4, "{ticks:?}");
    });
}

#[test]
fn the_first_tick_may_come_earlier() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(0);
        let interval = Interval::starting_in(Duration::ZERO, LONG).unwrap();
        interval.on(&mut reactor.context(), |tick, cx| *cx.state = tick.number).unwrap();
        drive(&mut reactor, 20, |number| *number == 1);
        assert_quiet(&mut reactor);
    });
}

#[test]
fn a_period_has_any_length_but_zero() {
    let error = Interval::new(Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "the period of an interval is zero");
    let mut longest = Interval::new(Duration::MAX).unwrap();
    assert_eq!(longest.tick().unwrap_err().kind(), ErrorKind::WouldBlock);
    let mut shortest = Interval::new(Duration::from_nanos(1)).unwrap();
    await_that("a tick", || true);
    while let Err(error) = shortest.tick() {
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
}
