//! The pool: submitting, reserving, panics, draining.

mod answers;

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

use support::{LONG, expect_panic, on_every_pair_and_noise};
use tripoll::pool::{Pool, SubmitError};
use tripoll::{Context, Reactor};

/// A job that has begun, and ends when this is dropped.
struct Held {
    _go: Sender<()>,
}

/// Submits a job, which has begun when this returns.
fn hold(pool: &Pool) -> Held {
    let (begun, has_begun) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    pool.submit(move || {
        begun.send(()).unwrap();
        let _ = wait.recv();
    })
    .unwrap();
    has_begun.recv_timeout(LONG).unwrap();
    Held { _go: go }
}

/// Submits a job that sends `what`.
fn note(pool: &Pool, what: u32) -> Receiver<u32> {
    let (done, is_done) = mpsc::channel();
    pool.submit(move || done.send(what).unwrap()).unwrap();
    is_done
}

#[test]
fn all_jobs_run_on_the_workers_only() {
    let pool = Pool::new(3, 1_000).unwrap();
    let places = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..1_000 {
        let places = Arc::clone(&places);
        pool.submit(move || places.lock().unwrap().push(thread::current().id())).unwrap();
    }
    pool.drain(LONG).unwrap();
    let mut places = places.lock().unwrap().clone();
    assert_eq!(places.len(), 1_000);
    assert!(!places.contains(&thread::current().id()));
    places.sort_by_key(|id| format!("{id:?}"));
    places.dedup();
    assert!(places.len() <= 3, "{places:?}");
}

#[test]
fn a_full_pool_refuses_and_the_job_is_dropped() {
    let pool = Pool::new(1, 2).unwrap();
    assert_eq!(pool.capacity(), 3);
    let held = hold(&pool);
    let waiting = [note(&pool, 1), note(&pool, 2)];
    assert_eq!(pool.jobs(), 3);
    let (kept, is_dropped) = mpsc::channel::<()>();
    assert_eq!(pool.submit(move || drop(kept)), Err(SubmitError::Full));
    assert!(is_dropped.recv_timeout(LONG).is_err());
    drop(held);
    assert_eq!(waiting.map(|done| done.recv_timeout(LONG).unwrap()), [1, 2]);
}

#[test]
fn counts_and_durations_may_be_extreme() {
    let error = Pool::new(usize::MAX, usize::MAX).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let least = Pool::new(0, 0).unwrap();
    assert_eq!(least.capacity(), 1);
    let most = Pool::new(1, usize::MAX).unwrap();
    assert_eq!(most.capacity(), usize::MAX);
    for (pool, grace) in [(least, Duration::MAX), (most, Duration::MAX)] {
        let done = note(&pool, 1);
        pool.drain(grace).unwrap();
        assert_eq!(done.recv_timeout(LONG), Ok(1));
    }
    // Without any time, only what is done already is done.
    let pool = Pool::new(1, 1).unwrap();
    let held = hold(&pool);
    assert_eq!(pool.drain(Duration::ZERO).unwrap_err().working, 1);
    drop(held);
}

#[test]
fn submit_or_wait_blocks_until_there_is_capacity() {
    let pool = Pool::new(1, 0).unwrap();
    let held = hold(&pool);
    let (done, is_done) = mpsc::channel();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.submit_or_wait(move || done.send(()).unwrap()));
        assert!(is_done.recv_timeout(Duration::from_millis(5)).is_err());
        assert!(!waiting.is_finished());
        drop(held);
        waiting.join().unwrap().unwrap();
    });
    is_done.recv_timeout(LONG).unwrap();
}

/// A waker, and a channel that gets a message for each wake.
fn waker() -> (Waker, Receiver<()>) {
    struct Notify(Sender<()>);

    impl Wake for Notify {
        fn wake(self: Arc<Self>) {
            self.0.send(()).unwrap();
        }
    }

    let (notify, wakes) = mpsc::channel();
    (Arc::new(Notify(notify)).into(), wakes)
}

#[test]
fn waiters_are_woken_once_when_there_is_capacity() {
    let pool = Pool::new(1, 0).unwrap();
    let held = hold(&pool);
    let (first, first_wakes) = waker();
    let (second, second_wakes) = waker(); // several listeners may share a pool
    for waker in [&first, &first, &second] {
        assert!(pool.reserve(waker).is_none());
    }
    assert!(first_wakes.try_recv().is_err());
    drop(held);
    first_wakes.recv_timeout(LONG).unwrap();
    second_wakes.recv_timeout(LONG).unwrap();
    pool.drain(LONG).unwrap();
    assert!(first_wakes.try_recv().is_err(), "it was woken twice");
}

#[test]
fn a_panic_of_a_waker_harms_no_other() {
    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("in a waker");
        }
    }

    expect_panic("in a waker");
    let pool = Pool::new(1, 0).unwrap();
    let held = hold(&pool);
    assert!(pool.reserve(&Arc::new(Panics).into()).is_none());
    let (waker, wakes) = waker();
    assert!(pool.reserve(&waker).is_none());
    drop(held);
    wakes.recv_timeout(LONG).unwrap();
    pool.submit_or_wait(|| ()).unwrap();
    pool.drain(LONG).unwrap();
}

#[test]
fn a_reservation_lasts_until_it_is_used_or_dropped() {
    let pool = Pool::new(1, 0).unwrap();
    let (waker, wakes) = waker();
    let reservation = pool.try_reserve().unwrap();
    assert_eq!(pool.jobs(), 0);
    assert_eq!(pool.submit(|| ()), Err(SubmitError::Full));
    assert!(pool.reserve(&waker).is_none());
    drop(reservation);
    wakes.recv_timeout(LONG).unwrap();

    let reservation = pool.reserve(&waker).unwrap();
    let (done, is_done) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let job = move || {
        let _ = wait.recv();
        done.send(()).unwrap();
    };
    reservation.submit(job).unwrap();
    assert!(pool.reserve(&waker).is_none());
    assert!(wakes.try_recv().is_err()); // it was used, not dropped
    drop(go);
    is_done.recv_timeout(LONG).unwrap();
    wakes.recv_timeout(LONG).unwrap();

    let reservation = pool.try_reserve().unwrap();
    pool.drain(LONG).unwrap(); // does not wait for it
    assert_eq!(reservation.submit(|| ()), Err(SubmitError::Closed));
}

#[test]
fn a_queued_job_that_a_drain_drops_leaves_its_capacity_to_a_waiter() {
    let pool = Pool::new(1, 1).unwrap();
    let held = hold(&pool);
    let _queued = note(&pool, 1);
    let (waker, wakes) = waker();
    assert!(pool.reserve(&waker).is_none());
    assert_eq!(pool.drain(Duration::ZERO).unwrap_err().dropped, 1);
    wakes.try_recv().expect("the waiter was not woken");
    assert!(pool.reserve(&waker).is_some());
    drop(held);
}

#[test]
fn two_workers_that_drain_their_pool_do_not_wait_for_each_other() {
    let pool = Arc::new(Pool::new(2, 0).unwrap());
    let both = Arc::new(Barrier::new(2));
    let (done, is_done) = mpsc::channel();
    for _ in 0..2 {
        let (own, both, done) = (Arc::clone(&pool), Arc::clone(&both), done.clone());
        pool.submit(move || {
            both.wait();
            done.send(own.drain(LONG)).unwrap();
        })
        .unwrap();
    }
    for _ in 0..2 {
        assert_eq!(is_done.recv_timeout(LONG), Ok(Ok(())));
    }
}

#[test]
fn when_all_workers_drain_their_pool_no_queued_job_is_waited_for() {
    let pool = Arc::new(Pool::new(2, 10).unwrap());
    let (begun, has_begun) = mpsc::channel();
    let (done, is_done) = mpsc::channel();
    let mut go = Vec::new();
    for _ in 0..2 {
        let (own, begun, done) = (Arc::clone(&pool), begun.clone(), done.clone());
        let (send, wait) = mpsc::channel::<()>();
        go.push(send);
        pool.submit(move || {
            begun.send(()).unwrap();
            let _ = wait.recv();
            done.send(own.drain(10 * LONG)).unwrap();
        })
        .unwrap();
        has_begun.recv_timeout(LONG).unwrap();
    }
    let queued = note(&pool, 1);
    drop(go);
    let mut dropped = 0;
    for _ in 0..2 {
        let answer = is_done.recv_timeout(LONG).unwrap();
        dropped += answer.err().map_or(0, |unfinished| unfinished.dropped);
    }
    assert_eq!(dropped, 1);
    assert!(queued.recv().is_err());
}

#[test]
fn a_job_that_has_drained_its_pool_is_waited_for_by_others() {
    let pool = Arc::new(Pool::new(1, 10).unwrap());
    let own = Arc::clone(&pool);
    let (drained, has_drained) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    pool.submit(move || {
        drained.send(own.drain(LONG)).unwrap();
        drop(own);
        let _ = wait.recv();
    })
    .unwrap();
    assert_eq!(has_drained.recv_timeout(LONG).unwrap(), Ok(()));
    assert_eq!(pool.drain(Duration::ZERO).unwrap_err().working, 1);
    thread::scope(|scope| {
        let draining = scope.spawn(|| pool.drain(LONG));
        drop(go);
        assert_eq!(draining.join().unwrap(), Ok(()));
    });
    assert_eq!(pool.counters().done, 1);
}

#[test]
fn a_panic_ends_one_job() {
    expect_panic("in a job");
    let pool = Pool::new(1, 10).unwrap();
    pool.submit(|| panic!("in a job")).unwrap();
    assert_eq!(note(&pool, 7).recv_timeout(LONG), Ok(7));
    assert_eq!(pool.panics(), 1);
    pool.drain(LONG).unwrap();
}

#[test]
fn answers_and_panics_come_back_to_the_loop() {
    expect_panic("in a job");
    on_every_pair_and_noise(|pair| {
        let pool = Pool::new(2, 10).unwrap();
        let mut reactor = pair.reactor(Vec::new());
        let handle = reactor.handle();
        let home = thread::current().id();
        let answer = move |answer: Result<u32, tripoll::pool::Panicked>,
                           cx: &mut Context<Vec<Result<u32, String>>>| {
            assert_eq!(thread::current().id(), home);
            cx.state.push(answer.map_err(|panic| panic.to_string()));
            if cx.state.len() == 2 {
                cx.stop();
            }
        };
        pool.submit_for(&handle, || 6 * 7, answer).unwrap();
        pool.submit_for(&handle, || panic!("in a job"), answer).unwrap();
        reactor.run().unwrap();
        reactor.state_mut().sort();
        assert_eq!(*reactor.state(), [Ok(42), Err("panicked: in a job".into())]);
        assert_eq!(pool.panics(), 1);
    });
}

/// The loop submits more jobs than the pool has room for, and waits for room by its handle.
#[test]
fn the_answers_of_many_jobs_come_back_once_each() {
    const JOBS: u32 = 300;
    /// What is left to submit, and what has come back.
    type State = (u32, Vec<u32>);
    fn submit(pool: &Arc<Pool>, cx: &mut Context<State>) {
        struct Again(Arc<Pool>, tripoll::ReactorHandle<State>);
        impl Wake for Again {
            fn wake(self: Arc<Self>) {
                let pool = Arc::clone(&self.0);
                self.1.post(move |cx| submit(&pool, cx)).unwrap();
            }
        }
        while cx.state.0 > 0 {
            let again = Again(Arc::clone(pool), cx.handle());
            let Some(reservation) = pool.reserve(&Arc::new(again).into()) else { return };
            cx.state.0 -= 1;
            let (job, handle) = (cx.state.0, cx.handle());
            let back = move |cx: &mut Context<State>| {
                cx.state.1.push(job);
                if cx.state.1.len() == JOBS as usize {
                    cx.stop();
                }
            };
            reservation.submit(move || handle.post(back).unwrap()).unwrap();
        }
    }
    on_every_pair_and_noise(|pair| {
        let pool = Arc::new(Pool::new(2, 3).unwrap());
        let mut reactor = pair.reactor::<State>((JOBS, Vec::new()));
        submit(&pool, &mut reactor.context());
        reactor.run().unwrap();
        reactor.state_mut().1.sort_unstable();
        assert!(reactor.state().1.iter().copied().eq(0..JOBS));
        pool.drain(LONG).unwrap();
        assert_eq!(pool.panics(), 0);
    });
}

#[test]
fn an_answer_for_a_dropped_reactor_is_dropped() {
    let pool = Pool::new(1, 10).unwrap();
    let reactor = Reactor::new().unwrap();
    let handle = reactor.handle();
    drop(reactor);
    pool.submit_for(&handle, || (), |_, _| panic!("there is no loop")).unwrap();
    pool.drain(LONG).unwrap();
    assert_eq!(pool.panics(), 0);
}

#[test]
fn draining_refuses_new_jobs_and_finishes_the_others() {
    let pool = Pool::new(1, 10).unwrap();
    let held = hold(&pool);
    let waiting = note(&pool, 1);
    thread::scope(|scope| {
        let draining = scope.spawn(|| pool.drain(LONG));
        while pool.submit(|| ()) != Err(SubmitError::Closed) {
            thread::yield_now();
        }
        assert_eq!(pool.submit_or_wait(|| ()), Err(SubmitError::Closed));
        drop(held);
        draining.join().unwrap().unwrap();
    });
    assert_eq!(waiting.try_recv(), Ok(1));
    pool.drain(LONG).unwrap(); // twice is once
}

#[test]
fn draining_ends_at_its_deadline() {
    let pool = Pool::new(1, 10).unwrap();
    let held = hold(&pool);
    let waiting = note(&pool, 1);
    let unfinished = pool.drain(Duration::from_millis(1)).unwrap_err();
    assert_eq!((unfinished.dropped, unfinished.working), (1, 1));
    assert!(waiting.recv_timeout(LONG).is_err());
    drop(held);
    pool.drain(LONG).unwrap();
}

#[test]
fn draining_wakes_a_blocked_submit_or_wait() {
    let pool = Pool::new(1, 0).unwrap();
    let held = hold(&pool);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.submit_or_wait(|| ()));
        assert!(pool.drain(Duration::from_millis(1)).is_err());
        assert_eq!(waiting.join().unwrap(), Err(SubmitError::Closed));
    });
    drop(held);
}

#[test]
fn a_worker_that_drains_its_own_pool_does_not_wait_for_itself() {
    let pool = Arc::new(Pool::new(2, 10).unwrap());
    let (done, is_done) = mpsc::channel();
    let own = Arc::clone(&pool);
    pool.submit(move || done.send(own.drain(LONG)).unwrap()).unwrap();
    assert_eq!(is_done.recv_timeout(LONG).unwrap(), Ok(()));
}

#[test]
fn a_dropped_pool_drops_its_queued_jobs() {
    let pool = Pool::new(1, 10).unwrap();
    let held = hold(&pool);
    let waiting = note(&pool, 1);
    drop(pool);
    assert!(waiting.recv_timeout(LONG).is_err());
    drop(held);
}

#[test]
fn the_counters_say_what_was_done_and_what_had_to_wait() {
    let pool = Pool::new(2, 1).unwrap();
    let held = [hold(&pool), hold(&pool)];
    let waiting = note(&pool, 1);
    assert_eq!(pool.submit(|| ()), Err(SubmitError::Full));
    let counters = pool.counters();
    assert_eq!((counters.working, counters.queued), (2, 1));
    assert_eq!((counters.done, counters.waited, counters.refused), (0, 1, 1));
    drop(held);
    assert_eq!(waiting.recv_timeout(LONG), Ok(1));
    pool.drain(LONG).unwrap();
    let counters = pool.counters();
    assert_eq!((counters.working, counters.queued), (0, 0));
    assert_eq!((counters.done, counters.waited, counters.panics), (3, 1, 0));
}
