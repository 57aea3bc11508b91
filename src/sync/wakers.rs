//! Wakers of tasks that wait for capacity.

use std::task::Waker;

use super::panic::catch_panic;

/// The registered wakers. All of them are woken, each at most once: a woken waiter may no longer need
/// the capacity. The waker of a waiter that was dropped stays until the next wake, so a waker should
/// hold nothing that is worth more than its own few bytes.
#[derive(Debug, Default)]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    /// Registers a waker, unless one that wakes the same task is registered.
    pub(crate) fn register(&mut self, waker: &Waker) {
        if !self.0.iter().any(|known| known.will_wake(waker)) {
            self.0.push(waker.clone());
        }
    }

    /// Wakes all. Call it without holding a lock: a woken waiter may ask for capacity at once.
    pub(crate) fn wake(self) {
        for waker in self.0 {
            if let Err(panic) = catch_panic(|| waker.wake()) {
                log::error!("a waker {panic}");
            }
        }
    }
}
