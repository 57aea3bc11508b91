//! What the tests share: the runner, which puts one body through every backend, and a few ways to
//! make descriptors and to ask.

#![allow(dead_code)] // each test file is a crate of its own, and none of them uses all of this

pub mod faulty;
pub mod reactor;

use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use tripoll::selector::{Backend, Deadline, Events, Readiness, Selector, Token, Trigger};
use tripoll::sys::{self, PollFd, PollFlags};

/// Longer than anything takes, so that what never comes is a failure and not a hang.
pub const LONG: Duration = Duration::from_secs(10);

/// Runs `body` on a new selector of every backend, once with each of `triggers` that it has.
///
/// A panic says on which backend and trigger it happened. A body that ran on another backend than
/// the one it was meant for has failed.
pub fn on_every_backend(triggers: &[Trigger], body: impl Fn(&mut dyn Selector, Trigger)) {
    let mut ran = 0;
    for &backend in Backend::ALL {
        for &trigger in triggers {
            let mut selector = backend.selector().unwrap();
            if selector.caps().triggers.contains(&trigger) {
                let _context = Context(format!("on {backend}, {trigger}-triggered"));
                assert_eq!(selector.name(), backend.name());
                body(&mut *selector, trigger);
                ran += 1;
            }
        }
    }
    assert!(ran >= triggers.len(), "some trigger of {triggers:?} is on no backend");
}

/// Says where a panic happened, beside what the panic itself says.
pub struct Context(pub String);

impl Drop for Context {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this happened {}", self.0);
        }
    }
}

/// What a wait until `deadline` tells.
pub fn told(selector: &mut dyn Selector, deadline: Deadline) -> Vec<(Token, Readiness)> {
    let mut events = Events::new();
    selector.wait(&mut events, deadline).unwrap();
    events.iter().map(|event| (event.token(), event.readiness())).collect()
}

/// What there is to tell at this moment. For Unix sockets and pipes this misses nothing: what one
/// end has done, the other end has.
pub fn told_now(selector: &mut dyn Selector) -> Vec<(Token, Readiness)> {
    told(selector, Deadline::Now)
}

/// Whose events there are at this moment.
pub fn tokens_now(selector: &mut dyn Selector) -> Vec<Token> {
    told_now(selector).into_iter().map(|(token, _)| token).collect()
}

/// Waits for the one event that must come.
pub fn told_one(selector: &mut dyn Selector) -> (Token, Readiness) {
    let told = told(selector, Deadline::after(LONG));
    assert_eq!(told.len(), 1, "{told:?}");
    told[0]
}

/// Nothing is told, now or later, and waiting for it is sleeping: a bounded number of system calls.
pub fn assert_silent(selector: &mut dyn Selector) {
    assert_eq!(told_now(selector), []);
    let (before, begin, asked) =
        (selector.counters().waits, Instant::now(), Duration::from_millis(5));
    assert_eq!(told(selector, Deadline::after(asked)), []);
    assert!(begin.elapsed() >= asked, "came back early, after {:?}", begin.elapsed());
    // One that asks first, one that sleeps.
    let waits = selector.counters().waits - before;
    assert!((1..=2).contains(&waits), "{waits} system calls for one wait");
}

/// Two ends of a Unix stream, neither of which blocks.
pub fn unix_pair() -> (UnixStream, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (one, other)
}

/// Two ends of a TCP connection over the loopback device, neither of which blocks.
pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (other, _) = listener.accept().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (one, other)
}

/// Reads all there is.
pub fn drain(mut stream: impl Read) {
    let mut buffer = [0; 4_096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits until `fd` is in one of the states `flags` (or hung up, or in error): what the other end
/// of a TCP connection does takes a moment to arrive.
pub fn settle(fd: &impl AsRawFd, flags: PollFlags) {
    let mut fds = [PollFd::new(fd.as_raw_fd(), flags)];
    assert_eq!(sys::poll(&mut fds, Some(LONG)).unwrap(), 1, "{flags:?} never came");
}

/// A duplicate of `fd` whose number nobody else in this process will be given, not even after it is
/// closed. (The kernel gives out the lowest number that is free; tests run side by side.)
pub fn with_own_number(fd: &impl AsFd) -> OwnedFd {
    static NEXT: AtomicI32 = AtomicI32::new(2_000);
    with_number(fd, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A duplicate of `fd` with this very number, which must be free.
pub fn with_number(fd: &impl AsFd, number: RawFd) -> OwnedFd {
    let limit = sys::raise_descriptor_limit(10_000).unwrap();
    assert!(limit.soft > number as u64, "descriptor {number} needs a higher limit than {limit:?}");
    let duplicate = rustix::io::fcntl_dupfd_cloexec(fd, number).unwrap();
    assert_eq!(duplicate.as_raw_fd(), number, "the number is taken");
    duplicate
}

/// A number that was a descriptor, and is closed.
pub fn closed_number() -> RawFd {
    with_own_number(&io::stdin()).as_raw_fd()
}

/// The system call in which a thread of this process sleeps, and its first argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SleepsIn {
    pub call: libc::c_long,
    pub first_argument: u64,
}

/// Where `thread` sleeps, if it does so in one of the calls that tell which descriptors are ready.
pub fn sleeps_in(thread: rustix::thread::Pid) -> Option<SleepsIn> {
    const CALLS: &[libc::c_long] = &[
        libc::SYS_pselect6,
        libc::SYS_ppoll,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait,
        libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2,
    ];
    let path = format!("/proc/self/task/{}/syscall", thread.as_raw_nonzero());
    // "running", or the call's number and then its arguments in hexadecimal.
    let line = std::fs::read_to_string(path).unwrap();
    let mut words = line.split_whitespace();
    let call = words.next()?.parse().ok().filter(|call| CALLS.contains(call))?;
    let first_argument = u64::from_str_radix(words.next()?.trim_start_matches("0x"), 16).unwrap();
    Some(SleepsIn { call, first_argument })
}

/// Waits until `thread` sleeps there.
pub fn await_sleep(thread: rustix::thread::Pid) -> SleepsIn {
    let give_up = Instant::now() + LONG;
    loop {
        if let Some(sleeps) = sleeps_in(thread) {
            return sleeps;
        }
        assert!(Instant::now() < give_up, "thread {thread:?} does not wait for descriptors");
        std::thread::yield_now();
    }
}
