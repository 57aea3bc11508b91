//! Selectors for the tests: one body for every backend, and a few ways to ask.

use std::time::{Duration, Instant};

use tripoll::selector::{Backend, Deadline, Events, Readiness, Selector, Token, Trigger};

use crate::{Context, LONG};

/// Runs `body` on a new selector of every backend, once with each of `triggers` that it has.
///
/// A panic says on which backend and trigger it happened. A body that ran on another backend than
/// the one it was meant for has failed.
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

/// What a wait until `deadline` tells.
pub fn told(selector: &mut dyn Selector, deadline: Deadline) -> Vec<(Token, Readiness)> {
    let mut events = Events::new();
    selector.wait(&mut events, deadline).unwrap();
    events.iter().map(|event| (event.token(), event.readiness())).collect()
}

/// What there is to tell at this moment. For Unix sockets and pipes this misses nothing: what one
/// end has done, the other end has.
pub fn told_now(selector: &mut dyn Selector) -> Vec<(Token, Readiness)> {
    told(selector, Deadline::Now)
}

/// Whose events there are at this moment.
pub fn tokens_now(selector: &mut dyn Selector) -> Vec<Token> {
    told_now(selector).into_iter().map(|(token, _)| token).collect()
}

/// Waits for the one event that must come.
pub fn told_one(selector: &mut dyn Selector) -> (Token, Readiness) {
    let told = told(selector, Deadline::after(LONG));
    assert_eq!(told.len(), 1, "{told:?}");
    told[0]
}

/// Nothing is told, now or later, and waiting for it is sleeping: a bounded number of system calls.
pub fn assert_silent(selector: &mut dyn Selector) {
    assert_eq!(told_now(selector), []);
    let (before, begin, asked) =
        (selector.counters().waits, Instant::now(), Duration::from_millis(5));
    assert_eq!(told(selector, Deadline::after(asked)), []);
    assert!(begin.elapsed() >= asked, "came back early, after {:?}", begin.elapsed());
    // One that asks first, one that sleeps.
    let waits = selector.counters().waits - before;
    assert!((1..=2).contains(&waits), "{waits} system calls for one wait");
}
