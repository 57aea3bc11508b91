//! A limit of connections that are open at once.

use std::fmt;
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

/// The right to hold one connection. It is released when it is dropped, on any thread.
#[derive(Debug)]
pub struct Permit {
    state: Option<Arc<Mutex<State>>>,
}

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
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(state) = &self.state else { return };
        let mut state = lock(state);
        state.permits -= 1;
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        waiters.wake();
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.permits, self.max)
    }
}
