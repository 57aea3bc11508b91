//! Clients that wish a server ill, and what must come of each of them: the same whatever is served.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tripoll::sys::{PollFd, PollFlags, poll, raise_descriptor_limit};
use tripoll::{Backend, Trigger};

use crate::harness::{Server, arguments, example, limited, on_every_backend};
use support::sockets::reset;
use support::{await_that, pattern};

/// An example, as its tests see it.
#[derive(Clone, Copy)]
pub struct Subject {
    pub name: &'static str,
    /// Arguments of its own.
    pub arguments: &'static [&'static str],
    /// Lets a client that wishes no ill be served, and sees to it that it is.
    pub assert_served: fn(&mut TcpStream),
}

impl Subject {
    fn command(&self, backend: Backend, trigger: Trigger) -> Command {
        let mut command = example(self.name);
        command.args(arguments("127.0.0.1:0", backend, trigger)).args(self.arguments);
        command
    }

    pub fn start(&self, backend: Backend, trigger: Trigger) -> Server {
        Server::start_with(&mut self.command(backend, trigger))
    }

    pub fn assert_serves(&self, server: &Server) {
        (self.assert_served)(&mut server.connect());
    }
}

/// Whoever leaves, in whatever way, leaves nothing behind, and harms nobody.
pub fn they_leave(subject: Subject) {
    on_every_backend(|backend, trigger| {
        let mut server = subject.start(backend, trigger);
        subject.assert_serves(&server);
        await_that("the server closes", || is_alone(&server));

        drop(server.connect()); // without a word
        reset(server.connect());
        let mut client = server.connect(); // with an answer unread, which is a reset too
        client.write_all(pattern(10_000)).unwrap();
        client.peek(&mut [0]).unwrap();
        drop(client);
        let mut client = server.connect(); // in the middle of it all
        fill(&mut client);
        subject.assert_serves(&server); // who does not read harms nobody
        reset(client);
        let mut client = server.connect(); // with no more from there and no more to there
        fill(&mut client);
        let _ = client.shutdown(Shutdown::Both);
        drop(client);
        let client = server.connect(); // finished, but there
        client.shutdown(Shutdown::Write).unwrap();
        assert_ends(client);

        // They left before they were accepted.
        server.signal(Signal::STOP);
        for _ in 0..20 {
            reset(server.connect());
            let mut client = server.connect();
            client.write_all(b"farewell").unwrap();
            reset(client);
            drop(server.connect());
        }
        let mut last = server.connect();
        server.signal(Signal::CONT);
        (subject.assert_served)(&mut last);
        drop(last);

        await_that("the server closes", || is_alone(&server));
        assert_idle(&server);
        server.stop(Signal::TERM).assert_graceful();
    });
}

/// The server has no client: its descriptors are as many as without any.
fn is_alone(server: &Server) -> bool {
    server.fds() == server.fds_at_start
}

/// The server sleeps, and nothing wakes it.
#[track_caller]
pub fn assert_idle(server: &Server) {
    await_that("the server sleeps", || server.is_asleep());
    let (sleeps, ticks) = (server.sleeps(), server.cpu_ticks());
    thread::sleep(Duration::from_millis(300)); // not for anything: so long nothing happens
    let (sleeps, ticks) = (server.sleeps() - sleeps, server.cpu_ticks() - ticks);
    assert!(sleeps <= 1, "it has turned {sleeps} times"); // one, if it was on its way to sleep
    assert!(ticks <= 1, "it is busy");
}

/// Sends until the server takes no more.
pub fn fill(client: &mut TcpStream) {
    const MOST: usize = 50 << 20;
    /// Who could take more would mostly have done so.
    const PATIENCE: Duration = Duration::from_millis(100);
    let bytes = pattern(1 << 20);
    client.set_nonblocking(true).unwrap();
    let mut sent = 0;
    while sent < MOST {
        match client.write(bytes) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut room = [PollFd::new(client.as_raw_fd(), PollFlags::OUT)];
                if poll(&mut room, Some(PATIENCE)).unwrap() == 0 {
                    break;
                }
            }
            Err(_) => break, // the server will have none of it
        }
    }
    client.set_nonblocking(false).unwrap();
}

/// The server finishes: with an end, or with a reset.
pub fn assert_ends(mut client: TcpStream) {
    let mut buffer = [0; 4_096];
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A signal ends the server in time, with clients that are silent and clients that do not read.
pub fn they_are_there_at_the_signal(subject: Subject) {
    on_every_backend(|backend, trigger| {
        for signal in [Signal::TERM, Signal::INT] {
            let mut server = subject.start(backend, trigger);
            let _silent: Vec<_> = (0..5).map(|_| server.connect()).collect();
            let mut client = server.connect();
            fill(&mut client);
            subject.assert_serves(&server); // so all of them are accepted
            server.stop(signal).assert_graceful();
            TcpStream::connect(&server.address).unwrap_err();
        }
    });
}

/// Fifteen hundred at once: on `select` too, whose 1,024 is not the kernel's.
pub fn they_are_many(subject: Subject) {
    const CLIENTS: usize = 1_500;
    raise_descriptor_limit(20_000).unwrap();
    for backend in [Backend::Select, Backend::Epoll] {
        let server = subject.start(backend, Trigger::Level);
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
        await_that("all are accepted", || server.fds() == server.fds_at_start + CLIENTS);
        clients.iter_mut().rev().for_each(subject.assert_served);
        drop(clients);
        await_that("the server closes", || is_alone(&server));
    }
}

/// There are no more descriptors: the server waits and does not spin, says so once, and goes on when
/// there are some.
pub fn they_take_all_descriptors(subject: Subject) {
    const LIMIT: u64 = 32;
    on_every_backend(|backend, trigger| {
        let mut server =
            Server::start_with(limited(&subject.command(backend, trigger), LIMIT).arg("--trace"));
        let is_complaint = |line: &&String| line.contains("accepting pauses");
        let room = LIMIT as usize - server.fds();
        server.signal(Signal::STOP);
        let clients: Vec<_> = (0..room + 3).map(|_| server.connect()).collect(); // all at once
        server.signal(Signal::CONT);
        await_that("it complains", || server.log().iter().any(|line| is_complaint(&line)));

        let (calls, ticks) = (server.log().len(), server.cpu_ticks());
        thread::sleep(Duration::from_millis(300)); // so long it has the chance to spin
        let (calls, ticks) = (server.log().len() - calls, server.cpu_ticks() - ticks);
        assert!(calls <= 60, "{calls} calls of handlers"); // who spins makes thousands
        assert!(ticks <= 5, "{ticks} hundredths of a second");

        server.signal(Signal::STOP);
        drop(clients); // all at once too
        server.signal(Signal::CONT);
        await_that("the server closes", || is_alone(&server));
        subject.assert_serves(&server);
        let stopped = server.stop(Signal::TERM);
        assert_eq!(stopped.status.code(), Some(0));
        let complaints: Vec<_> = stopped.log.iter().filter(is_complaint).collect();
        assert_eq!(complaints.len(), 1, "{complaints:?}");
    });
}
