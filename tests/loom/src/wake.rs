//! The wake protocol: what threads post to a loop is found, whatever the loop is doing.

use std::sync::Arc;
use std::time::Instant;

use loom::thread;
use tripoll::{Deadline, Reactor};

use crate::in_every_interleaving;
use crate::selector::ModelSelector;

fn reactor() -> Reactor<Vec<u32>> {
    Reactor::builder().selector(ModelSelector::default()).build_with(Vec::new()).unwrap()
}

#[test]
fn the_jobs_of_two_threads_run_although_the_loop_sleeps() {
    in_every_interleaving(|| {
        let mut reactor = reactor();
        let threads = [1, 2].map(|number| {
            let handle = reactor.handle();
            thread::spawn(move || handle.post(move |cx| cx.state.push(number)).unwrap())
        });
        while reactor.state().len() < 2 {
            reactor.turn(Deadline::Never).unwrap();
        }
        threads.map(|thread| thread.join().unwrap());
        let counters = reactor.context().counters();
        assert_eq!(counters.wakes + counters.wakes_saved, 2);
        assert!(counters.wakes <= counters.turns, "a sleep needs one wake: {counters:?}");
    });
}

#[test]
fn a_wake_that_meets_the_end_of_a_sleep_is_not_lost() {
    in_every_interleaving(|| {
        let mut reactor = reactor();
        let threads = [1, 2].map(|number| {
            let handle = reactor.handle();
            thread::spawn(move || handle.post(move |cx| cx.state.push(number)).unwrap())
        });
        reactor.turn(Deadline::At(Instant::now())).unwrap();
        while reactor.state().len() < 2 {
            reactor.turn(Deadline::Never).unwrap();
        }
        threads.map(|thread| thread.join().unwrap());
    });
}

#[test]
fn the_jobs_of_a_thread_run_in_the_order_of_their_posts() {
    in_every_interleaving(|| {
        let mut reactor = reactor();
        let handle = reactor.handle();
        let thread = thread::spawn(move || {
            for number in 1..=3 {
                handle.post(move |cx| cx.state.push(number)).unwrap();
            }
        });
        while reactor.state().len() < 3 {
            reactor.turn(Deadline::Never).unwrap();
        }
        thread.join().unwrap();
        assert_eq!(*reactor.state(), [1, 2, 3]);
    });
}

#[test]
fn a_job_that_a_job_posts_runs() {
    in_every_interleaving(|| {
        let mut reactor = reactor();
        let handle = reactor.handle();
        let thread = thread::spawn(move || {
            handle.post(|cx| cx.handle().post(|cx| cx.state.push(1)).unwrap()).unwrap();
            handle.post(|cx| cx.state.push(2)).unwrap();
        });
        while reactor.state().len() < 2 {
            reactor.turn(Deadline::Never).unwrap();
        }
        thread.join().unwrap();
    });
}

#[test]
fn a_stop_ends_the_loop_whatever_else_wakes_it() {
    in_every_interleaving(|| {
        let mut reactor = reactor();
        let posters = [1, 2].map(|number| {
            let handle = reactor.handle();
            thread::spawn(move || handle.post(move |cx| cx.state.push(number)).unwrap())
        });
        let handle = reactor.handle();
        let stopper = thread::spawn(move || handle.stop());
        reactor.run().unwrap();
        posters.map(|thread| thread.join().unwrap());
        stopper.join().unwrap();
        assert!(reactor.handle().is_stopped());
    });
}

#[test]
fn two_stops_end_the_loop() {
    in_every_interleaving(|| {
        let mut reactor = reactor();
        let threads = [(); 2].map(|()| {
            let handle = reactor.handle();
            thread::spawn(move || handle.stop())
        });
        reactor.run().unwrap();
        threads.map(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_loop_that_another_loop_polls_becomes_readable_for_each_job() {
    in_every_interleaving(|| {
        let selector = ModelSelector::default();
        let builder = Reactor::builder().selector(selector.clone());
        let mut reactor = builder.build_with(Vec::new()).unwrap();
        let threads = [1, 2].map(|number| {
            let handle = reactor.handle();
            thread::spawn(move || handle.post(move |cx| cx.state.push(number)).unwrap())
        });
        while reactor.state().len() < 2 {
            reactor.prepare_poll().unwrap();
            selector.poll();
            reactor.turn(Deadline::Now).unwrap();
        }
        threads.map(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_job_of_a_dropped_loop_is_run_or_dropped() {
    in_every_interleaving(|| {
        let mut reactor = reactor();
        let job = Arc::new(());
        let threads = [1, 2].map(|number| {
            let (handle, part) = (reactor.handle(), Arc::clone(&job));
            thread::spawn(move || {
                let posted = handle.post(move |cx| {
                    cx.state.push(number);
                    drop(part);
                });
                (posted.is_ok(), handle)
            })
        });
        reactor.turn(Deadline::Now).unwrap();
        let run = reactor.state().clone();
        drop(reactor);
        let handles = threads.map(|thread| thread.join().unwrap());
        for (number, (is_posted, _)) in (1..).zip(&handles) {
            assert!(*is_posted || !run.contains(&number), "a refused job has run");
        }
        assert_eq!(Arc::strong_count(&job), 1, "a job is kept by a handle");
    });
}

/// A forked child whose threads post while the loop gets a waker of its own.
#[test]
fn the_jobs_of_two_threads_run_although_the_waker_is_renewed() {
    in_every_interleaving(|| {
        let mut reactor = reactor();
        tripoll::sys::become_child();
        assert!(reactor.turn(Deadline::Now).is_err());
        let threads = [1, 2].map(|number| {
            let handle = reactor.handle();
            thread::spawn(move || handle.post(move |cx| cx.state.push(number)).unwrap())
        });
        reactor.reinit_with(Box::new(ModelSelector::default())).unwrap();
        while reactor.state().len() < 2 {
            reactor.turn(Deadline::Never).unwrap();
        }
        threads.map(|thread| thread.join().unwrap());
    });
}

/// What was posted before the fork is found in the child, too, although its wake is not.
#[test]
fn a_job_that_was_posted_before_the_waker_is_renewed_runs() {
    in_every_interleaving(|| {
        let mut reactor = reactor();
        let handle = reactor.handle();
        let thread = thread::spawn(move || handle.post(|cx| cx.state.push(1)).unwrap());
        reactor.turn(Deadline::At(Instant::now())).unwrap();
        thread.join().unwrap();
        if reactor.prepare_poll().is_ok() {
            tripoll::sys::become_child();
        }
        reactor.reinit_with(Box::new(ModelSelector::default())).unwrap();
        while reactor.state().is_empty() {
            reactor.turn(Deadline::Never).unwrap();
        }
    });
}
