//! Panics that the library catches: in handlers, hooks, timers and jobs.
//!
//! Such a panic ends one client, one source or one job, as it should, and the test that has made it
//! does not notice: a failed assertion in a handler would leave its test green. So a panic hook
//! records each of them, and the helpers of the tests fail when there is one that no test
//! [expects](expect_panic). The panics of children are in the log of their parent.

use std::backtrace::Backtrace;
use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;

/// The functions of the library that catch panics.
const CATCHERS: [&str; 2] = ["tripoll::sync::panic::catch_panic", "::run_phases"];

/// The beginnings of the messages that are expected.
static EXPECTED: Mutex<Vec<&str>> = Mutex::new(Vec::new());

/// The others: where they happened, and what they say.
static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records caught panics from now on.
fn record() {
    static RECORDING: Once = Once::new();
    RECORDING.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            usual(info);
            note(info);
        }));
    });
}

fn note(info: &PanicHookInfo<'_>) {
    let text = info.payload();
    let text = text.downcast_ref::<&str>().copied().or(text.downcast_ref().map(String::as_str));
    let text = text.unwrap_or_default();
    if lock(&EXPECTED).iter().any(|beginning| text.starts_with(beginning)) {
        return;
    }
    let stack = Backtrace::force_capture().to_string();
    if CATCHERS.iter().any(|catcher| stack.contains(catcher)) {
        lock(&SEEN).push(info.to_string());
    }
}

/// Permits panics in handlers whose messages begin with `text`, from now on and in all tests of this
/// process.
pub fn expect_panic(text: &'static str) {
    record();
    lock(&EXPECTED).push(text);
}

/// Fails if the library has caught a panic that no test expects: one of this test, or of another
/// test of this process. The message says where it happened. Records panics from the first call on.
#[track_caller]
pub fn assert_no_caught_panic() {
    record();
    let seen = lock(&SEEN).join("\n");
    // A test that fails already says why.
    assert!(
        seen.is_empty() || thread::panicking(),
        "a panic was caught that no test expects: {seen}"
    );
}
