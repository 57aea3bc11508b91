//! Selectors for the tests: one body for every backend, and short forms of a wait.

use std::time::{Duration, Instant};

use tripoll::selector::{
    AutoSelector, Backend, Deadline, Events, Prices, Readiness, Selector, Token, Trigger,
};

use crate::outside::OutsideSelector;
use crate::{Context, LONG};

/// Runs `body` on a new selector of every backend, once with each of `triggers` that it has.
///
/// A panic shows the backend and the trigger. A selector of another backend than the one asked for
/// is a failure.
pub fn on_every_backend(triggers: &[Trigger], body: impl Fn(&mut dyn Selector, Trigger)) {
    let mut ran = 0;
    for &backend in Backend::ALL {
        for &trigger in triggers {
            let mut selector = backend.selector().unwrap();
            if selector.caps().triggers.contains(&trigger) {
                let _context = Context(format!("on {backend}, {trigger}-triggered"));
                assert_eq!(selector.name(), backend.name());
                body(&mut *selector, trigger);
                ran += 1;
            }
        }
    }
    assert!(ran >= triggers.len(), "some trigger of {triggers:?} is on no backend");
}

/// As [`on_every_backend`], and also runs `body` on those that choose their call, of which one changes
/// it all the time, and on a selector from outside the crate: if `triggers` has their only one, level.
pub fn on_every_selector(triggers: &[Trigger], body: impl Fn(&mut dyn Selector, Trigger)) {
    on_every_backend(triggers, &body);
    if triggers.contains(&Trigger::Level) {
        for prices in [Prices::of_this_machine(), Prices::ZERO] {
            let _context = Context(format!("on one that chooses its call by {prices:?}"));
            body(&mut AutoSelector::with_prices(prices), Trigger::Level);
        }
        let _context = Context("on a selector from outside the crate".into());
        body(&mut OutsideSelector::default(), Trigger::Level);
    }
}

/// Returns what a wait until `deadline` reports.
pub fn reported(selector: &mut dyn Selector, deadline: Deadline) -> Vec<(Token, Readiness)> {
    let mut events = Events::new();
    selector.wait(&mut events, deadline).unwrap();
    events.iter().map(|event| (event.token(), event.readiness())).collect()
}

/// Returns what a wait without blocking reports. For Unix sockets and pipes this misses nothing: a
/// change at one end is seen at the other at once.
pub fn reported_now(selector: &mut dyn Selector) -> Vec<(Token, Readiness)> {
    reported(selector, Deadline::Now)
}

/// Returns the tokens of the events that a wait without blocking reports.
pub fn tokens_now(selector: &mut dyn Selector) -> Vec<Token> {
    reported_now(selector).into_iter().map(|(token, _)| token).collect()
}

/// Waits for exactly one event.
pub fn reported_one(selector: &mut dyn Selector) -> (Token, Readiness) {
    let reported = reported(selector, Deadline::after(LONG));
    assert_eq!(reported.len(), 1, "{reported:?}");
    reported[0]
}

/// Asserts that no event is reported, now or later, and that a wait blocks and does not spin.
pub fn assert_silent(selector: &mut dyn Selector) {
    assert_eq!(reported_now(selector), []);
    let (before, begin, asked) =
        (selector.counters().waits, Instant::now(), Duration::from_millis(5));
    assert_eq!(reported(selector, Deadline::after(asked)), []);
    assert!(begin.elapsed() >= asked, "came back early, after {:?}", begin.elapsed());
    // Some backends ask without blocking first.
    let waits = selector.counters().waits - before;
    assert!((1..=2).contains(&waits), "{waits} system calls for one wait");
}
