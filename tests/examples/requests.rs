//! What is true of every server of `tripoll::server`, whatever its handler and its concurrency.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tripoll::{Backend, Trigger};

use crate::harness::{Server, Stopped};
use crate::hostile::{Subject, assert_ends, assert_idle, fill};
use support::sockets::reset;
use support::{LONG, await_that, pattern};

/// What goes with `--concurrency`.
pub const CONCURRENCIES: [&str; 5] = ["inline", "threading", "forking", "pooled", "reactor"];

/// An example with each `--concurrency`.
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

/// Every hostile client there is, for each of these servers.
pub fn hostile_clients(subjects: &[Subject]) {
    on_each(subjects, |subject, mut server| {
        let start = Belongings::when_idle(&server, subject);
        who_finishes_is_never_flooded(&server);
        start.await_in(&server);
        who_resets_harms_nobody(subject, &server);
        start.await_in(&server);
        assert_idle(&server);
        subject.assert_serves(&server);
        assert_in_order(&server.stop(Signal::TERM));
    });
    on_each(subjects, |_, server| who_idles_does_not_stop_the_shutdown(server));
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

/// What a server has when nobody is there. Some of it comes with the first client.
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

    /// What it has when it has served somebody.
    #[track_caller]
    pub fn when_idle(server: &Server, subject: Subject) -> Self {
        subject.assert_serves(server);
        loop {
            let before = Belongings::of(server);
            thread::sleep(Duration::from_millis(100)); // so long nothing changes
            if before == Belongings::of(server) && before.children == 0 {
                return before;
            }
        }
    }

    /// It has no thread, no child, dead or alive, and no descriptor more than then.
    #[track_caller]
    pub fn await_in(self, server: &Server) {
        let give_up = Instant::now() + LONG;
        loop {
            let now = Belongings::of(server);
            // Less than then is as good. (Then somebody may still have been on the way out, and the
            // machine too busy for anything to change in the meantime.)
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

/// It has ended well, and in time. (It may have said something about clients.)
#[track_caller]
pub fn assert_in_order(stopped: &Stopped) {
    assert_eq!(stopped.status.code(), Some(0), "{stopped:?}");
    assert!(stopped.took < Duration::from_secs(2), "{stopped:?}");
    assert!(!stopped.log.iter().any(|line| line.contains("panic")), "{stopped:?}");
}

/// The end is the end: what is owed comes, and that is not much, and then the other end.
fn who_finishes_is_never_flooded(server: &Server) {
    for sent in [&b""[..], b"hello", pattern(1_000)] {
        let mut client = server.connect();
        // If it says all it has to say at once, and leaves, the client is told when it writes.
        let _ = client.write_all(sent);
        let _ = client.shutdown(Shutdown::Write);
        let mut received = Vec::new();
        let most = sent.len() + 200;
        client.take(most as u64 + 1).read_to_end(&mut received).unwrap();
        assert!(received.len() <= most, "flooded");
    }
}

fn who_resets_harms_nobody(subject: Subject, server: &Server) {
    drop(server.connect());
    reset(server.connect());
    let mut client = server.connect();
    client.write_all(b"farewell").unwrap();
    reset(client);
    let mut client = server.connect(); // in the middle of it all
    fill(&mut client);
    reset(client);
    subject.assert_serves(server);
    // They left before they were accepted.
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

fn who_idles_does_not_stop_the_shutdown(mut server: Server) {
    let fds = server.fds();
    let silent: Vec<_> = (0..3).map(|_| server.connect()).collect();
    let mut busy = server.connect();
    fill(&mut busy);
    // One at a time is served inline, and fewer than all may be elsewhere.
    await_that("somebody is served", || server.fds() > fds || server.children() > 0);
    assert_in_order(&server.interrupt_all());
    silent.into_iter().for_each(assert_ends);
    TcpStream::connect(&server.address).unwrap_err();
}
