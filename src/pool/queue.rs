//! The queue of a pool, and the loop of its workers.
//!
//! A wake is a system call, so only a sleeping worker is woken, and only if no wake is on its way
//! to it already. `sleeping` counts the sleeping workers, `woken` the wakes that no worker has
//! noticed yet. A worker that wakes up, for whatever reason, decrements `woken`. A spurious wake is
//! harmless; a missing one would leave a job in the queue.
//!
//! Many jobs are short, and the next one comes soon. So a worker without a job looks again, for about a
//! microsecond, before it sleeps: that is less than a sleep and a wake cost.

use std::collections::VecDeque;
use std::hint;
use std::task::Waker;
use std::time::Instant;

use super::counters::PoolCounters;
use super::error::{SubmitError, Unfinished};
use crate::sync::{Condvar, Mutex, MutexGuard, Panicked, Wakers, catch_panic, lock, wait_until};

/// A job gets the queue that runs it.
pub(super) type Job = Box<dyn FnOnce(&Queue) + Send>;

/// How often a worker looks for a job again before it sleeps. Loom's threads have no time.
const LOOKS: u32 = if cfg!(loom) { 0 } else { 2 };

/// The pauses before each look.
const PAUSES: u32 = 20;

pub(super) struct Queue {
    state: Mutex<State>,
    /// Wakes sleeping workers.
    has_job: Condvar,
    /// Wakes threads that wait for capacity, or for the end.
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
    /// The number of reservations.
    reserved: usize,
    is_closed: bool,
    /// Woken when there is capacity.
    waiters: Wakers,
    /// The number of threads that wait for `changed`.
    blocked: usize,
    /// The number of workers that wait for the end of the other ones.
    draining_workers: usize,
    panics: u64,
    done: u64,
    waited: u64,
    refused: u64,
}

impl State {
    fn jobs(&self) -> usize {
        self.waiting.len() + self.working
    }

    fn has_capacity(&self, capacity: usize) -> bool {
        self.jobs() + self.reserved < capacity
    }

    fn is_capacity_awaited(&self) -> bool {
        self.blocked > 0 || !self.waiters.is_empty()
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

    pub(super) fn counters(&self) -> PoolCounters {
        let state = self.state();
        PoolCounters {
            queued: state.waiting.len(),
            working: state.working,
            done: state.done,
            waited: state.waited,
            refused: state.refused,
            panics: state.panics,
        }
    }

    pub(super) fn put(&self, job: Job, wait: bool) -> Result<(), SubmitError> {
        let mut state = self.state();
        while !state.has_capacity(self.capacity) && !state.is_closed {
            if !wait {
                state.refused += 1;
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
            drop(state); // unlock before the job is dropped: it may own anything
            return Err(SubmitError::Closed);
        }
        // Every job passes the queue. One waits there if no worker is free to take it.
        let idle = self.workers.saturating_sub(state.working);
        state.waited += u64::from(state.waiting.len() >= idle);
        state.waiting.push_back(job);
        if state.sleeping > state.woken {
            state.woken += 1;
            drop(state);
            self.has_job.notify_one();
        }
        Ok(())
    }

    /// Reserves capacity for a job. Registers `waker` if there is none.
    pub(super) fn reserve(&self, waker: &Waker) -> bool {
        let mut state = self.state();
        let has_capacity = state.has_capacity(self.capacity);
        if has_capacity {
            state.reserved += 1;
        } else {
            state.waiters.register(waker);
        }
        has_capacity
    }

    /// Adds a job for which capacity is reserved. The caller releases the reservation afterwards.
    pub(super) fn fill(&self, job: Job) -> Result<(), SubmitError> {
        self.add(self.state(), job)
    }

    /// Releases a reservation.
    pub(super) fn release(&self) {
        let mut state = self.state();
        state.reserved -= 1;
        if state.has_capacity(self.capacity) {
            self.notify_capacity(state);
        }
    }

    fn notify_capacity(&self, mut state: MutexGuard<'_, State>) {
        let waiters = std::mem::take(&mut state.waiters);
        let is_awaited = state.blocked > 0;
        drop(state);
        if is_awaited {
            self.changed.notify_all();
        }
        waiters.wake();
    }

    /// Runs jobs on a worker's thread until the queue is closed and empty.
    pub(super) fn work(&self) {
        let mut state = self.state();
        let mut looks = 0;
        loop {
            if let Some(job) = state.waiting.pop_front() {
                looks = 0;
                state.working += 1;
                drop(state);
                let _ = self.run(|| job(self));
                state = self.state();
                state.working -= 1;
                state.done += 1;
                if state.is_capacity_awaited() {
                    self.notify_capacity(state);
                    state = self.state();
                }
            } else if state.is_closed {
                return;
            } else if looks < LOOKS {
                drop(state);
                (0..PAUSES).for_each(|_| hint::spin_loop());
                looks += 1;
                state = self.state();
            } else {
                looks = 0;
                state.sleeping += 1;
                (state, _) = wait_until(&self.has_job, state, None);
                state.sleeping -= 1;
                state.woken = state.woken.saturating_sub(1);
            }
        }
    }

    /// Runs the work of a job whose result is passed on. Counts its panic.
    pub(super) fn run<T>(&self, work: impl FnOnce() -> T) -> Result<T, Panicked> {
        let result = catch_panic(work);
        if let Err(panic) = &result {
            self.note_panic(panic);
        }
        result
    }

    fn note_panic(&self, panic: &Panicked) {
        log::error!("a job in the pool {panic}");
        self.state().panics += 1;
    }

    /// Closes the queue, and waits until all jobs are done. A worker does not wait for itself, nor
    /// for another draining worker. When all workers drain, none is left to run the queued jobs.
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
        if !dropped.is_empty() {
            self.notify_capacity(state);
        }
        drop(dropped); // outside the lock: a job may own anything
        unfinished
    }

    /// Closes the queue, and drops the queued jobs.
    pub(super) fn close(&self) {
        self.drain(Some(Instant::now()), false);
    }
}
