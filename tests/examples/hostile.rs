//! Hostile clients, and what every example server must do about each.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tripoll::sys::{PollFd, PollFlags, poll, raise_descriptor_limit};
use tripoll::{Backend, Trigger};

use support::example::{Server, arguments, example, limited, on_every_backend};
use support::sockets::reset;
use support::{await_that, pattern};

/// An example, as its tests see it.
#[derive(Clone, Copy)]
pub struct Subject {
    pub name: &'static str,
    /// Arguments of its own.
    pub arguments: &'static [&'static str],
    /// Asserts that a friendly client is served.
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

/// Clients that leave, in any way, leave nothing behind and harm no other client.
pub fn clients_that_leave_leave_nothing_behind(subject: Subject) {
    on_every_backend(|backend, trigger| {
        let mut server = subject.start(backend, trigger);
        subject.assert_serves(&server);
        await_that("the server closes", || is_alone(&server));

        drop(server.connect()); // has sent nothing
        reset(server.connect());
        let mut client = server.connect(); // with an answer unread, which is a reset too
        client.write_all(pattern(10_000)).unwrap();
        client.peek(&mut [0]).unwrap();
        drop(client);
        let mut client = server.connect(); // in the middle of a transfer
        fill(&mut client);
        subject.assert_serves(&server); // a client that does not read harms no other
        reset(client);
        let mut client = server.connect(); // shut down in both directions
        fill(&mut client);
        let _ = client.shutdown(Shutdown::Both);
        drop(client);
        let client = server.connect(); // half-closed
        client.shutdown(Shutdown::Write).unwrap();
        assert_ends(client);

        // These leave before they are accepted.
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

/// Returns whether the server has no client: it has the descriptors of its start.
fn is_alone(server: &Server) -> bool {
    server.fds() == server.fds_at_start
}

/// Asserts that the server sleeps, and that nothing wakes it.
#[track_caller]
pub fn assert_idle(server: &Server) {
    await_that("the server sleeps", || server.is_asleep());
    let (sleeps, ticks) = (server.sleeps(), server.cpu_ticks());
    thread::sleep(Duration::from_millis(300)); // nothing may happen for so long
    let (sleeps, ticks) = (server.sleeps() - sleeps, server.cpu_ticks() - ticks);
    assert!(sleeps <= 1, "it has turned {sleeps} times"); // one, if it was about to sleep
    assert!(ticks <= 1, "it is busy");
}

/// Sends until the server takes no more.
pub fn fill(client: &mut TcpStream) {
    const MOST: usize = 50 << 20;
    /// Enough for a server that could read more to do so, in most cases.
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
            Err(_) => break, // the server has closed
        }
    }
    client.set_nonblocking(false).unwrap();
}

/// Waits until the server closes, in order or with a reset.
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

/// A signal ends the server in time, while some clients are silent and one does not read.
pub fn a_signal_ends_it_with_clients_connected(subject: Subject) {
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

/// On `select` too: its limit of 1,024 is the C library's and not the kernel's.
pub fn fifteen_hundred_clients_at_once_are_served(subject: Subject) {
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

/// Without free descriptors the server waits and does not spin, logs that once, and goes on when
/// there are some.
pub fn without_descriptors_it_waits_and_goes_on_later(subject: Subject) {
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

        let (calls, ticks) = (server.traced_calls(), server.cpu_ticks());
        thread::sleep(Duration::from_millis(300)); // time to spin, if it does
        let (calls, ticks) = (server.traced_calls() - calls, server.cpu_ticks() - ticks);
        assert!(calls <= 60, "{calls} calls of handlers"); // a loop that spins makes thousands
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
