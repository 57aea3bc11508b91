//! Reaching the loop from other threads: nothing is lost, little is paid.

use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::gettid;
use support::reactor::*;
use support::sleep::*;
use support::sockets::*;
use support::*;
use tripoll::{Context, Deadline, Interest, Next, Reactor, ReactorHandle, Trigger};

/// What the threads have sent: whose, and which.
type Got = Vec<Vec<u64>>;

/// Sends the numbers below `jobs` from each of `threads` threads, and stops when all have come.
fn send_all(reactor: &mut Reactor<Got>, threads: usize, jobs: u64) {
    *reactor.state_mut() = vec![Vec::new(); threads];
    let arrived = Arc::new(AtomicUsize::new(0));
    let total = jobs as usize * threads;
    let senders: Vec<_> = (0..threads)
        .map(|thread| {
            let (handle, arrived) = (reactor.handle(), Arc::clone(&arrived));
            thread::spawn(move || {
                for job in 0..jobs {
                    let arrived = Arc::clone(&arrived);
                    let record = move |cx: &mut Context<Got>| {
                        cx.state[thread].push(job);
                        if arrived.fetch_add(1, Ordering::Relaxed) + 1 == total {
                            cx.stop();
                        }
                    };
                    handle.post(record).unwrap();
                    if job % 64 == 0 {
                        thread::yield_now(); // so that the loop falls asleep now and then
                    }
                }
            })
        })
        .collect();
    reactor.run().unwrap();
    for sender in senders {
        sender.join().unwrap();
    }
}

#[test]
fn jobs_run_exactly_once_and_in_each_threads_order() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Got::new());
        send_all(&mut reactor, 3, 500);
        for got in reactor.state().iter() {
            assert!(got.iter().copied().eq(0..500), "{got:?}");
        }
        let counters = reactor.context().counters();
        assert_eq!(counters.wakes + counters.wakes_saved, 1_500);
        assert!(counters.wakes <= counters.turns, "at most one a sleep: {counters:?}");
    });
}

#[test]
fn four_threads_and_forty_thousand_jobs_lose_none() {
    for &backend in tripoll::Backend::ALL {
        let pair = Pair::new(backend, Trigger::Edge);
        let _context = support::Context(format!("on {pair:?}"));
        let mut reactor = pair.reactor(Got::new());
        send_all(&mut reactor, 4, 10_000);
        for got in reactor.state().iter() {
            assert!(got.iter().copied().eq(0..10_000));
        }
    }
}

/// A sender who waits for each answer: every job meets a loop that falls asleep, or is about to.
#[test]
fn a_job_at_the_moment_of_falling_asleep_is_not_slept_over() {
    on_every_pair_and_noise(|pair| {
        const ROUNDS: u32 = 2_000;
        let mut reactor = pair.reactor(());
        let handle = reactor.handle();
        let asker = thread::spawn(move || {
            let (answer, answered) = mpsc::channel();
            for round in 0..ROUNDS {
                let answer = answer.clone();
                handle.post(move |_| answer.send(round).unwrap()).unwrap();
                let answer = answered.recv_timeout(LONG);
                assert_eq!(answer, Ok(round), "the loop sleeps over a job");
            }
            handle.stop();
        });
        reactor.run().unwrap();
        asker.join().unwrap();
    });
}

#[test]
fn a_wake_from_the_loops_own_thread_costs_no_system_call() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(0_u32);
        let (mine, mut theirs) = unix_pair();
        theirs.write_all(b"x").unwrap();
        add(&mut reactor, mine, Interest::READ, |source, cx: &mut Context<u32>| {
            assert_eq!(source.read(&mut [0; 8])?, 1);
            for _ in 0..10 {
                cx.handle().post(|cx| *cx.state += 1)?;
            }
            Ok(Next::Keep)
        });
        // Before the first turn, from a handler, and from a job.
        reactor.handle().post(|cx| *cx.state += 1).unwrap();
        drive(&mut reactor, 3, |runs| *runs == 11);
        let more = |cx: &mut Context<u32>| cx.handle().post(|cx| *cx.state += 1).unwrap();
        reactor.handle().post(more).unwrap();
        drive(&mut reactor, 3, |runs| *runs == 12);
        let counters = reactor.context().counters();
        assert_eq!((counters.wakes, counters.wakes_saved), (0, 13));
        assert_quiet(&mut reactor);
    });
}

#[test]
fn of_many_wakes_to_a_sleeping_loop_one_is_a_system_call() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(0_u32);
        let (handle, sleeper) = (reactor.handle(), gettid());
        // The first job holds the loop until all the others are sent.
        let sender = thread::spawn(move || {
            await_sleep(sleeper);
            let (sent, all_sent) = mpsc::channel();
            handle.post(move |_| all_sent.recv().unwrap()).unwrap();
            for _ in 0..99 {
                handle.post(|cx| *cx.state += 1).unwrap();
            }
            sent.send(()).unwrap();
        });
        drive(&mut reactor, 4, |runs| *runs == 99);
        sender.join().unwrap();
        let counters = reactor.context().counters();
        assert_eq!((counters.wakes, counters.wakes_saved), (1, 99));
    });
}

#[test]
fn sources_can_be_registered_from_other_threads() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let handle = reactor.handle();
        let (mine, mut theirs) = tcp_pair();
        let adder = thread::spawn(move || {
            handle.post(move |cx| {
                cx.add(mine, Interest::READ, collect).unwrap();
            })
        });
        theirs.write_all(b"hello").unwrap();
        drive(&mut reactor, 6, |read| read == b"hello");
        adder.join().unwrap().unwrap();
        assert_eq!(reactor.context().len(), 1);
    });
}

#[test]
fn after_the_reactor_was_dropped_a_handle_returns_an_error_and_jobs_are_dropped() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(());
        let handle = reactor.handle();
        let alive = Arc::new(());
        for _ in 0..3 {
            let captured = Arc::clone(&alive);
            handle.post(move |_| drop(captured)).unwrap();
        }
        reactor.turn(Deadline::Now).unwrap();
        assert_eq!(Arc::strong_count(&alive), 1, "they have run");

        // One that waits, and which reaches for the reactor when it is dropped.
        let reaching = Reaching { handle: handle.clone(), _alive: Arc::clone(&alive) };
        handle.post(move |_| drop(reaching)).unwrap();
        drop(reactor);
        assert_eq!(Arc::strong_count(&alive), 1);
        let reaching = Reaching { handle: handle.clone(), _alive: Arc::clone(&alive) };
        let error = handle.post(move |_| drop(reaching)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let error = handle.arm(tripoll::Token::new(0, 0)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert_eq!(Arc::strong_count(&alive), 1);
        handle.stop(); // harmless
    });
}

/// Sends a job when it is dropped.
struct Reaching {
    handle: ReactorHandle,
    _alive: Arc<()>,
}

impl Drop for Reaching {
    fn drop(&mut self) {
        let _ = self.handle.post(|_| {});
    }
}

#[test]
fn jobs_that_post_jobs_starve_no_source() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(());
        fn again(cx: &mut Context) {
            cx.handle().post(again).unwrap();
        }
        reactor.handle().post(again).unwrap();
        let (mine, mut theirs) = unix_pair();
        let is_called = Arc::new(AtomicBool::new(false));
        let calls = Arc::clone(&is_called);
        add(&mut reactor, mine, Interest::READ, move |_, _| {
            calls.store(true, Ordering::Relaxed);
            Ok(Next::Remove)
        });
        for _ in 0..10 {
            reactor.turn(Deadline::Never).unwrap(); // never sleeps: there is always a job
        }
        theirs.write_all(b"x").unwrap();
        reactor.turn(Deadline::Never).unwrap();
        assert!(is_called.load(Ordering::Relaxed));
        assert_eq!(reactor.context().counters().wakes, 0);
    });
}
/// A reactor inside another one, which sleeps on its descriptor: whatever the inner one has to do,
/// the outer one must be told.
#[test]
fn a_reactor_can_live_inside_another() {
    on_every_pair_and_noise(|pair| {
        let mut inner = pair.reactor(Vec::new());
        let Some(fd) = inner.prepare_poll().unwrap() else { return };
        let fd = fd.try_clone_to_owned().unwrap();
        let (mine, mut theirs) = unix_pair();
        let token = add(&mut inner, mine, Interest::NONE, |source, cx: &mut Context<Vec<u8>>| {
            let mut byte = [0];
            source.read_exact(&mut byte)?;
            cx.state.push(byte[0]); // and the others stay on the ready list
            Ok(Next::Keep)
        });
        let handle = inner.handle();
        inner.turn(Deadline::Now).unwrap();
        inner.prepare_poll().unwrap();
        let mut outer = Pair { trigger: Trigger::Level, ..pair }.reactor(inner);
        add(&mut outer, fd, Interest::READ, |_, cx: &mut Context<Reactor<Vec<u8>>>| {
            cx.state.turn(Deadline::Now)?;
            cx.state.prepare_poll()?;
            Ok(Next::Done)
        });
        // A job, which changes an interest, which leads to bytes, the last of which sets a timer.
        theirs.write_all(b"bytes").unwrap();
        let job = move |cx: &mut Context<Vec<u8>>| {
            cx.set_interest(token, Interest::READ).unwrap();
            cx.set_timer(Instant::now() + Duration::from_millis(1), |cx: &mut Context<Vec<u8>>| {
                cx.state.push(b'!');
            });
        };
        thread::spawn(move || handle.post(job).unwrap()).join().unwrap();
        drive(&mut outer, 30, |inner| inner.state().len() == 6);
        outer.state_mut().state_mut().sort_unstable();
        assert_eq!(*outer.state().state(), b"!besty");
        let_settle_both(&mut outer);
    });
}

/// Both have nothing left to do.
fn let_settle_both(outer: &mut Reactor<Reactor<Vec<u8>>>) {
    for _ in 0..10 {
        if outer.turn(Deadline::Now).unwrap() == 0 {
            return assert_quiet(outer);
        }
    }
    panic!("it spins: {:?}", outer.context().counters());
}
