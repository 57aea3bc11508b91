//! The pool: what it takes, what it refuses, and how it ends.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use support::LONG;
use tripoll::pool::{Call, Pool, Reservation, SubmitError};
use tripoll::{Context, Reactor};

/// A job that has begun, and ends when this is dropped.
struct Held {
    _go: Sender<()>,
}

/// Gives `pool` a job that is being done when this returns.
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

/// A job, and whether it was done.
fn note(pool: &Pool, what: u32) -> Receiver<u32> {
    let (done, is_done) = mpsc::channel();
    pool.submit(move || done.send(what).unwrap()).unwrap();
    is_done
}

#[test]
fn all_jobs_are_done_by_the_workers_and_by_nobody_else() {
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
fn whoever_can_wait_waits_for_room() {
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

/// Asks for a place, and hears the calls as long as the call is kept.
fn ask(pool: &Pool) -> (Option<Reservation>, Call, Receiver<()>) {
    let (call, calls) = mpsc::channel();
    let call = Call::new(move || call.send(()).unwrap());
    (pool.reserve(Some(&call)), call, calls)
}

#[test]
fn whoever_pauses_is_called_when_there_is_room() {
    let pool = Pool::new(1, 0).unwrap();
    let held = hold(&pool);
    let (place, call, calls) = ask(&pool);
    assert!(place.is_none() && pool.reserve(Some(&call)).is_none());
    let (_, _call, others) = ask(&pool); // there may be several who share a pool
    let (_, gone, silence) = ask(&pool);
    drop(gone);
    assert!(silence.recv_timeout(LONG).is_err());
    assert!(calls.try_recv().is_err());
    drop(held);
    calls.recv_timeout(LONG).unwrap();
    others.recv_timeout(LONG).unwrap();
    pool.drain(LONG).unwrap();
    assert!(calls.try_recv().is_err(), "it was called twice for one room");
}

#[test]
fn a_call_that_panics_harms_nobody() {
    let pool = Pool::new(1, 0).unwrap();
    let held = hold(&pool);
    let panics = Call::new(|| panic!("on the phone"));
    assert!(pool.reserve(Some(&panics)).is_none());
    let (_, _call, calls) = ask(&pool);
    drop(held);
    calls.recv_timeout(LONG).unwrap();
    pool.submit_or_wait(|| ()).unwrap();
    pool.drain(LONG).unwrap();
}

#[test]
fn a_place_is_kept_until_it_is_filled_or_given_up() {
    let pool = Pool::new(1, 0).unwrap();
    let place = pool.reserve(None).unwrap();
    assert_eq!(pool.jobs(), 0);
    assert_eq!(pool.submit(|| ()), Err(SubmitError::Full));
    let (none, call, calls) = ask(&pool);
    assert!(none.is_none());
    drop(place);
    calls.recv_timeout(LONG).unwrap();

    let place = pool.reserve(Some(&call)).unwrap();
    let (done, is_done) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let job = move || {
        let _ = wait.recv();
        done.send(()).unwrap();
    };
    place.submit(job).unwrap();
    assert!(pool.reserve(Some(&call)).is_none());
    assert!(calls.try_recv().is_err()); // it was filled, not given up
    drop(go);
    is_done.recv_timeout(LONG).unwrap();
    calls.recv_timeout(LONG).unwrap();

    let place = pool.reserve(None).unwrap();
    pool.drain(LONG).unwrap(); // for nobody
    assert_eq!(place.submit(|| ()), Err(SubmitError::Closed));
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
fn a_panic_ends_one_job() {
    let pool = Pool::new(1, 10).unwrap();
    pool.submit(|| panic!("at the disco")).unwrap();
    assert_eq!(note(&pool, 7).recv_timeout(LONG), Ok(7));
    assert_eq!(pool.panics(), 1);
    pool.drain(LONG).unwrap();
}

#[test]
fn answers_and_panics_come_back_to_the_loop() {
    let pool = Pool::new(2, 10).unwrap();
    let mut reactor = Reactor::builder().build_with(Vec::new()).unwrap();
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
    pool.submit_for(&handle, || panic!("at the disco"), answer).unwrap();
    reactor.run().unwrap();
    reactor.state().sort();
    assert_eq!(*reactor.state(), [Ok(42), Err("panicked: at the disco".into())]);
    assert_eq!(pool.panics(), 1);
}

#[test]
fn an_answer_that_nobody_waits_for_is_dropped() {
    let pool = Pool::new(1, 10).unwrap();
    let reactor = Reactor::new().unwrap();
    let handle = reactor.handle();
    drop(reactor);
    pool.submit_for(&handle, || (), |_, _| panic!("there is no loop")).unwrap();
    pool.drain(LONG).unwrap();
    assert_eq!(pool.panics(), 0);
}

#[test]
fn draining_takes_no_more_and_does_what_there_is() {
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
fn draining_has_an_end() {
    let pool = Pool::new(1, 10).unwrap();
    let held = hold(&pool);
    let waiting = note(&pool, 1);
    let undone = pool.drain(Duration::from_millis(1)).unwrap_err();
    assert_eq!((undone.dropped, undone.working), (1, 1));
    assert!(waiting.recv_timeout(LONG).is_err());
    drop(held);
    pool.drain(LONG).unwrap();
}

#[test]
fn draining_wakes_whoever_waits_for_room() {
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
fn a_pool_that_is_dropped_forgets_what_waits() {
    let pool = Pool::new(1, 10).unwrap();
    let held = hold(&pool);
    let waiting = note(&pool, 1);
    drop(pool);
    assert!(waiting.recv_timeout(LONG).is_err());
    drop(held);
}
