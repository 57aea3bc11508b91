//! A reactor in a process that forks: the child has a copy, and must not disturb its parent.
//!
//! Forking needs a process without other threads, so the tests run one after another in this one.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{io, process, thread};

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use support::net::{Call, Why};
use support::one::{One, Over};
use support::program;
use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::net::{Connection, Wire};
use tripoll::reactor::ManualClock;
use tripoll::{Context, Deadline, Interest, Next, Reactor, Source, Token};

const TESTS: &[(&str, fn())] = &[
    ("a_child_cannot_use_what_its_parent_watches", a_child_cannot_use_what_its_parent_watches),
    ("a_child_that_drops_all_disturbs_nobody", a_child_that_drops_all_disturbs_nobody),
    (
        "a_child_that_drops_a_connection_cuts_no_answer_of_its_parent",
        a_child_that_drops_a_connection_cuts_no_answer_of_its_parent,
    ),
    (
        "a_child_that_goes_on_alone_resets_a_peer_that_does_not_read",
        a_child_that_goes_on_alone_resets_a_peer_that_does_not_read,
    ),
    ("a_child_has_a_loop_of_its_own_after_reinit", a_child_has_a_loop_of_its_own_after_reinit),
    ("a_parked_source_is_watched_after_reinit", a_parked_source_is_watched_after_reinit),
    ("a_grandchild_is_a_child_too", a_grandchild_is_a_child_too),
    ("a_child_leaves_its_parents_files_as_they_are", a_child_leaves_its_parents_files_as_they_are),
    ("reinit_is_nothing_in_the_parent", reinit_is_nothing_in_the_parent),
    (
        "a_timer_of_a_child_takes_none_from_its_parent",
        a_timer_of_a_child_takes_none_from_its_parent,
    ),
    (
        "a_child_that_sleeps_takes_no_wake_from_its_parent",
        a_child_that_sleeps_takes_no_wake_from_its_parent,
    ),
];

fn main() {
    program::main(&[], TESTS);
}

/// Runs `body` in a forked child, which must end well and soon.
fn in_child(body: impl FnOnce()) {
    // SAFETY: this process has one thread.
    #[allow(unsafe_code)]
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let is_well = catch_unwind(AssertUnwindSafe(body)).is_ok();
            process::exit(if is_well { 0 } else { 1 });
        }
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0), "the child");
        }
    }
}

fn read(source: &mut Source<UnixStream>, cx: &mut Context<Vec<u8>>) -> io::Result<Next> {
    let mut buffer = [0; 64];
    let count = source.read(&mut buffer)?;
    cx.state.extend_from_slice(&buffer[..count]);
    Ok(Next::Keep)
}

fn source(reactor: &mut Reactor<Vec<u8>>) -> (Token, UnixStream) {
    let (mine, theirs) = unix_pair();
    (add(reactor, mine, Interest::READ, read), theirs)
}

/// The reactor works: it receives bytes, timers fire, jobs run, sources come and go.
fn assert_works(reactor: &mut Reactor<Vec<u8>>, peer: &mut UnixStream) {
    reactor.state_mut().clear();
    peer.write_all(b"x").unwrap();
    drive(reactor, 5, |read| read == b"x");
    let at = Instant::now() + Duration::from_millis(1);
    reactor.context().set_timer(at, |cx| cx.state.push(b't'));
    drive(reactor, 5, |read| read == b"xt");
    reactor.handle().post(|cx| cx.state.push(b'j')).unwrap();
    drive(reactor, 5, |read| read == b"xtj");
    let (token, mut other) = source(reactor);
    other.write_all(b"o").unwrap();
    drive(reactor, 5, |read| read == b"xtjo");
    reactor.context().remove(token).unwrap();
    let_settle(reactor);
    assert_quiet(reactor);
}

fn a_child_cannot_use_what_its_parent_watches() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (kept, mut peer) = source(&mut reactor);
        let (_, mut others_peer) = source(&mut reactor);
        in_child(|| {
            let errors = [
                reactor.turn(Deadline::Now).map(drop).unwrap_err(),
                reactor.run().unwrap_err(),
                reactor.prepare_poll().map(drop).unwrap_err(),
                reactor.context().switch_to(pair.backend).unwrap_err(),
                reactor.context().add(unix_pair().0, Interest::READ, read).unwrap_err().into(),
            ];
            for error in errors {
                assert_eq!(error.kind(), io::ErrorKind::Unsupported);
                assert!(error.to_string().contains("reinit"), "{error}");
            }
            // It may let go of what it does not need.
            reactor.context().remove(kept).unwrap();
            let now = Instant::now();
            reactor.context().set_timer(now, |_| ());
            let _ = reactor.handle().post(|_| ());
        });
        assert_works(&mut reactor, &mut peer);
        assert_works(&mut reactor, &mut others_peer);
    });
}

fn a_child_that_drops_all_disturbs_nobody() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (_, mut peer) = source(&mut reactor);
        let mut shared = Some(reactor);
        in_child(|| drop(shared.take()));
        assert_works(&mut shared.unwrap(), &mut peer);
    });
}

/// A connection that owes its peer output resets it when it is dropped. But this output is the parent's.
fn a_child_that_drops_a_connection_cuts_no_answer_of_its_parent() {
    on_every_pair(|pair| {
        let answer = vec![7; 6 << 20];
        let script = {
            let answer = answer.clone();
            move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                if *call == Call::Opened {
                    wire.write(&answer);
                }
                Ok(0)
            }
        };
        let mut one = Some(One::new(pair, Over::Tcp, script));
        in_child(|| drop(one.take()));
        let mut one = one.unwrap();
        assert!(one.read(answer.len()) == answer);
        let token = one.token;
        one.reactor.context().remove(token).unwrap();
        let (rest, error) = one.read_to_end();
        assert!(rest.is_empty() && error.is_none(), "{error:?}");
    });
}

/// As a daemon does: its parent has begun the answer, and ends.
fn a_child_that_goes_on_alone_resets_a_peer_that_does_not_read() {
    const LIMIT: Duration = Duration::from_secs(60);
    on_every_pair(|pair| {
        let (mut results, result) = io::pipe().unwrap();
        in_child(|| {
            let clock = ManualClock::new();
            let builder = pair.builder().clock(clock.clone());
            let script = |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                if *call == Call::Opened {
                    wire.write(&[7; 6 << 20]);
                }
                Ok(0)
            };
            let limit = |connection: Connection<_>| connection.write_timeout(LIMIT);
            let mut one = One::built(pair, builder, Over::Tcp, limit, script);
            assert_eq!(one.next_call(), Call::Opened);
            let is_stuck = |one: &mut One| {
                let before = one.reactor.context().counters().dispatches;
                one.turn_some();
                one.reactor.context().counters().dispatches == before
            };
            one.until("the kernel has no more room", is_stuck); // so the child writes nothing
            // SAFETY: this process has one thread.
            #[allow(unsafe_code)]
            if let ForkResult::Parent { .. } = unsafe { fork() }.unwrap() {
                process::exit(0); // without dropping anything
            }
            one.reactor.reinit().unwrap();
            for _ in 0..2 {
                clock.advance(LIMIT);
                one.turn_some();
            }
            assert_eq!(one.until_closed().pop(), Some(Call::Closed(Why::WriteTimedOut)));
            let error = one.read_to_end().1.map(|error| error.kind());
            assert_eq!(error, Some(io::ErrorKind::ConnectionReset));
            (&result).write_all(b"reset").unwrap();
        });
        drop(result);
        assert_eq!(io::read_to_string(&mut results).unwrap(), "reset");
    });
}

fn a_child_has_a_loop_of_its_own_after_reinit() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (_, mut peer) = source(&mut reactor);
        let (removed, _removed_peer) = source(&mut reactor);
        let (paused, _paused_peer) = source(&mut reactor);
        reactor.context().set_interest(paused, Interest::NONE).unwrap();
        let soon = Instant::now() + Duration::from_millis(5);
        reactor.context().set_timer(soon, |cx| cx.state.push(b'T'));
        reactor.handle().post(|cx| cx.state.push(b'J')).unwrap();
        in_child(|| {
            // What it does before is not lost.
            reactor.context().remove(removed).unwrap();
            reactor.context().set_interest(paused, Interest::READ).unwrap();
            reactor.reinit().unwrap();
            pair.check(&mut reactor);
            // It has its own copy of the timers and of the jobs.
            drive(&mut reactor, 5, |read| read.contains(&b'J') && read.contains(&b'T'));
            for _ in 0..3 {
                assert_works(&mut reactor, &mut peer);
            }
            reactor.context().switch_to(pair.backend).unwrap();
            assert_works(&mut reactor, &mut peer);
            let tokens = reactor.context().len();
            assert_eq!(tokens, 2);
        });
        // Nothing of the child's has reached the parent.
        drive(&mut reactor, 5, |read| read.contains(&b'J') && read.contains(&b'T'));
        assert_eq!(reactor.context().len(), 3);
        assert_works(&mut reactor, &mut peer);
    });
}

fn a_parked_source_is_watched_after_reinit() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(0);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        setsockopt(&socket, sockopt::Ipv4RecvErr, &true).unwrap();
        let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        socket.send_to(b"x", closed).unwrap();
        let address = socket.local_addr().unwrap();
        let receive = |socket: &mut Source<UdpSocket>, cx: &mut Context<u32>| {
            match socket.try_io(Interest::READ, |socket| socket.recv(&mut [0; 8])) {
                Ok(_) => *cx.state += 1,
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error),
            }
            Ok(Next::Keep)
        };
        add(&mut reactor, socket, Interest::READ, receive);
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let assert_receives = |reactor: &mut Reactor<u32>| {
            for _ in 0..10 {
                reactor.turn(Deadline::after(Duration::from_millis(1))).unwrap();
            }
            assert_quiet(reactor);
            *reactor.state_mut() = 0;
            peer.send_to(b"x", address).unwrap();
            drive(reactor, 5, |received| *received == 1);
        };
        assert_receives(&mut reactor);
        in_child(|| {
            reactor.reinit().unwrap();
            assert_receives(&mut reactor);
        });
        assert_receives(&mut reactor);
    });
}

/// The parent has made a pipe non-blocking, and the child has the same open file.
fn a_child_leaves_its_parents_files_as_they_are() {
    let is_blocking = |file: &io::PipeReader| {
        !rustix::fs::fcntl_getfl(file).unwrap().contains(rustix::fs::OFlags::NONBLOCK)
    };
    on_every_pair(|pair| {
        let (reader, _writer) = io::pipe().unwrap();
        let same = reader.try_clone().unwrap();
        let mut parents = Some(pair.reactor(()));
        let token = add(parents.as_mut().unwrap(), reader, Interest::READ, |_, _: &mut Context| {
            Ok(Next::Done)
        });
        in_child(|| {
            let mut reactor = parents.take().unwrap();
            reactor.reinit().unwrap();
            reactor.context().remove(token).unwrap();
            reactor.turn(Deadline::Now).unwrap();
            assert!(!is_blocking(&same));
            drop(reactor);
            assert!(!is_blocking(&same));
        });
        assert!(!is_blocking(&same));
        drop(parents);
        assert!(is_blocking(&same));
    });
}

fn a_grandchild_is_a_child_too() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (_, mut peer) = source(&mut reactor);
        in_child(|| {
            reactor.reinit().unwrap();
            in_child(|| {
                assert!(reactor.turn(Deadline::Now).is_err());
                reactor.reinit().unwrap();
                assert_works(&mut reactor, &mut peer);
            });
            assert_works(&mut reactor, &mut peer);
        });
        assert_works(&mut reactor, &mut peer);
    });
}

fn reinit_is_nothing_in_the_parent() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (_, mut peer) = source(&mut reactor);
        let before = reactor.context().counters();
        in_child(|| ());
        reactor.reinit().unwrap();
        assert_eq!(reactor.context().counters(), before);
        assert_works(&mut reactor, &mut peer);
    });
}

fn a_timer_of_a_child_takes_none_from_its_parent() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let soon = Instant::now() + Duration::from_millis(200);
        reactor.context().set_timer(soon, |cx| cx.state.push(b'T'));
        reactor.turn(Deadline::Now).unwrap(); // the kernel knows of it
        in_child(|| {
            reactor.reinit().unwrap();
            let now = Instant::now();
            reactor.context().set_timer(now, |cx| cx.state.push(b'c'));
            drive(&mut reactor, 5, |fired| fired.contains(&b'c'));
        });
        reactor.turn(Deadline::after(LONG)).unwrap();
        assert!(soon.elapsed() < LONG / 2, "the timer did not end the wait");
        assert_eq!(*reactor.state(), b"T");
    });
}

fn a_child_that_sleeps_takes_no_wake_from_its_parent() {
    const JOBS: usize = 200;
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (mut go, ready) = io::pipe().map(|(read, write)| (read, Some(write))).unwrap();
        // SAFETY: this process has one thread.
        #[allow(unsafe_code)]
        let child = match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                reactor.reinit().unwrap();
                drop(ready);
                loop {
                    let _ = reactor.turn(Deadline::Never); // until it is killed
                }
            }
        };
        drop(ready);
        go.read_to_end(&mut Vec::new()).unwrap(); // the child sleeps soon
        let handle = reactor.handle();
        let (done, is_done) = mpsc::channel();
        let poster = thread::spawn(move || {
            for _ in 0..JOBS {
                let done = done.clone();
                let job = move |cx: &mut Context<Vec<u8>>| {
                    cx.state.push(b'j');
                    let _ = done.send(());
                };
                handle.post(job).unwrap();
                if is_done.recv_timeout(LONG / 2).is_err() {
                    return false;
                }
            }
            true
        });
        while reactor.state().len() < JOBS && !poster.is_finished() {
            reactor.turn(Deadline::after(LONG)).unwrap();
        }
        kill(child, Signal::SIGKILL).unwrap();
        waitpid(child, None).unwrap();
        assert!(poster.join().unwrap(), "job {} did not wake the loop", reactor.state().len());
    });
}
