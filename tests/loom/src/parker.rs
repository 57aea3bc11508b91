//! A thread that waits for a waker.

use std::sync::Arc;
use std::task::{Wake, Waker};

use loom::sync::Notify;

#[derive(Default)]
struct Parker(Notify);

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// Calls `attempt` until it succeeds, and blocks after each failure until its waker is woken.
pub fn block_on<T>(mut attempt: impl FnMut(&Waker) -> Option<T>) -> T {
    let parker = Arc::<Parker>::default();
    let waker = Waker::from(Arc::clone(&parker));
    loop {
        match attempt(&waker) {
            Some(value) => return value,
            None => parker.0.wait(),
        }
    }
}
