//! What a program sees of its sources and calls.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::reactor::{Dispatch, ManualClock, Probe};
use tripoll::{Context, Deadline, Handler, Interest, Next, Source, Token};

const SECOND: Duration = Duration::from_secs(1);

struct Disarms;

impl<S> Handler<UnixStream, S> for Disarms {
    fn ready(&mut self, _: &mut Source<UnixStream>, _: &mut Context<S>) -> std::io::Result<Next> {
        Ok(Next::Disarm)
    }
}

#[test]
fn the_sources_are_listed_with_what_they_wait_for() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(());
        assert_eq!(reactor.context().sources().count(), 0);
        let (one, mut one_peer) = unix_pair();
        let (other, _other_peer) = unix_pair();
        let fds = [one.as_raw_fd(), other.as_raw_fd()];
        let mut cx = reactor.context();
        let one = cx.add(one, Interest::READ, Disarms).unwrap();
        let other = cx.add_fn(other, Interest::NONE, |_, _| Ok(Next::Keep)).unwrap();
        let soon = cx.now() + LONG;
        cx.set_deadline(other, Some(soon)).unwrap();
        cx.set_deadline(other, Some(soon + LONG)).unwrap();
        one_peer.write_all(b"x").unwrap();
        reactor.turn(Deadline::after(LONG)).unwrap();
        reactor.turn(Deadline::Now).unwrap();

        let mut sources: Vec<_> = reactor.context().sources().collect();
        sources.sort_by_key(|source| source.token);
        assert_eq!(sources.len(), 2);
        let (one, other) = match &sources[..] {
            [a, b] if a.token == one && b.token == other => (a, b),
            [b, a] if a.token == one && b.token == other => (a, b),
            _ => panic!("{sources:?}"),
        };
        assert_eq!([one.descriptor, other.descriptor], fds);
        assert_eq!([one.interest, other.interest], [Interest::READ, Interest::NONE]);
        assert!(one.is_disarmed && !other.is_disarmed);
        assert!(one.ready.contains(Interest::READ), "it has read nothing");
        assert_eq!([one.deadline, other.deadline], [None, Some(soon + LONG)]);
        assert!(one.source.ends_with("UnixStream") && one.handler.ends_with("seen::Disarms"));
        assert!(other.handler.contains("the_sources_are_listed"), "{}", other.handler);
        let token = one.token;
        reactor.context().remove(token).unwrap();
        assert_eq!(reactor.context().sources().count(), 1);
    });
}

/// Keeps what was added, and what was called.
#[derive(Default, Clone)]
struct Added(Rc<RefCell<Vec<Seen>>>);

type Seen = (Token, &'static str, RawFd);

impl Probe for Added {
    fn added(&mut self, token: Token, descriptor: BorrowedFd<'_>) {
        self.0.borrow_mut().push((token, "added", descriptor.as_raw_fd()));
    }

    fn dispatched(&mut self, dispatch: &Dispatch) {
        self.0.borrow_mut().push((dispatch.token, "called", 0));
    }
}

#[test]
fn a_probe_gets_the_descriptor_of_a_source_before_its_first_call() {
    on_every_pair(|pair| {
        let added = Added::default();
        let mut reactor = pair.build(pair.builder().probe(added.clone()), ());
        let mut all = Vec::new();
        for _ in 0..3 {
            let (mine, mut theirs) = unix_pair();
            theirs.write_all(b"x").unwrap();
            let fd = mine.as_raw_fd();
            let once = |_: &mut Source<UnixStream>, _: &mut Context<_>| Ok(Next::Remove);
            let token = reactor.context().add(mine, Interest::READ, once).unwrap();
            all.push((token, fd));
            reactor.turn(Deadline::Now).unwrap();
        }
        let expected =
            all.iter().flat_map(|&(token, fd)| [(token, "added", fd), (token, "called", 0)]);
        assert_eq!(added.0.take(), expected.collect::<Vec<_>>());
        // A table by index stays as small as the table of sources.
        assert!(all.iter().all(|(token, _)| token.index() == all[0].0.index()));
    });
}

/// Keeps how long each call took.
struct Took(bool, Rc<RefCell<Vec<Option<Duration>>>>);

impl Probe for Took {
    fn measures_calls(&self) -> bool {
        self.0
    }

    fn dispatched(&mut self, dispatch: &Dispatch) {
        self.1.borrow_mut().push(dispatch.took);
    }
}

#[test]
fn the_duration_of_each_call_is_measured_if_the_probe_asks() {
    on_every_pair(|pair| {
        for measures in [true, false] {
            let (clock, took) = (ManualClock::new(), Rc::default());
            let probe = Took(measures, Rc::clone(&took));
            let builder = pair.builder().clock(clock.clone()).probe(probe);
            let mut reactor = pair.build(builder, ());
            let mut peers = Vec::new();
            for seconds in 1..=3 {
                let (mine, mut theirs) = unix_pair();
                theirs.write_all(b"x").unwrap();
                peers.push(theirs);
                let advance = clock.clone();
                add(&mut reactor, mine, Interest::READ, move |stream, cx| {
                    assert_eq!(stream.read(&mut [0; 8])?, 1);
                    advance.advance(seconds * SECOND);
                    // What comes after the call is no part of it.
                    let advance = advance.clone();
                    cx.defer(move |_| advance.advance(100 * SECOND));
                    Ok(Next::Keep)
                });
            }
            for _ in 0..3 {
                reactor.turn(Deadline::Now).unwrap();
            }
            let mut took = took.take();
            took.sort();
            if measures {
                // By edge, each is called again to find that there is nothing left.
                took.retain(|took| *took != Some(Duration::ZERO));
                assert_eq!(took, [SECOND, 2 * SECOND, 3 * SECOND].map(Some));
            } else {
                assert!(took.len() >= 3 && took.iter().all(Option::is_none), "{took:?}");
            }
        }
    });
}

#[test]
fn the_state_outlives_its_reactor() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (mine, theirs) = unix_pair();
        add(&mut reactor, mine, Interest::READ, |_, _| Ok(Next::Keep));
        let handle = reactor.handle();
        reactor.context().defer(|cx| cx.state.push("done"));
        reactor.turn(Deadline::Now).unwrap();
        assert_eq!(reactor.into_state(), ["done"]);
        assert!(handle.post(|_| unreachable!()).is_err(), "the reactor has been dropped");
        theirs.set_nonblocking(false).unwrap();
        assert_eq!((&theirs).read(&mut [0; 8]).unwrap(), 0, "its sources are closed");
    });
}
