//! The pool: each accepted job runs, and each waiter for capacity gets it or is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use loom::sync::Notify;
use loom::thread;
use tripoll::pool::{Pool, SubmitError};

use crate::in_every_interleaving;
use crate::parker::block_on;

/// Counts jobs. It takes no part in the interleavings.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn job(&self) -> impl FnOnce() + Send + 'static {
        let count = self.clone();
        move || {
            count.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn value(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Waits for all jobs, without a deadline.
fn drain(pool: &Pool) {
    pool.drain(Duration::MAX).unwrap();
}

#[test]
fn jobs_that_wait_for_capacity_run() {
    in_every_interleaving(|| {
        let (pool, done) = (Arc::new(Pool::new(1, 0).unwrap()), Count::default());
        let threads = [(); 2].map(|()| {
            let (pool, job) = (Arc::clone(&pool), done.job());
            thread::spawn(move || pool.submit_or_wait(job).unwrap())
        });
        threads.map(|thread| thread.join().unwrap());
        drain(&pool);
        assert_eq!(done.value(), 2);
    });
}

#[test]
fn each_job_wakes_a_sleeping_worker() {
    in_every_interleaving(|| {
        let pool = Pool::new(1, 0).unwrap();
        for _ in 0..2 {
            let done = Arc::new(Notify::new());
            let job = Arc::clone(&done);
            pool.submit_or_wait(move || job.notify()).unwrap();
            done.wait();
        }
        drain(&pool);
    });
}

#[test]
fn two_workers_run_all_jobs() {
    in_every_interleaving(|| {
        let (pool, done) = (Pool::new(2, 1).unwrap(), Count::default());
        for _ in 0..3 {
            pool.submit_or_wait(done.job()).unwrap();
        }
        drain(&pool);
        assert_eq!(done.value(), 3);
    });
}

#[test]
fn a_reservation_gives_capacity_once() {
    in_every_interleaving(|| {
        let (pool, done) = (Arc::new(Pool::new(1, 0).unwrap()), Count::default());
        let threads = [(); 2].map(|()| {
            let (pool, job) = (Arc::clone(&pool), done.job());
            thread::spawn(move || {
                let reservation = block_on(|waker| pool.reserve(waker));
                assert!(pool.try_reserve().is_none(), "capacity was reserved twice");
                reservation.submit(job).unwrap();
            })
        });
        threads.map(|thread| thread.join().unwrap());
        drain(&pool);
        assert_eq!(done.value(), 2);
    });
}

#[test]
fn a_dropped_reservation_wakes_the_waiter() {
    in_every_interleaving(|| {
        let pool = Arc::new(Pool::new(1, 0).unwrap());
        let threads = [(); 2].map(|()| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || drop(block_on(|waker| pool.reserve(waker))))
        });
        threads.map(|thread| thread.join().unwrap());
        drain(&pool);
    });
}

#[test]
fn a_drain_waits_for_accepted_jobs_and_refuses_the_others() {
    in_every_interleaving(|| {
        let (pool, done) = (Arc::new(Pool::new(1, 0).unwrap()), Count::default());
        let threads = [(); 2].map(|()| {
            let (pool, job) = (Arc::clone(&pool), done.job());
            thread::spawn(move || pool.submit_or_wait(job))
        });
        drain(&pool);
        let at_return = done.value();
        let accepted = threads.map(|thread| thread.join().unwrap());
        assert_eq!(accepted.iter().filter(|accepted| accepted.is_ok()).count(), at_return);
        assert!(accepted.iter().all(|a| a.is_ok() || *a == Err(SubmitError::Closed)));
        assert_eq!(done.value(), at_return, "a job ran after the drain");
    });
}

#[test]
fn a_drain_refuses_a_thread_that_waits_for_capacity() {
    in_every_interleaving(|| {
        let pool = Arc::new(Pool::new(1, 0).unwrap());
        let reservation = pool.try_reserve().unwrap();
        let blocked = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.submit_or_wait(|| ())
        });
        drain(&pool);
        assert_eq!(blocked.join().unwrap(), Err(SubmitError::Closed));
        drop(reservation);
    });
}

#[test]
fn a_waiter_for_capacity_is_woken_when_the_queued_job_is_dropped() {
    in_every_interleaving(|| {
        let (pool, done) = (Arc::new(Pool::new(1, 0).unwrap()), Count::default());
        pool.submit(done.job()).unwrap();
        let waiter = thread::spawn({
            let pool = Arc::clone(&pool);
            move || drop(block_on(|waker| pool.reserve(waker)))
        });
        let dropped = pool.drain(Duration::ZERO).map_or_else(|left| left.dropped, |()| 0);
        waiter.join().unwrap();
        drain(&pool);
        assert_eq!(done.value() + dropped, 1);
    });
}

#[test]
fn a_drain_ends_when_another_one_drops_the_queued_job() {
    in_every_interleaving(|| {
        let (pool, done) = (Arc::new(Pool::new(1, 0).unwrap()), Count::default());
        pool.submit(done.job()).unwrap();
        let patient = thread::spawn({
            let pool = Arc::clone(&pool);
            move || drain(&pool)
        });
        let dropped = pool.drain(Duration::ZERO).map_or_else(|left| left.dropped, |()| 0);
        patient.join().unwrap();
        assert_eq!(done.value() + dropped, 1);
    });
}

#[test]
fn workers_that_drain_their_own_pool_do_not_wait_for_each_other() {
    in_every_interleaving(|| {
        let pool = Arc::new(Pool::new(2, 0).unwrap());
        let done = Count::default();
        for _ in 0..2 {
            let (inner, job) = (Arc::clone(&pool), done.job());
            let _ = pool.submit(move || {
                drain(&inner);
                job();
            });
        }
        drain(&pool);
        assert!(done.value() > 0);
    });
}
