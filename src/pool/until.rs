//! Waiting for a change, until a deadline or for as long as it takes.

use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::Instant;

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
