//! Who is registered: removals at any moment, names that are never used twice, registrations that
//! fail, and descriptors that are closed when their sources are gone.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use support::faulty::Faults;
use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::selector::{Event, Readiness};
use tripoll::{Context, Deadline, Handler, Interest, Next, Source, Token};

/// A source that has one byte to read, and its peer.
fn ready_source() -> (UnixStream, UnixStream) {
    let (mine, mut theirs) = unix_pair();
    theirs.write_all(b"x").unwrap();
    (mine, theirs)
}

/// Whether the peer of `stream` is closed.
/// Another test may be starting a program, which has a copy of all until it runs.
fn is_closed(mut stream: &UnixStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(0) => true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => true, // it had unread data
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_handler_can_remove_itself_in_two_ways() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(0_u32);
        let (one, one_peer) = ready_source();
        let (other, other_peer) = ready_source();
        add(&mut reactor, one, Interest::READ, |_, cx: &mut Context<u32>| {
            *cx.state += 1;
            Ok(Next::Remove)
        });
        add(&mut reactor, other, Interest::READ, |source, cx: &mut Context<u32>| {
            *cx.state += 1;
            let token = source.token();
            cx.remove(token).unwrap();
            assert_eq!(cx.remove(token).unwrap_err().kind(), ErrorKind::NotFound);
            // It still has its source in hand.
            assert_eq!(source.read(&mut [0; 8]).unwrap(), 1);
            Ok(Next::Remove)
        });
        drive(&mut reactor, 3, |calls| *calls == 2);
        assert!(reactor.context().is_empty());
        await_that("both are closed", || is_closed(&one_peer) && is_closed(&other_peer));
        assert_quiet(&mut reactor);
        assert_eq!(reactor.context().counters().stale, 0);
    });
}

/// The first who is called removes all the others, whose events wait in the same batch.
#[test]
fn a_source_removed_earlier_in_the_batch_is_not_called() {
    on_every_pair(|pair| {
        type State = (Vec<Token>, u32);
        let mut reactor = pair.reactor::<State>((Vec::new(), 0));
        let mut peers = Vec::new();
        for _ in 0..10 {
            let (mine, theirs) = ready_source();
            peers.push(theirs);
            let token =
                add(&mut reactor, mine, Interest::READ, |source, cx: &mut Context<State>| {
                    cx.state.1 += 1;
                    for token in std::mem::take(&mut cx.state.0) {
                        if token != source.token() {
                            cx.remove(token)?;
                        }
                    }
                    Ok(Next::Done)
                });
            reactor.state_mut().0.push(token);
        }
        reactor.turn(Deadline::after(LONG)).unwrap();
        assert_eq!(reactor.state().1, 1);
        assert_eq!(reactor.context().len(), 1);
        await_that("9 are closed", || peers.iter().filter(|peer| is_closed(peer)).count() == 9);
        assert_eq!(reactor.context().counters().stale, 9, "their events came too late");
    });
}

/// Each one who is called puts a newcomer into the place of a victim whose event still waits: the
/// same place in the table, and the same descriptor number.
#[test]
fn a_newcomer_in_the_place_of_the_removed_gets_no_stale_event() {
    #[derive(Default)]
    struct State {
        victim: Option<(Token, RawFd)>,
        newcomer: Option<(Token, UnixStream)>,
        newcomers_called: u32,
        called: u32,
    }
    on_every_pair(|pair| {
        let faults = Faults::default();
        let builder = pair.builder().selector(faults.of(pair.backend));
        let mut reactor = pair.build(builder, State::default());
        // A number that only this test will ever use.
        let (victim, _victims_peer) = unix_pair();
        let victim = with_own_number(&victim);
        let number = victim.as_raw_fd();
        let token = add(&mut reactor, victim, Interest::READ, |_, _| unreachable!("it is removed"));
        reactor.state_mut().victim = Some((token, number));
        // Called first, removes; called second, adds.
        let (mine, _theirs) = unix_pair();
        let first = add(&mut reactor, mine, Interest::READ, |_, cx: &mut Context<State>| {
            let (victim, _) = cx.state.victim.unwrap();
            cx.state.called += 1;
            cx.remove(victim)?;
            Ok(Next::Done)
        });
        let (mine, _theirs_too) = unix_pair();
        let second = add(&mut reactor, mine, Interest::READ, |_, cx: &mut Context<State>| {
            let (victim, number) = cx.state.victim.unwrap();
            cx.state.called += 1;
            let (mine, theirs) = unix_pair();
            let mine = with_number(&mine, number); // it is free: the victim is closed
            let token =
                cx.add(mine, Interest::READ, |_: &mut Source<_>, cx: &mut Context<State>| {
                    cx.state.newcomers_called += 1;
                    Ok(Next::Done)
                })?;
            assert_eq!(token.index(), victim.index(), "the same place");
            assert_ne!(token, victim);
            cx.state.newcomer = Some((token, theirs));
            Ok(Next::Done)
        });
        let everything = Readiness::READ | Readiness::WRITE;
        faults.plan().extra =
            [first, second, token].map(|token| Event::new(token, everything)).into();
        reactor.turn(Deadline::after(LONG)).unwrap();
        assert_eq!((reactor.state().called, reactor.state().newcomers_called), (2, 0));
        assert_eq!(reactor.context().counters().stale, 1);
        assert_quiet(&mut reactor);
        // The newcomer is alive, and its predecessor's name is good for nothing.
        let error = reactor.context().set_interest(token, Interest::NONE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        reactor.state_mut().newcomer.as_mut().unwrap().1.write_all(b"x").unwrap();
        drive(&mut reactor, 3, |state| state.newcomers_called == 1);
    });
}

#[test]
fn a_stale_name_is_not_found_by_any_call() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(());
        let (mine, theirs) = unix_pair();
        let token = add(&mut reactor, mine, Interest::READ, |_, _| unreachable!());
        reactor.context().remove(token).unwrap();
        let (newcomer, mut newcomers_peer) = unix_pair();
        let new = add(&mut reactor, newcomer, Interest::NONE, |_, _| unreachable!());
        assert_eq!(new.index(), token.index());
        for stale in [token, Token::new(77, 0), Token::new(u32::MAX, 0), Token::new(u32::MAX, 1)] {
            let mut cx = reactor.context();
            for answer in [
                cx.remove(stale),
                cx.set_interest(stale, Interest::READ),
                cx.arm(stale),
                cx.set_deadline(stale, Some(std::time::Instant::now())),
            ] {
                let error = answer.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotFound);
                assert!(error.to_string().contains(&format!("{stale:?}")), "{error}");
            }
            assert_eq!(cx.interest(stale), None);
            reactor.handle().arm(stale).unwrap();
        }
        reactor.turn(Deadline::Now).unwrap();
        newcomers_peer.write_all(b"x").unwrap();
        assert_eq!(reactor.context().interest(new), Some(Interest::NONE));
        assert_eq!(reactor.turn(Deadline::Now).unwrap(), 0);
        await_that("it is closed", || is_closed(&theirs));
    });
}

#[test]
fn a_registration_that_fails_gives_the_source_back() {
    on_every_pair(|pair| {
        let faults = Faults::default();
        let builder = pair.builder().selector(faults.of(pair.backend));
        let mut reactor = pair.build(builder, 0_u32);
        let (mine, mut theirs) = unix_pair();
        faults.plan().refuse_add_after = Some(0);
        let dropped = Rc::new(());
        let guard = Rc::clone(&dropped);
        let refused = reactor
            .context()
            .add(mine, Interest::READ, move |_: &mut Source<_>, _: &mut Context<u32>| {
                let _ = &guard;
                Ok(Next::Keep)
            })
            .unwrap_err();
        assert_eq!(refused.error.kind(), ErrorKind::StorageFull);
        assert!(refused.to_string().contains("no watches left"), "{refused}");
        assert_eq!((reactor.context().len(), Rc::strong_count(&dropped)), (0, 1));

        // And it can be registered when there is room again.
        faults.plan().refuse_add_after = None;
        add(&mut reactor, refused.source, Interest::READ, |source, cx: &mut Context<u32>| {
            *cx.state += source.read(&mut [0; 8])? as u32;
            Ok(Next::Keep)
        });
        theirs.write_all(b"x").unwrap();
        drive(&mut reactor, 3, |read| *read == 1);
        assert_eq!(reactor.context().counters().errors, 0);
    });
}

/// A name without an open file behind it, which no selector takes (`O_PATH`).
fn path_only() -> File {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH).open("/").unwrap()
}

#[test]
fn what_no_selector_takes_is_refused_by_every_one() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(());
        for interest in [Interest::READ, Interest::NONE] {
            let handler = |_: &mut Source<File>, _: &mut Context| Ok(Next::Keep);
            let refused = reactor.context().add(path_only(), interest, handler).unwrap_err();
            assert_eq!(refused.error.kind(), ErrorKind::InvalidInput);
            let _: File = refused.source;
        }
        assert!(reactor.context().is_empty());
        assert_quiet(&mut reactor);
    });
}

/// Tells of its failure.
struct Teller;

impl Handler<UnixStream, Vec<ErrorKind>> for Teller {
    fn ready(
        &mut self,
        source: &mut Source<UnixStream>,
        _: &mut Context<Vec<ErrorKind>>,
    ) -> io::Result<Next> {
        assert_eq!(source.read(&mut [0; 8])?, 1);
        source.set_interest(Interest::READ | Interest::WRITE);
        Ok(Next::Keep)
    }

    fn removed(&mut self, _: Token, error: Option<&io::Error>, cx: &mut Context<Vec<ErrorKind>>) {
        cx.state.extend(error.map(io::Error::kind));
    }
}

#[test]
fn a_change_that_the_kernel_refuses_ends_its_source_alone() {
    on_every_pair(|pair| {
        let faults = Faults::default();
        let builder = pair.builder().selector(faults.of(pair.backend));
        let mut reactor = pair.build(builder, Vec::new());
        let (mine, theirs) = ready_source();
        let token = reactor.context().add(mine, Interest::READ, Teller).unwrap();
        let (other, mut others_peer) = unix_pair();
        let clear = |source: &mut Source<UnixStream>, cx: &mut Context<Vec<ErrorKind>>| {
            assert_eq!(source.read(&mut [0; 8])?, 1);
            cx.state.clear();
            Ok(Next::Keep)
        };
        add(&mut reactor, other, Interest::READ, clear);
        reactor.turn(Deadline::after(LONG)).unwrap();
        faults.plan().set_errors.push_back(libc::EPERM);
        drive(&mut reactor, 3, |failures| *failures == [ErrorKind::PermissionDenied]);
        assert_eq!(reactor.context().interest(token), None);
        assert_eq!((reactor.context().len(), reactor.context().counters().errors), (1, 1));
        await_that("it is closed", || is_closed(&theirs));
        assert_quiet(&mut reactor);
        others_peer.write_all(b"x").unwrap();
        drive(&mut reactor, 3, |failures| failures.is_empty());
    });
}

#[test]
fn a_wait_that_fails_is_reported_and_loses_no_source() {
    on_every_pair(|pair| {
        let faults = Faults::default();
        let builder = pair.builder().selector(faults.of(pair.backend));
        let mut reactor = pair.build(builder, 0);
        let (mine, mut theirs) = unix_pair();
        theirs.write_all(&[0; 10]).unwrap();
        add(&mut reactor, mine, Interest::READ, |source, cx: &mut Context<usize>| {
            *cx.state += source.read(&mut [0])?;
            Ok(Next::Keep)
        });
        drive(&mut reactor, 3, |read| *read == 2);
        faults.plan().fail_wait = true;
        let error = reactor.turn(Deadline::Never).unwrap_err();
        let text = format!("the wait of {} failed: the wait has failed", pair.backend);
        assert_eq!(error.to_string(), text);
        drive(&mut reactor, 10, |read| *read == 10);
    });
}

/// Sources and handlers are dropped with the reactor, and before it when they are removed.
#[test]
fn no_descriptor_is_left_open() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(());
        let shared = Rc::new(());
        let mut peers = Vec::new();
        let mut tokens = Vec::new();
        for _ in 0..20 {
            let (mine, theirs) = unix_pair();
            let guard = Rc::clone(&shared);
            tokens.push(add(&mut reactor, mine, Interest::READ, move |_, _| {
                let _ = &guard;
                Ok(Next::Keep)
            }));
            peers.push(theirs);
        }
        for token in tokens.drain(..10) {
            reactor.context().remove(token).unwrap();
        }
        reactor.turn(Deadline::Now).unwrap();
        await_that("10 are closed", || peers[..10].iter().all(is_closed));
        assert!(!peers[10..].iter().any(is_closed));
        assert_eq!(Rc::strong_count(&shared), 11);
        // Added and not yet settled, a timer and a job that were never run: all go.
        let (mine, theirs) = unix_pair();
        let guard = Rc::clone(&shared);
        add(&mut reactor, mine, Interest::READ, move |_, _| {
            let _ = &guard;
            Ok(Next::Keep)
        });
        let guard = Rc::clone(&shared);
        let never = std::time::Instant::now() + LONG;
        reactor.context().set_timer(never, move |_| drop(guard));
        peers.push(theirs);
        drop(reactor);
        await_that("all are closed", || peers.iter().all(is_closed));
        assert_eq!(Rc::strong_count(&shared), 1);
    });
}

/// A thousand lives in the same few places.
#[test]
fn places_are_used_again_and_names_are_not() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(0_u32);
        let mut names = std::collections::HashSet::new();
        for life in 1..=1_000 {
            let (mine, _theirs) = ready_source();
            let token = add(&mut reactor, mine, Interest::READ, |_, cx: &mut Context<u32>| {
                *cx.state += 1;
                Ok(Next::Remove)
            });
            assert!(names.insert(token));
            assert!(token.index() < 4);
            assert_eq!(reactor.turn(Deadline::after(LONG)).unwrap(), 1);
            assert_eq!(*reactor.state(), life);
        }
        assert_eq!(reactor.context().counters().stale, 0);
        assert_eq!(reactor.context().counters().repairs, 0);
    });
}

/// The first sources of two reactors have the same index, and different tokens.
#[test]
fn a_token_of_another_reactor_is_unknown() {
    on_every_pair(|pair| {
        let (mut one, mut other) = (pair.reactor(0), pair.reactor(0));
        let (mine, _theirs) = unix_pair();
        let (yours, _peer) = unix_pair();
        let nothing = |_: &mut Source<UnixStream>, _: &mut Context<i32>| Ok(Next::Keep);
        let token = add(&mut one, mine, Interest::READ, nothing);
        let yours = add(&mut other, yours, Interest::READ, nothing);
        assert_eq!(token.index(), yours.index());
        let mut cx = other.context();
        for refused in [
            cx.notify(token),
            cx.arm(token),
            cx.set_interest(token, Interest::NONE),
            cx.set_deadline(token, None),
            cx.remove(token),
        ] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotFound);
        }
        assert_eq!(cx.interest(token), None);
        assert_eq!((cx.len(), cx.interest(yours)), (1, Some(Interest::READ)));
    });
}
