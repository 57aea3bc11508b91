//! Waiting: for how long, in which system call, and what a signal does to it.

use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{Pid, gettid};
use support::selector::*;
use support::signals::SignalTarget;
use support::sleep::*;
use support::sockets::*;
use support::*;
use tripoll::selector::{
    Deadline, Events, Interest, PollSelector, Readiness, SelectSelector, Selector, Token, Trigger,
};
use tripoll::sys::{self, Epoll, EpollFlags, PollFd, PollFlags};

const ONE: Token = Token::new(1, 0);

/// A waiting thread, as other threads see it.
struct Waiter {
    thread: Pid,
    handle: SignalTarget,
    done: Arc<AtomicBool>,
}

/// Runs `wait` in a thread of its own and `meanwhile` in this one, and returns what `wait` returned.
/// The waiting thread lives until `meanwhile` is over, so that it can be sent signals.
fn while_waiting<T: Send>(wait: impl FnOnce() -> T + Send, meanwhile: impl FnOnce(&Waiter)) -> T {
    thread::scope(|scope| {
        let (introduce, introduced) = mpsc::channel();
        let (dismiss, dismissed) = mpsc::channel::<()>();
        let waiting = scope.spawn(move || {
            let done = Arc::new(AtomicBool::new(false));
            let me = Waiter {
                thread: gettid(),
                handle: SignalTarget::this_thread(),
                done: Arc::clone(&done),
            };
            introduce.send(me).unwrap();
            let answer = wait();
            done.store(true, Ordering::Release);
            let _ = dismissed.recv(); // an error: the other side is gone, which is the sign
            answer
        });
        meanwhile(&introduced.recv().unwrap());
        drop(dismiss);
        waiting.join().unwrap()
    })
}

/// Interrupts the waiting thread once, while it sleeps.
fn interrupt(waiter: &Waiter) {
    await_sleep(waiter.thread);
    waiter.handle.interrupt();
}

/// Interrupts the waiting thread each time it sleeps, until its wait returns. Returns how often.
fn interrupt_until_done(waiter: &Waiter) -> usize {
    let (mut interruptions, give_up) = (0, Instant::now() + LONG);
    while !waiter.done.load(Ordering::Acquire) {
        assert!(Instant::now() < give_up, "interrupted, it begins to count from the beginning");
        if sleeps_in(waiter.thread).is_some() {
            waiter.handle.interrupt();
            interruptions += 1;
        }
        thread::yield_now();
    }
    interruptions
}

/// Installs a signal handler. Without one the signal ends the process.
fn handle_signals() {
    signal_hook::flag::register(libc::SIGUSR1, Arc::default()).unwrap();
}

/// Interrupts `wait` again and again, and asserts that it still lasts until its deadline.
fn assert_outlasts_signals(mut wait: impl FnMut(Duration) -> usize + Send) {
    handle_signals();
    // On a busy machine a short sleep may be over before it is seen: then a longer one.
    for asked in [10, 100, 1_000].map(Duration::from_millis) {
        let (begin, mut interruptions) = (Instant::now(), 0);
        let meanwhile = |waiter: &Waiter| interruptions = interrupt_until_done(waiter);
        assert_eq!(while_waiting(|| wait(asked), meanwhile), 0);
        assert!(begin.elapsed() >= asked, "{:?} instead of {asked:?}", begin.elapsed());
        if interruptions > 0 {
            return;
        }
    }
    panic!("it was never interrupted");
}

#[test]
fn short_waits_neither_end_early_nor_spin() {
    on_every_backend(Trigger::ALL, |selector, trigger| {
        let (mine, _theirs) = unix_pair();
        selector.add(mine.as_raw_fd(), ONE, Interest::READ, trigger).unwrap();
        for asked in [1, 900_000, 1_000_000, 1_000_001, 3_500_000].map(Duration::from_nanos) {
            let (before, begin) = (selector.counters().waits, Instant::now());
            assert_eq!(reported(selector, Deadline::after(asked)), []);
            assert!(begin.elapsed() >= asked, "{:?} instead of {asked:?}", begin.elapsed());
            let waits = selector.counters().waits - before;
            assert!(waits <= 2, "{waits} system calls to wait {asked:?}");
        }
    });
}

#[test]
fn long_waits_last_until_something_happens_and_sleep_in_the_backends_own_call() {
    on_every_backend(Trigger::ALL, |selector, trigger| {
        let (mine, mut theirs) = unix_pair();
        selector.add(mine.as_raw_fd(), ONE, Interest::READ, trigger).unwrap();
        let name = selector.name();
        for deadline in [
            Deadline::Never,
            Deadline::after(Duration::MAX),
            Deadline::after(Duration::from_millis(1 << 31)),
            Deadline::after(Duration::from_millis((1 << 32) + 5)),
            Deadline::after(Duration::from_secs(u64::MAX >> 2)),
        ] {
            let before = selector.counters().waits;
            let reported = while_waiting(
                || reported(selector, deadline),
                |waiter| {
                    assert_own_call(name, deadline, await_sleep(waiter.thread));
                    theirs.write_all(b"x").unwrap();
                },
            );
            assert_eq!(reported, [(ONE, Readiness::READ)], "{deadline:?}");
            let waits = selector.counters().waits - before;
            assert!(waits <= 2, "{waits} system calls to wait for {deadline:?}");
            drain(&mine);
            selector.set(mine.as_raw_fd(), Interest::READ).unwrap();
        }
    });
}

/// Asserts that a thread sleeps in the system call of its backend.
fn assert_own_call(name: &str, deadline: Deadline, sleeps: SleepsIn) {
    match (name, deadline) {
        ("select", _) => assert_eq!(sleeps.call, WaitCall::Select),
        ("poll", _) => assert_eq!(sleeps.call, WaitCall::Poll),
        ("epoll", Deadline::At(_)) if sleeps.call == WaitCall::EpollPwait2 => {}
        ("epoll" | "mio", _) => assert_eq!(sleeps.call, WaitCall::Epoll),
        _ => panic!("which call is {name}'s?"),
    }
    if name == "epoll" || name == "mio" {
        let file = std::fs::read_link(format!("/proc/self/fd/{}", sleeps.first_argument)).unwrap();
        assert_eq!(file.to_str(), Some("anon_inode:[eventpoll]"));
    }
}

#[test]
fn a_deadline_in_the_past_reports_what_is_ready() {
    on_every_backend(Trigger::ALL, |selector, trigger| {
        let (mine, mut theirs) = unix_pair();
        selector.add(mine.as_raw_fd(), ONE, Interest::READ, trigger).unwrap();
        let past = Deadline::At(Instant::now());
        assert_eq!(reported(selector, past), []);
        theirs.write_all(b"x").unwrap();
        assert_eq!(reported(selector, past), [(ONE, Readiness::READ)]);
    });
}

#[test]
fn a_wait_that_is_interrupted_again_and_again_lasts_as_long_as_asked() {
    on_every_backend(Trigger::ALL, |selector, trigger| {
        let (mine, _theirs) = unix_pair();
        selector.add(mine.as_raw_fd(), ONE, Interest::READ, trigger).unwrap();
        assert_outlasts_signals(|asked| reported(selector, Deadline::after(asked)).len());
    });
}

#[test]
fn the_three_calls_themselves_wait_on_after_a_signal() {
    let (mine, _theirs) = unix_pair();
    let fd = mine.as_raw_fd();
    let epoll = Epoll::new().unwrap();
    epoll.add(fd, EpollFlags::IN, 0).unwrap();
    assert_outlasts_signals(|asked| sys::select(&[fd], &[], &[], Some(asked)).unwrap().0.len());
    assert_outlasts_signals(|asked| {
        sys::poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(asked)).unwrap()
    });
    assert_outlasts_signals(|asked| {
        let mut events = Vec::with_capacity(1);
        epoll.wait(&mut events, Some(asked)).unwrap();
        events.len()
    });
}

#[test]
fn an_interruptible_wait_says_that_it_was_interrupted() {
    handle_signals();
    on_every_backend(Trigger::ALL, |selector, trigger| {
        let (mine, mut theirs) = unix_pair();
        selector.add(mine.as_raw_fd(), ONE, Interest::READ, trigger).unwrap();
        let mut events = Events::new();
        let answer =
            while_waiting(|| selector.wait_interruptible(&mut events, Deadline::Never), interrupt);
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Interrupted);
        assert!(events.is_empty());

        theirs.write_all(b"x").unwrap();
        selector.wait_interruptible(&mut events, Deadline::Never).unwrap();
        assert_eq!(events.iter().map(|event| event.token()).collect::<Vec<_>>(), [ONE]);
    });
}

#[test]
fn a_wait_that_finds_something_is_one_system_call() {
    on_every_backend(&[Trigger::Level, Trigger::Edge], |selector, trigger| {
        let (mine, _theirs) = unix_pair();
        selector.add(mine.as_raw_fd(), ONE, Interest::WRITE, trigger).unwrap();
        for waits in 1..=10 {
            selector.set(mine.as_raw_fd(), Interest::WRITE).unwrap();
            assert_eq!(reported(selector, Deadline::Never), [(ONE, Readiness::WRITE)]);
            assert_eq!(selector.counters().waits, waits);
        }
    });
}

#[test]
fn asking_first_is_given_up_where_it_finds_nothing_and_can_be_switched_off() {
    let calls = |mut selector: Box<dyn Selector>, deadline: fn() -> Deadline| {
        let (mine, _theirs) = unix_pair();
        selector.add(mine.as_raw_fd(), ONE, Interest::READ, Trigger::Level).unwrap();
        for _ in 0..64 {
            assert_eq!(reported(&mut *selector, deadline()), []);
        }
        selector.counters().waits
    };
    let soon = || Deadline::after(Duration::from_nanos(1));
    let now = || Deadline::Now;
    let asking: [fn() -> Box<dyn Selector>; 2] =
        [|| Box::new(SelectSelector::new()), || Box::new(PollSelector::new())];
    let not_asking: [fn() -> Box<dyn Selector>; 2] = [
        || Box::new(SelectSelector::new().asking_first(false)),
        || Box::new(PollSelector::new().asking_first(false)),
    ];
    for selector in asking {
        // 64 sleeps, and before the 1st, 2nd, 4th, 8th, ... 64th of them a question.
        assert_eq!(calls(selector(), soon), 64 + 7);
        assert_eq!(calls(selector(), now), 64, "a wait without sleep asks once");
    }
    for selector in not_asking {
        assert_eq!(calls(selector(), soon), 64);
    }
}
