//! What every layer may use: locks, caught panics, wakers, a limit of log lines.

mod counter;
mod log_limit;
mod panic;
mod primitives;
mod wakers;

pub(crate) use counter::Counter;
pub(crate) use log_limit::LogLimit;
pub use panic::Panicked;
pub(crate) use panic::{catch_panic, hold_panic};
pub(crate) use primitives::{AtomicBool, AtomicU8, Condvar, Mutex, MutexGuard, thread};
pub(crate) use wakers::Wakers;

use std::io;
use std::sync::PoisonError;
use std::time::Instant;

/// `PID_MAX_LIMIT`.
const MOST_THREADS: usize = 1 << 22;

/// Refuses a number of threads that Linux does not have. Otherwise all those that the system allows would
/// be created before it fails.
pub(crate) fn check_threads(owner: &str, count: usize, threads: &str) -> io::Result<()> {
    if count > MOST_THREADS {
        let message =
            format!("{owner} of {count} {threads}, but Linux has at most {MOST_THREADS} threads");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(())
}

/// Locks a mutex, and ignores its poison: no code of this crate that holds a lock leaves the value
/// half changed when it panics.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a change. Returns true if the deadline has come instead. May return without a reason;
/// callers must check their condition again.
pub(crate) fn wait_until<'a, T>(
    changed: &Condvar,
    state: MutexGuard<'a, T>,
    deadline: Option<Instant>,
) -> (MutexGuard<'a, T>, bool) {
    let Some(deadline) = deadline else {
        return (changed.wait(state).unwrap_or_else(PoisonError::into_inner), false);
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return (state, true);
    }
    let waited = changed.wait_timeout(state, left);
    (waited.unwrap_or_else(PoisonError::into_inner).0, false)
}
