//! Wakers of tasks that wait for capacity.

use std::task::Waker;

use super::panic::catch_panic;

/// The registered wakers. Each of them is woken once, and all are woken: the first one may no longer
/// need the capacity. The waker of a dropped waiter stays until the next wake, so a waker should own
/// only a few bytes, and no descriptor.
#[derive(Debug, Default)]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    /// Registers a waker, unless one that wakes the same task is registered.
    pub(crate) fn register(&mut self, waker: &Waker) {
        if !self.0.iter().any(|known| known.will_wake(waker)) {
            self.0.push(waker.clone());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("in a waker");
        }
    }

    #[test]
    fn each_waker_is_woken_once_even_after_one_that_panics() {
        let counts = [Arc::<Count>::default(), Arc::default()];
        let [first, second] = counts.clone().map(Waker::from);
        let mut wakers = Wakers::default();
        wakers.register(&Waker::from(Arc::new(Panics)));
        for waker in [&first, &second, &first, &first.clone()] {
            wakers.register(waker);
        }
        wakers.wake();
        assert_eq!(counts.map(|count| count.0.load(Ordering::Relaxed)), [1, 1]);
    }

    #[test]
    fn the_waker_of_a_dropped_waiter_is_dropped_with_the_next_wake() {
        let count = Arc::<Count>::default();
        let mut wakers = Wakers::default();
        wakers.register(&Waker::from(Arc::clone(&count)));
        assert_eq!(Arc::strong_count(&count), 2);
        wakers.wake();
        assert_eq!(Arc::strong_count(&count), 1);
    }
}
