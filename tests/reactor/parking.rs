//! Errors that stay: by level the kernel reports them in each wait, and no handler spins.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::alone::in_own_process;
use support::reactor::*;
use support::*;
use tripoll::{Backend, Context, Deadline, Interest, Next, Reactor, Source, Trigger};

/// What the handler has met.
#[derive(Debug, Default)]
struct Met {
    calls: u32,
    errors: u32,
    datagrams: u32,
}

/// Receives until there is nothing left. It does not read the error queue.
fn receive(source: &mut Source<UdpSocket>, cx: &mut Context<Met>) -> io::Result<Next> {
    cx.state.calls += 1;
    loop {
        match source.try_io(Interest::READ, |socket| socket.recv(&mut [0; 64])) {
            Ok(_) => cx.state.datagrams += 1,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
            Err(_) => cx.state.errors += 1,
        }
    }
}

/// A source with an error in its queue, where it stays, and a socket that it receives from.
fn source_with_error(
    reactor: &mut Reactor<Met>,
    interest: Interest,
) -> (tripoll::Token, UdpSocket) {
    let mine = UdpSocket::bind("127.0.0.1:0").unwrap();
    setsockopt(&mine, sockopt::Ipv4RecvErr, &true).unwrap();
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.connect(mine.local_addr().unwrap()).unwrap();
    mine.send_to(b"x", closed).unwrap();
    (add(reactor, mine, interest, receive), peer)
}

/// Lets the process open no further descriptor, until the result is dropped.
fn without_descriptors() -> impl Drop {
    struct Restore(Rlimit);
    impl Drop for Restore {
        fn drop(&mut self) {
            setrlimit(Resource::Nofile, self.0).unwrap();
        }
    }
    let before = getrlimit(Resource::Nofile);
    let free = std::fs::File::open("/dev/null").unwrap().as_raw_fd() as u64;
    setrlimit(Resource::Nofile, Rlimit { current: Some(free), ..before }).unwrap();
    Restore(before)
}

/// Turns for a while in which nothing happens.
fn turn_for(reactor: &mut Reactor<Met>, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        reactor.turn(Deadline::At(end)).unwrap();
    }
}

#[test]
fn an_error_that_stays_calls_its_handler_once() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Met::default());
        let (_token, peer) = source_with_error(&mut reactor, Interest::READ);
        turn_for(&mut reactor, Duration::from_millis(20));
        let Met { calls, errors, datagrams } = *reactor.state();
        assert!((1..=3).contains(&calls), "{calls} calls");
        assert_eq!((errors, datagrams), (1, 0));
        assert_quiet(&mut reactor);
        // What is new is told, again and again.
        for round in 1..=10 {
            peer.send(b"x").unwrap();
            drive(&mut reactor, 5, |met| met.datagrams == round);
            turn_for(&mut reactor, Duration::from_millis(1));
            assert_quiet(&mut reactor);
        }
        assert!(reactor.state().calls <= 3 + 2 * 10, "{:?}", reactor.state());
        let counters = reactor.context().counters();
        assert_eq!(counters.errors, 0);
        assert_eq!(counters.parked > 0, pair.effective_trigger() == Trigger::Level, "{counters:?}");
    });
}

#[test]
fn an_error_that_stays_is_no_spin_while_there_is_no_descriptor_to_park_its_source() {
    let name =
        "parking::an_error_that_stays_is_no_spin_while_there_is_no_descriptor_to_park_its_source";
    in_own_process(name, || {
        on_every_pair(|pair| {
            let mut reactor = pair.reactor(Met::default());
            let (_token, peer) = source_with_error(&mut reactor, Interest::READ);
            let shortage = without_descriptors();
            turn_for(&mut reactor, Duration::from_millis(35));
            let calls = reactor.state().calls;
            assert!((1..=20).contains(&calls), "{calls} calls");
            // It still receives, and when there are descriptors again, it is parked.
            peer.send(b"x").unwrap();
            drive(&mut reactor, 20, |met| met.datagrams == 1);
            drop(shortage);
            turn_for(&mut reactor, Duration::from_millis(50));
            assert_quiet(&mut reactor);
            assert_eq!(reactor.context().counters().errors, 0);
        });
    });
}

#[test]
fn a_parked_source_can_be_changed_removed_and_moved() {
    on_every_pair(|pair| {
        for &backend in Backend::ALL {
            let mut reactor = pair.reactor(Met::default());
            let (kept, kept_peer) = source_with_error(&mut reactor, Interest::READ);
            let (removed, removed_peer) = source_with_error(&mut reactor, Interest::READ);
            turn_for(&mut reactor, Duration::from_millis(2));
            assert_eq!(reactor.state().errors, 2);
            reactor.context().remove(removed).unwrap();
            reactor.turn(Deadline::Now).unwrap();
            let _ = removed_peer.send(b"x"); // nobody is there
            assert_quiet(&mut reactor);

            // Paused, it is not called. What came meanwhile is told afterwards.
            reactor.context().set_interest(kept, Interest::NONE).unwrap();
            kept_peer.send(b"x").unwrap();
            assert_eq!(reactor.turn(Deadline::after(Duration::from_millis(2))).unwrap(), 0);
            reactor.context().set_interest(kept, Interest::READ).unwrap();
            drive(&mut reactor, 3, |met| met.datagrams == 1);
            turn_for(&mut reactor, Duration::from_millis(2));

            // Moved to another backend, it is parked there, too.
            reactor.context().switch_to(backend).unwrap();
            turn_for(&mut reactor, Duration::from_millis(2));
            let_settle(&mut reactor);
            assert_quiet(&mut reactor);
            kept_peer.send(b"x").unwrap();
            drive(&mut reactor, 5, |met| met.datagrams == 2);
            turn_for(&mut reactor, Duration::from_millis(2));
            assert_quiet(&mut reactor);
            assert!(reactor.state().calls <= 20, "{:?}", reactor.state());
        }
    });
}

#[test]
fn only_what_stays_is_parked() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (mine, mut theirs) = support::sockets::unix_pair();
        add(&mut reactor, mine, Interest::READ, collect);
        for _ in 0..100 {
            io::Write::write_all(&mut theirs, b"x").unwrap();
            reactor.turn(Deadline::after(LONG)).unwrap();
        }
        drop(theirs);
        drive(&mut reactor, 200, |read| read.len() == 100);
        assert_eq!(reactor.context().counters().parked, 0);
    });
}
