//! Waits with a limit.

use std::thread;
use std::time::{Duration, Instant};

/// Longer than any event takes, so that an event that never comes is a failure and not a hang.
pub const LONG: Duration = Duration::from_secs(30);

/// Longer than any test, for a timeout that must not be reached.
pub const MINUTE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds.
#[track_caller]
pub fn await_that(what: &str, condition: impl Fn() -> bool) {
    let give_up = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < give_up, "this never happened: {what}");
        thread::sleep(Duration::from_millis(1)); // spinning would delay the tests beside it
    }
}
