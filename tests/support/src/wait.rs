//! Waiting, with a limit.

use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes, so that what never comes is a failure and not a hang.
pub const LONG: Duration = Duration::from_secs(30);

/// Longer than any test: nothing may wait for it.
pub const MINUTE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds.
#[track_caller]
pub fn await_that(what: &str, condition: impl Fn() -> bool) {
    let give_up = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < give_up, "this never came about: {what}");
        thread::sleep(Duration::from_millis(1)); // many tests wait at once: spinning would delay them
    }
}
