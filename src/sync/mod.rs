//! Locks, and waiting for what they guard to change.
//!
//! Whoever panics with a lock of ours in hand has changed nothing by halves, so a poisoned lock is as
//! good as any.

mod panic;
mod wakers;

pub use panic::Panicked;
pub(crate) use panic::guard;
pub use wakers::Call;
pub(crate) use wakers::Calls;

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a change, and says whether the deadline has come instead. It may return for no reason:
/// whoever waits looks for himself.
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
