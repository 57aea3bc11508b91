//! The queue, and what a worker does.
//!
//! A wake is a system call, so only a sleeping worker is woken, and only if no wake is on its way
//! to it already: `sleeping` counts the workers that wait, `woken` the wakes that none of them has
//! noticed yet. Whoever wakes, for whatever reason, takes one off; a wake that finds nothing to do
//! is harmless, one that is missing would not be.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::task::Waker;
use std::time::Instant;

use super::{SubmitError, Unfinished};
use crate::sync::{Panicked, Wakers, catch_panic, lock, wait_until};

pub(super) type Job = Box<dyn FnOnce() + Send>;

pub(super) struct Queue {
    state: Mutex<State>,
    /// For workers.
    has_job: Condvar,
    /// For those who wait for room, or for the end.
    changed: Condvar,
    workers: usize,
    capacity: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    working: usize,
    sleeping: usize,
    woken: usize,
    /// Places that are kept for jobs to come.
    reserved: usize,
    is_closed: bool,
    /// Whom to call when there is room.
    waiters: Wakers,
    /// How many threads wait for a change.
    blocked: usize,
    /// How many of the workers wait for the end of the others.
    draining_workers: usize,
    panics: u64,
}

impl State {
    fn jobs(&self) -> usize {
        self.waiting.len() + self.working
    }

    fn has_room(&self, capacity: usize) -> bool {
        self.jobs() + self.reserved < capacity
    }
}

impl Queue {
    pub(super) fn new(workers: usize, length: usize) -> Self {
        Queue {
            state: Mutex::default(),
            has_job: Condvar::new(),
            changed: Condvar::new(),
            workers,
            capacity: workers.saturating_add(length),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn jobs(&self) -> usize {
        self.state().jobs()
    }

    pub(super) fn panics(&self) -> u64 {
        self.state().panics
    }

    pub(super) fn put(&self, job: Job, wait: bool) -> Result<(), SubmitError> {
        let mut state = self.state();
        while !state.has_room(self.capacity) && !state.is_closed {
            if !wait {
                return Err(SubmitError::Full);
            }
            state.blocked += 1;
            (state, _) = wait_until(&self.changed, state, None);
            state.blocked -= 1;
        }
        self.add(state, job)
    }

    fn add(&self, mut state: MutexGuard<'_, State>, job: Job) -> Result<(), SubmitError> {
        if state.is_closed {
            drop(state); // before the job, which may own anything
            return Err(SubmitError::Closed);
        }
        state.waiting.push_back(job);
        if state.sleeping > state.woken {
            state.woken += 1;
            drop(state);
            self.has_job.notify_one();
        }
        Ok(())
    }

    /// Keeps a place for a job to come; if there is none, remembers whom to call.
    pub(super) fn reserve(&self, waker: &Waker) -> bool {
        let mut state = self.state();
        let has_room = state.has_room(self.capacity);
        if has_room {
            state.reserved += 1;
        } else {
            state.waiters.register(waker);
        }
        has_room
    }

    /// Takes a job for a place that was kept, and is then given up.
    pub(super) fn fill(&self, job: Job) -> Result<(), SubmitError> {
        self.add(self.state(), job)
    }

    /// Gives up a place that was kept.
    pub(super) fn release(&self) {
        let mut state = self.state();
        state.reserved -= 1;
        if state.has_room(self.capacity) {
            self.notify_room(state);
        }
    }

    fn notify_room(&self, mut state: MutexGuard<'_, State>) {
        let waiters = std::mem::take(&mut state.waiters);
        let is_watched = state.blocked > 0;
        drop(state);
        if is_watched {
            self.changed.notify_all();
        }
        waiters.wake();
    }

    /// The life of a worker.
    pub(super) fn work(&self) {
        let mut state = self.state();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                state.working += 1;
                drop(state);
                if let Err(panic) = catch_panic(job) {
                    self.note_panic(&panic);
                }
                state = self.state();
                state.working -= 1;
                self.notify_room(state);
                state = self.state();
            } else if state.is_closed {
                return;
            } else {
                state.sleeping += 1;
                (state, _) = wait_until(&self.has_job, state, None);
                state.sleeping -= 1;
                state.woken = state.woken.saturating_sub(1);
            }
        }
    }

    pub(super) fn note_panic(&self, panic: &Panicked) {
        log::error!("a job in the pool {panic}");
        self.state().panics += 1;
    }

    /// Takes no more jobs, and waits until all are done; a worker does not wait for itself, nor for
    /// another that waits as it does. When all of them do, nobody is left to do what waits.
    pub(super) fn drain(&self, deadline: Option<Instant>, is_worker: bool) -> Unfinished {
        let mut state = self.state();
        state.is_closed = true;
        state.draining_workers += usize::from(is_worker);
        self.has_job.notify_all();
        self.changed.notify_all();
        let exempt = |state: &State| if is_worker { state.draining_workers } else { 0 };
        while state.jobs() > exempt(&state) && state.draining_workers < self.workers {
            state.blocked += 1;
            let is_late;
            (state, is_late) = wait_until(&self.changed, state, deadline);
            state.blocked -= 1;
            if is_late {
                break;
            }
        }
        let dropped = std::mem::take(&mut state.waiting);
        let working = state.working.saturating_sub(exempt(&state));
        let unfinished = Unfinished { dropped: dropped.len(), working };
        state.draining_workers -= usize::from(is_worker);
        drop(state);
        drop(dropped); // outside the lock: a job may own anything
        unfinished
    }

    /// Takes no more jobs, and forgets those that wait.
    pub(super) fn close(&self) {
        self.drain(Some(Instant::now()), false);
    }
}
