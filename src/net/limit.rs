//! A limit of connections that are open at once.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use crate::sync::{Wakers, lock};

/// Limits how many [`Permit`]s exist at once.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    /// `None` if there is no limit.
    state: Option<Arc<Mutex<State>>>,
}

struct State {
    max: usize,
    permits: usize,
    /// The waiters that got no permit.
    waiters: Wakers,
}

/// The right to hold one connection. It is released when it is dropped, on any thread. By default
/// there is no limit.
#[derive(Debug, Default)]
pub struct Permit {
    state: Option<Arc<Mutex<State>>>,
}

/// What a stream can hold beside its permit: a count of another limit, which is released when it is
/// dropped.
pub(super) trait Held: fmt::Debug + Send + Sync + UnwindSafe + RefUnwindSafe {}
impl<T: fmt::Debug + Send + Sync + UnwindSafe + RefUnwindSafe> Held for T {}

impl Limit {
    /// Returns a limit of `max` permits, at least one. `None` is no limit.
    pub(crate) fn new(max: Option<usize>) -> Self {
        let state = |max: usize| State { max: max.max(1), permits: 0, waiters: Wakers::default() };
        Limit { state: max.map(|max| Arc::new(Mutex::new(state(max)))) }
    }

    /// Acquires a permit. If there is none, `waker` is woken after one was released, and the caller
    /// must try again.
    pub(crate) fn acquire(&self, waker: &Waker) -> Option<Permit> {
        if let Some(state) = &self.state {
            let mut state = lock(state);
            if state.permits >= state.max {
                state.waiters.register(waker);
                return None;
            }
            state.permits += 1;
        }
        Some(Permit { state: self.state.clone() })
    }

    /// Takes a permit even if there is none left, for what has been accepted already.
    pub(crate) fn force_acquire(&self) -> Permit {
        if let Some(state) = &self.state {
            lock(state).permits += 1;
        }
        Permit { state: self.state.clone() }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(state) = &self.state else { return };
        let mut state = lock(state);
        state.permits -= 1;
        if state.permits < state.max {
            let waiters = std::mem::take(&mut state.waiters);
            drop(state);
            waiters.wake();
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.permits, self.max)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::task::Wake;
    use std::thread;

    use super::*;

    struct Notify(Sender<()>);

    impl Wake for Notify {
        fn wake(self: Arc<Self>) {
            self.0.send(()).unwrap();
        }
    }

    fn waker() -> (Waker, Receiver<()>) {
        let (notify, wakes) = mpsc::channel();
        (Arc::new(Notify(notify)).into(), wakes)
    }

    #[test]
    fn a_permit_released_on_another_thread_wakes_the_waiter_once() {
        let limit = Limit::new(Some(1));
        let (waker, wakes) = waker();
        let permit = limit.acquire(&waker).unwrap();
        assert!(limit.acquire(&waker).is_none() && limit.acquire(&waker).is_none());
        assert!(wakes.try_recv().is_err());
        thread::spawn(move || drop(permit)).join().unwrap();
        assert!(wakes.try_recv().is_ok());
        assert!(wakes.try_recv().is_err(), "woken twice for one permit");
        assert!(limit.acquire(&waker).is_some());
    }

    #[test]
    fn a_forced_permit_counts_and_over_the_limit_no_waiter_is_woken() {
        let limit = Limit::new(Some(1));
        let (waker, wakes) = waker();
        let (first, second) = (limit.force_acquire(), limit.force_acquire());
        assert!(limit.acquire(&waker).is_none());
        drop(first);
        assert!(wakes.try_recv().is_err());
        drop(second);
        assert!(wakes.try_recv().is_ok());
    }

    #[test]
    fn without_a_limit_there_is_always_a_permit() {
        let limit = Limit::new(None);
        let permits: Vec<_> = (0..3).map(|_| limit.acquire(Waker::noop())).collect();
        assert!(permits.iter().all(Option::is_some));
    }
}
