//! Connects wait by the clock of their reactor. On every backend and trigger.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use support::{Pair, on_every_pair};
use tripoll::net::{Address, Connect, Retry, Stream};
use tripoll::reactor::ManualClock;
use tripoll::{Context, Deadline, Reactor};

type Results = Vec<io::Result<Stream>>;

const SECOND: Duration = Duration::from_secs(1);

/// A reactor whose clock stands still, and the clock.
fn still(pair: Pair) -> (Reactor<Results>, ManualClock) {
    let clock = ManualClock::new();
    (pair.build(pair.builder().clock(clock.clone()), Results::new()), clock)
}

fn start(connect: Connect, reactor: &mut Reactor<Results>) {
    connect.start(&mut reactor.context(), |result, cx: &mut Context<'_, Results>| {
        cx.state.push(result);
    });
}

/// Lets happen what can.
fn turn(reactor: &mut Reactor<Results>) {
    for _ in 0..10 {
        reactor.turn(Deadline::Now).unwrap();
    }
}

#[test]
fn a_connect_that_fails_at_once_says_so_while_the_clock_stands_still() {
    on_every_pair(|pair| {
        let (mut reactor, _) = still(pair);
        start(Connect::to_any([]), &mut reactor);
        turn(&mut reactor);
        let error = reactor.state_mut().pop().expect("it is over").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn the_limits_of_a_connect_are_over_when_the_clock_was_advanced_to_them() {
    on_every_pair(|pair| {
        let path = std::env::temp_dir().join(format!("tripoll-clock-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        listener.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        listener.listen(0).unwrap();
        let _first = UnixStream::connect(&path).unwrap(); // the backlog is full
        let (mut reactor, clock) = still(pair);
        let connect = Connect::to(Address::Unix(path.clone()));
        start(connect.attempt_timeout(10 * SECOND), &mut reactor);
        turn(&mut reactor);
        clock.advance(9 * SECOND);
        turn(&mut reactor);
        assert!(reactor.state().is_empty());
        clock.advance(SECOND);
        turn(&mut reactor);
        let error = reactor.state_mut().pop().expect("it is over").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        std::fs::remove_file(&path).unwrap();
    });
}

#[test]
fn a_pause_between_tries_is_over_when_the_clock_was_advanced_to_its_end() {
    on_every_pair(|pair| {
        let (mut reactor, clock) = still(pair);
        let nowhere = Address::Unix("/nonexistent/tripoll".into());
        let retry = Retry::new().first(60 * SECOND).jitter(0.0).max_tries(2);
        start(Connect::to(nowhere).retry(retry), &mut reactor);
        turn(&mut reactor);
        clock.advance(59 * SECOND);
        turn(&mut reactor);
        assert!(reactor.state().is_empty());
        clock.advance(SECOND);
        turn(&mut reactor);
        let error = reactor.state_mut().pop().expect("it is over").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
    });
}
