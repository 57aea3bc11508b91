//! Connections out that the kernel refuses: each error of `connect(2)`, a process without free
//! descriptors, and no descriptor that is left behind. Each test has processes of its own.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use support::alone::in_own_processes;
use support::reactor::drive;
use support::refuse::refuse;
use support::sockets::Silent;
use support::{Pair, await_that};
use tripoll::net::{Address, Connect, Connecting, Stream};
use tripoll::pool::Pool;
use tripoll::{Backend, Context, Deadline, Reactor, Trigger, sys};

type Results = Vec<io::Result<Stream>>;

/// Runs `body` for each pair in a process of its own.
fn in_process_of_each_pair(test: &str, body: impl FnOnce(Pair)) {
    let pairs: Vec<String> = Pair::all().map(|pair| pair.to_string()).collect();
    assert_eq!(pairs.len(), Backend::ALL.len() * Trigger::ALL.len());
    in_own_processes(&format!("connect_errors::{test}"), &pairs, |case| {
        body(Pair::all().find(|pair| pair.to_string() == case).unwrap());
    });
}

fn start(reactor: &mut Reactor<Results>, connect: Connect) -> Connecting {
    connect.start(&mut reactor.context(), |result, cx: &mut Context<Results>| cx.state.push(result))
}

fn finish(reactor: &mut Reactor<Results>) -> io::Result<Stream> {
    drive(reactor, 1_000, |results| !results.is_empty());
    assert_eq!((reactor.context().len(), reactor.context().timers()), (0, 0));
    reactor.state_mut().pop().unwrap()
}

fn listener() -> (TcpListener, Address) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().into();
    (listener, address)
}

#[test]
fn each_error_of_connect_is_named_and_the_interrupted_ones_are_waited_for() {
    let test = "each_error_of_connect_is_named_and_the_interrupted_ones_are_waited_for";
    in_process_of_each_pair(test, |pair| {
        use ErrorKind::*;
        let (_listener, tcp) = listener();
        let unix = Address::Abstract(b"no matter".into());
        let mut reactor = pair.reactor(Results::new());
        let errors = [
            (libc::EACCES, PermissionDenied),
            (libc::EPERM, PermissionDenied),
            (libc::EADDRINUSE, AddrInUse),
            (libc::EADDRNOTAVAIL, AddrNotAvailable),
            (libc::ECONNREFUSED, ConnectionRefused),
            (libc::ECONNRESET, ConnectionReset),
            (libc::ENETUNREACH, NetworkUnreachable),
            (libc::EHOSTUNREACH, HostUnreachable),
            (libc::ENETDOWN, NetworkDown),
            (libc::ETIMEDOUT, TimedOut),
            (libc::ENOENT, NotFound),
            (libc::ENOTDIR, NotADirectory),
            (libc::EINVAL, InvalidInput),
        ];
        let limit = Duration::from_millis(20);
        let both = Connect::to_any([unix.clone(), tcp.clone()]).attempt_timeout(limit);
        for (number, kind) in errors {
            if !refuse(libc::SYS_connect, number) {
                return;
            }
            start(&mut reactor, both.clone());
            let error = finish(&mut reactor).unwrap_err();
            assert_eq!((error.kind(), sys::errno(&error)), (kind, Some(number)), "{error}");
            let text = error.to_string();
            let reason = io::Error::from_raw_os_error(number);
            let expected = format!("cannot connect to {unix}: {reason}; to {tcp}: {reason}");
            assert_eq!(text, expected);
        }
        // Over TCP these go on, and a Unix socket is tried again. Here neither ever succeeds.
        for number in [libc::EINTR, libc::EAGAIN, libc::EINPROGRESS, libc::EALREADY] {
            assert!(refuse(libc::SYS_connect, number));
            let before = reactor.context().counters().turns;
            start(&mut reactor, both.clone());
            let error = finish(&mut reactor).unwrap_err();
            let turns = reactor.context().counters().turns - before;
            assert!(turns < 40, "{number}: {turns} turns");
            let text = error.to_string();
            let is_full = matches!(number, libc::EINTR | libc::EAGAIN);
            assert_eq!(text.contains("backlog of the listener"), is_full, "{number}: {text}");
            if number == libc::EAGAIN {
                // "No more free local ports", on some kernels.
                assert_eq!(error.kind(), AddrNotAvailable, "{text}");
            } else {
                assert!(text.ends_with(&format!("to {tcp}: no answer within 20ms")), "{text}");
                assert_eq!(error.kind(), TimedOut, "{text}");
            }
        }
    });
}

#[test]
fn a_process_without_free_descriptors_is_told_so_once_and_does_not_spin() {
    let test = "a_process_without_free_descriptors_is_told_so_once_and_does_not_spin";
    in_process_of_each_pair(test, |pair| {
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = Some(60);
        setrlimit(Resource::Nofile, limit).unwrap();
        let (listener, address) = listener();
        let pool = Arc::new(Pool::new(1, 1).unwrap());
        let mut reactor = pair.reactor(Results::new());
        reactor.turn(Deadline::Now).unwrap();
        let mut files = Vec::new();
        let errno = loop {
            match File::open("/dev/null") {
                Ok(file) => files.push(file),
                Err(error) => break error.raw_os_error(),
            }
        };
        assert_eq!(errno, Some(libc::EMFILE));
        let both = Connect::to_any([address.clone(), "[::1]:1".parse().unwrap()]);
        for connect in [both.clone(), Connect::to_name("localhost:1", &pool)] {
            let before = reactor.context().counters();
            start(&mut reactor, connect);
            assert!(reactor.state().is_empty(), "it was called from inside");
            let error = finish(&mut reactor).unwrap_err();
            assert_eq!(sys::errno(&error), Some(libc::EMFILE), "{error}");
            assert!(!error.to_string().contains("::1"), "the other address was tried: {error}");
            assert!(reactor.context().counters().turns - before.turns <= 3);
        }
        // One is enough, for the socket that was refused is closed before the next is made.
        files.pop();
        let refusing = Address::Unix("/no/such/socket".into());
        start(&mut reactor, Connect::to_any([refusing.clone(), refusing, address]));
        finish(&mut reactor).unwrap();
        drop(listener);
    });
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn no_descriptor_is_left_behind_however_a_connect_ends() {
    let test = "no_descriptor_is_left_behind_however_a_connect_ends";
    in_process_of_each_pair(test, |pair| {
        let (listener, address) = listener();
        let silent = Silent::new();
        let own = {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            Address::from(free.local_addr().unwrap())
        };
        let missing = Address::Unix("/no/such/socket".into());
        let full = std::env::temp_dir().join(format!("tripoll-full-{}", std::process::id()));
        let unix = UnixListener::bind(&full).unwrap();
        rustix::net::listen(&unix, 0).unwrap();
        let full = Address::Unix(full);
        let pool = Arc::new(Pool::new(1, 8).unwrap());
        let mut reactor = pair.reactor(Results::new());
        start(&mut reactor, Connect::to(full.clone()));
        let _first = finish(&mut reactor).unwrap();

        let limit = Duration::from_millis(2);
        let connects = [
            Connect::to(address.clone()),
            Connect::to(missing.clone()),
            Connect::to(own.clone()).bind(own),
            Connect::to(silent.address).timeout(limit),
            Connect::to(full.clone()).timeout(limit),
            Connect::to_any([missing, silent.address.into(), address]).attempt_timeout(limit),
            Connect::to_name("localhost:1", &pool),
            Connect::to_name("localhost", &pool),
        ];
        let round = |reactor: &mut Reactor<Results>| {
            for connect in &connects {
                start(reactor, connect.clone());
                if finish(reactor).is_ok() {
                    drop(listener.accept().unwrap());
                }
                // It is cancelled at once, and in the next turn.
                for turns in 0..2 {
                    let connecting = start(reactor, connect.clone());
                    for _ in 0..turns {
                        reactor.turn(Deadline::Now).unwrap();
                    }
                    connecting.cancel(&mut reactor.context());
                    drop(finish(reactor));
                    listener.set_nonblocking(true).unwrap();
                    while listener.accept().is_ok() {}
                    listener.set_nonblocking(false).unwrap();
                }
            }
        };
        round(&mut reactor); // what is opened once and for all is open now
        // A worker may still hold the descriptor of an answer.
        let idle = || await_that("the pool is idle", || pool.jobs() == 0);
        idle();
        let before = open_descriptors();
        for _ in 0..5 {
            round(&mut reactor);
        }
        idle();
        assert_eq!(open_descriptors(), before);
        let Address::Unix(full) = full else { unreachable!() };
        fs::remove_file(full).unwrap();
    });
}
