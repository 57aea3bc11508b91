//! What holds of every server of `tripoll::server`, with any handler and any concurrency.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tripoll::{Backend, Trigger};

use crate::hostile::{Subject, assert_ends, assert_idle, fill};
use support::example::{Server, Stopped};
use support::sockets::reset;
use support::{LONG, await_that, pattern};

/// The values of `--concurrency`.
pub const CONCURRENCIES: [&str; 5] = ["inline", "threading", "forking", "pooled", "reactor"];

/// Returns an example with each `--concurrency`.
pub fn each(name: &'static str, assert_served: fn(&mut TcpStream)) -> [Subject; 5] {
    const ARGUMENTS: [&[&str]; 5] = [
        &["--concurrency", "inline"],
        &["--concurrency", "threading"],
        &["--concurrency", "forking"],
        &["--concurrency", "pooled"],
        &["--concurrency", "reactor"],
    ];
    ARGUMENTS.map(|arguments| Subject { name, arguments, assert_served })
}

/// Runs every hostile client against each of these servers.
pub fn hostile_clients_harm_no_other(subjects: &[Subject]) {
    on_each(subjects, |subject, mut server| {
        let start = Belongings::when_idle(&server, subject);
        a_half_close_is_answered_and_ended(&server);
        start.await_in(&server);
        a_reset_harms_no_other(subject, &server);
        start.await_in(&server);
        assert_idle(&server);
        subject.assert_serves(&server);
        assert_in_order(&server.stop(Signal::TERM));
    });
    on_each(subjects, |_, server| an_idle_client_does_not_delay_the_shutdown(server));
}

/// Runs `body` with each server on every backend and trigger, all at the same time.
pub fn on_each(subjects: &[Subject], body: impl Fn(Subject, Server) + Sync) {
    let body = &body;
    thread::scope(|scope| {
        for &subject in subjects {
            for &backend in Backend::ALL {
                for &trigger in Trigger::ALL {
                    let Subject { name, arguments, .. } = subject;
                    thread::Builder::new()
                        .name(format!("{name} {arguments:?}, {backend}, {trigger}"))
                        .spawn_scoped(scope, move || {
                            let mut server = subject.start(backend, trigger);
                            server.let_it_talk();
                            body(subject, server);
                        })
                        .unwrap();
                }
            }
        }
    });
}

/// What an idle server has. Some of it, such as a pool, comes with the first client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Belongings {
    fds: usize,
    threads: usize,
    children: usize,
}

impl Belongings {
    fn of(server: &Server) -> Self {
        Belongings { fds: server.fds(), threads: server.threads(), children: server.children() }
    }

    /// Returns what it has after it has served a client.
    #[track_caller]
    pub fn when_idle(server: &Server, subject: Subject) -> Self {
        subject.assert_serves(server);
        loop {
            let before = Belongings::of(server);
            thread::sleep(Duration::from_millis(100)); // nothing may change for so long
            if before == Belongings::of(server) && before.children == 0 {
                return before;
            }
        }
    }

    /// Waits until it has no more threads, children and descriptors than these.
    #[track_caller]
    pub fn await_in(self, server: &Server) {
        let give_up = Instant::now() + LONG;
        loop {
            let now = Belongings::of(server);
            // It may have fewer: on a busy machine a client may still have been leaving when these
            // were counted.
            let is_more =
                now.fds > self.fds || now.threads > self.threads || now.children > self.children;
            if !is_more {
                return;
            }
            assert!(Instant::now() < give_up, "{now:?} is left, and should be {self:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Asserts that it has ended with 0, in time and without a panic. (It may have logged errors.)
#[track_caller]
pub fn assert_in_order(stopped: &Stopped) {
    assert_eq!(stopped.status.code(), Some(0), "{stopped:?}");
    assert!(stopped.took < Duration::from_secs(2), "{stopped:?}");
    assert!(!stopped.log.iter().any(|line| line.contains("panic")), "{stopped:?}");
}

/// After a half-close the answer comes, which is short, and then the end.
fn a_half_close_is_answered_and_ended(server: &Server) {
    for sent in [&b""[..], b"hello", pattern(1_000)] {
        let mut client = server.connect();
        // The server may answer and close before the client has written.
        let _ = client.write_all(sent);
        let _ = client.shutdown(Shutdown::Write);
        let mut received = Vec::new();
        let most = sent.len() + 200;
        client.take(most as u64 + 1).read_to_end(&mut received).unwrap();
        assert!(received.len() <= most, "flooded");
    }
}

fn a_reset_harms_no_other(subject: Subject, server: &Server) {
    drop(server.connect());
    reset(server.connect());
    let mut client = server.connect();
    client.write_all(b"farewell").unwrap();
    reset(client);
    let mut client = server.connect(); // in the middle of a transfer
    fill(&mut client);
    reset(client);
    subject.assert_serves(server);
    // These leave before they are accepted.
    server.signal(Signal::STOP);
    for _ in 0..20 {
        reset(server.connect());
        let mut client = server.connect();
        client.write_all(b"farewell").unwrap();
        reset(client);
        drop(server.connect());
    }
    server.signal(Signal::CONT);
    subject.assert_serves(server);
}

fn an_idle_client_does_not_delay_the_shutdown(mut server: Server) {
    let fds = server.fds();
    let silent: Vec<_> = (0..3).map(|_| server.connect()).collect();
    let mut busy = server.connect();
    fill(&mut busy);
    // Inline serves one at a time, and others may not have accepted all yet.
    await_that("a client is served", || server.fds() > fds || server.children() > 0);
    assert_in_order(&server.interrupt_all());
    silent.into_iter().for_each(assert_ends);
    TcpStream::connect(&server.address).unwrap_err();
}
