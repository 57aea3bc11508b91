//! Ends of child processes, with a pidfd and without.
//!
//! They run in a process of their own. A child that ends while another thread starts one, with its
//! signals blocked, interrupts the wait of any thread (SIGCHLD), and other tests count their waits.

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use support::program;
use support::reactor::*;
use support::*;
use tripoll::reactor::sources::Child;
use tripoll::{Context, Interest, Next, Source};

const TESTS: &[(&str, fn())] = &[
    (
        "the_end_of_a_child_is_reported_once_with_its_status",
        the_end_of_a_child_is_reported_once_with_its_status,
    ),
    ("polled_too_it_is_reported_once", polled_too_it_is_reported_once),
    (
        "a_child_that_has_ended_before_it_is_watched_is_reported_too",
        a_child_that_has_ended_before_it_is_watched_is_reported_too,
    ),
    ("many_children_end_each_with_its_own_status", many_children_end_each_with_its_own_status),
    ("a_handler_of_its_own_can_kill_it", a_handler_of_its_own_can_kill_it),
    ("an_interval_of_zero_is_refused", an_interval_of_zero_is_refused),
];

fn main() {
    program::main(&[], TESTS);
}

type Ends = Vec<(u32, ExitStatus)>;

fn start(script: &str) -> std::process::Child {
    Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap()
}

/// The same child, watched in both ways.
fn both_ways(script: &str) -> [Child; 2] {
    let watched = Child::new(start(script)).unwrap();
    assert!(!watched.is_polled(), "this kernel has pidfds");
    let polled = Child::polling(start(script), Duration::from_millis(1)).unwrap();
    assert!(polled.is_polled());
    [watched, polled]
}

fn note(child: Child, cx: &mut Context<'_, Ends>) -> tripoll::Token {
    let id = child.id();
    child.on(cx, move |status, cx| cx.state.push((id, status.unwrap()))).unwrap()
}

fn the_end_of_a_child_is_reported_once_with_its_status() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Ends::new());
        let mut child = start("read line; exit 3");
        let (id, input) = (child.id(), child.stdin.take());
        note(Child::new(child).unwrap(), &mut reactor.context());
        let_settle(&mut reactor);
        assert_quiet(&mut reactor);
        drop(input); // now it ends
        drive(&mut reactor, 10_000, |ends| !ends.is_empty());
        let_settle(&mut reactor);
        assert_quiet(&mut reactor);
        assert!(reactor.context().is_empty());
        let [(ended, status)] = reactor.state()[..] else { panic!("more than one end") };
        assert_eq!((ended, status.code()), (id, Some(3)));
    });
}

fn polled_too_it_is_reported_once() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Ends::new());
        let mut child = start("read line; exit 3");
        let input = child.stdin.take();
        let child = Child::polling(child, Duration::from_millis(1)).unwrap();
        note(child, &mut reactor.context());
        for _ in 0..3 {
            reactor.turn(tripoll::Deadline::after(LONG)).unwrap();
        }
        assert_eq!(*reactor.state(), []);
        drop(input);
        drive(&mut reactor, 10_000, |ends| !ends.is_empty());
        let_settle(&mut reactor);
        assert_quiet(&mut reactor);
        assert_eq!(reactor.state()[0].1.code(), Some(3));
    });
}

fn a_child_that_has_ended_before_it_is_watched_is_reported_too() {
    on_every_pair_and_noise(|pair| {
        for mut child in both_ways("exit 0") {
            let mut reactor = pair.reactor(Ends::new());
            // Its status may have been taken already.
            let status = loop {
                match child.try_wait() {
                    Ok(status) => break status,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                std::thread::yield_now();
            };
            let child = Child::new(child.into_inner()).unwrap();
            note(child, &mut reactor.context());
            drive(&mut reactor, 10_000, |ends| !ends.is_empty());
            assert_eq!(reactor.state()[0].1, status);
        }
    });
}

fn many_children_end_each_with_its_own_status() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Ends::new());
        let mut expected = Vec::new();
        for code in 0..20 {
            let child = start(&format!("exit {code}"));
            expected.push((child.id(), Some(code)));
            note(Child::new(child).unwrap(), &mut reactor.context());
        }
        drive(&mut reactor, 10_000, |ends| ends.len() == 20);
        let mut ends: Vec<_> =
            reactor.state().iter().map(|(id, status)| (*id, status.code())).collect();
        ends.sort_unstable();
        expected.sort_unstable();
        assert_eq!(ends, expected);
    });
}

fn a_handler_of_its_own_can_kill_it() {
    on_every_pair_and_noise(|pair| {
        for child in both_ways("read line") {
            let mut reactor = pair.reactor(None);
            let ended = |child: &mut Source<Child>, cx: &mut Context<Option<ExitStatus>>| {
                *cx.state = Some(child.try_io(Interest::READ, Child::try_wait)?);
                Ok(Next::Remove)
            };
            let token = add(&mut reactor, child, Interest::READ, ended);
            let kill = move |mut child: Child, cx: &mut Context<Option<ExitStatus>>| {
                child.kill().unwrap();
                cx.add(child, Interest::READ, ended).unwrap();
            };
            reactor.context().take(token, kill).unwrap();
            drive(&mut reactor, 10_000, |status| status.is_some());
            assert_eq!(reactor.state().unwrap().signal(), Some(libc::SIGKILL));
        }
    });
}

fn an_interval_of_zero_is_refused() {
    let mut child = start("exit 0");
    child.wait().unwrap();
    let error = Child::polling(child, Duration::ZERO).unwrap_err();
    assert_eq!(error.to_string(), "the interval at which a child is polled is zero");
}
