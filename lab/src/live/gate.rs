//! The gate, at which the subject stops: before its wait, and after its wait, before the dispatch.
//!
//! The observer opens it for a number of turns, or for all. While the subject stands at the gate, the
//! kernel goes on: bytes arrive, buffers fill, the backlog grows.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::control::{Change, Until};
use super::record::Place;

/// What the subject does next.
#[derive(Debug)]
pub enum Order {
    /// One turn.
    Turn,
    /// A change of its settings.
    Change(Change),
    /// Nothing: it stands at the gate. Its state may have changed.
    Look,
    /// It ends.
    End,
}

/// The gate.
pub struct Gate {
    state: Mutex<State>,
    moved: Condvar,
}

struct State {
    place: Place,
    is_running: bool,
    until: Option<Until>,
    /// The turns that it may still make.
    left: u64,
    /// Whether it stops after the next wait.
    stops_after_wait: bool,
    changes: VecDeque<Change>,
    /// Whether a wait that has begun should end.
    ends_wait: bool,
    is_ended: bool,
    /// What ends its wait.
    nudge: Option<Box<dyn Fn() + Send>>,
    /// The call in which it is.
    inside: Option<Inside>,
}

/// The call in which the subject is.
#[derive(Debug, Clone, Copy)]
pub struct Inside {
    /// The turn.
    pub turn: u64,
    /// The descriptor.
    pub fd: Option<i32>,
    /// The call.
    pub what: &'static str,
    /// When it began.
    pub since: Instant,
}

/// How often the subject looks around while it stands at the gate.
const LOOKS: Duration = Duration::from_millis(100);

impl Gate {
    /// Returns a closed gate.
    pub fn new() -> Self {
        let state = State {
            place: Place::Before,
            is_running: false,
            until: None,
            left: 0,
            stops_after_wait: false,
            changes: VecDeque::new(),
            ends_wait: false,
            is_ended: false,
            nudge: None,
            inside: None,
        };
        Gate { state: Mutex::new(state), moved: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns where the subject stands.
    pub fn place(&self) -> Place {
        self.state().place
    }

    /// Returns whether the subject has done what it was told to: it stands, or runs without an end.
    pub fn is_still(&self) -> bool {
        let state = self.state();
        let stands = state.left == 0 && state.place != Place::Running;
        let has_ended = state.place == Place::Dead;
        let runs_freely = state.is_running && state.until.is_none();
        has_ended || (stands && !state.is_running || runs_freely) && state.changes.is_empty()
    }

    /// Returns until when the subject runs.
    pub fn until(&self) -> Option<Until> {
        self.state().until
    }

    /// Returns whether the subject runs freely: its turns may be too many to record all of them.
    pub fn is_running(&self) -> bool {
        self.state().is_running
    }

    /// Returns the call in which the subject is.
    pub fn inside(&self) -> Option<Inside> {
        self.state().inside
    }

    // What the observer does.

    fn change_state(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        if let Some(nudge) = &state.nudge {
            nudge();
        }
        self.moved.notify_all();
    }

    /// Opens the gate for all turns, or until something happens.
    pub fn run(&self, until: Option<Until>) {
        self.change_state(|state| {
            (state.is_running, state.until, state.stops_after_wait) = (true, until, false);
            state.leave_after();
        });
    }

    /// Closes the gate. The turn that has begun ends.
    pub fn pause(&self) {
        self.change_state(|state| {
            (state.is_running, state.until, state.left) = (false, None, 0);
            state.ends_wait = true;
        });
    }

    /// Opens the gate for `turns` turns. After a [`reveal`](Self::reveal) the first one is that which
    /// has begun.
    pub fn step(&self, turns: u64) {
        self.change_state(|state| {
            (state.is_running, state.until, state.stops_after_wait) = (false, None, false);
            state.left = turns;
            if state.place == Place::After {
                state.left -= 1;
            }
            state.leave_after();
        });
    }

    /// Opens the gate for the next wait. The subject stops before the dispatch.
    pub fn reveal(&self) {
        self.change_state(|state| {
            (state.is_running, state.until, state.stops_after_wait) = (false, None, true);
            state.left = 1;
            state.leave_after();
        });
    }

    /// Gives the subject a change of its settings. It is made between turns.
    pub fn change(&self, change: Change) {
        self.change_state(|state| state.changes.push_back(change));
    }

    /// Lets the subject end.
    pub fn end(&self) {
        self.change_state(|state| {
            state.is_ended = true;
            state.leave_after();
        });
    }

    // What the subject does.

    /// Sets what ends the subject's wait.
    pub fn set_nudge(&self, nudge: impl Fn() + Send + 'static) {
        self.state().nudge = Some(Box::new(nudge));
    }

    /// Returns whether a wait should end, although nothing was reported.
    pub fn wants_attention(&self) -> bool {
        let state = self.state();
        state.ends_wait || state.is_ended || !state.changes.is_empty()
    }

    /// Waits before a wait, until there is something to do.
    pub fn before_wait(&self) -> Order {
        let mut state = self.state();
        if state.is_ended {
            return Order::End;
        }
        if let Some(change) = state.changes.pop_front() {
            return Order::Change(change);
        }
        if state.is_running || state.left > 0 {
            if !state.is_running {
                state.left -= 1;
            }
            (state.place, state.ends_wait) = (Place::Running, false);
            return Order::Turn;
        }
        if std::mem::replace(&mut state.place, Place::Before) != Place::Before {
            return Order::Look;
        }
        drop(self.moved.wait_timeout(state, LOOKS).unwrap_or_else(PoisonError::into_inner));
        Order::Look
    }

    /// Waits after a wait, if the subject must stop there. `look` is called at once and while it waits.
    pub fn after_wait(&self, mut look: impl FnMut()) {
        let mut state = self.state();
        if !std::mem::take(&mut state.stops_after_wait) {
            return;
        }
        state.place = Place::After;
        while state.place == Place::After && !state.is_ended {
            drop(state);
            look();
            state = self.state();
            if state.place == Place::After && !state.is_ended {
                let waited = self.moved.wait_timeout(state, LOOKS);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// Returns whether the subject may make another turn.
    pub fn is_open(&self) -> bool {
        let state = self.state();
        state.is_running || state.left > 0
    }

    /// Ends what the subject was opened for.
    pub fn reached(&self) {
        let mut state = self.state();
        (state.is_running, state.until, state.left) = (false, None, 0);
    }

    /// Notes that the subject has ended with an error.
    pub fn died(&self) {
        let mut state = self.state();
        (state.is_running, state.until, state.left) = (false, None, 0);
        (state.place, state.inside) = (Place::Dead, None);
    }

    /// Waits for the end of a subject that has died. Changes are dropped.
    pub fn wait_for_end(&self) {
        let mut state = self.state();
        while !state.is_ended {
            state.changes.clear();
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Notes the call in which the subject is.
    pub fn set_inside(&self, inside: Option<Inside>) {
        self.state().inside = inside;
    }
}

impl State {
    /// Leaves the gate after the wait.
    fn leave_after(&mut self) {
        if self.place == Place::After {
            self.place = Place::Running;
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Gate::new()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("place", &self.place()).finish_non_exhaustive()
    }
}
