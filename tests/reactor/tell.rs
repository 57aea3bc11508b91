//! Messages to the handlers of other sources, and jobs at the end of the turn.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::reactor::Id;
use tripoll::{Context, Deadline, Handler, Interest, Next, Reactor, Source, Token};

#[derive(Default)]
struct Log {
    lines: Vec<String>,
    /// What a handler tells in `ready`.
    others: Vec<Id<(UnixStream, Named)>>,
}

/// A handler that can be told something.
struct Named {
    name: &'static str,
    told: u32,
}

impl Handler<UnixStream, Log> for Named {
    fn ready(
        &mut self,
        stream: &mut Source<UnixStream>,
        cx: &mut Context<Log>,
    ) -> io::Result<Next> {
        assert_eq!(stream.read(&mut [0; 8])?, 1);
        let (log, mut cx) = cx.split();
        for other in &log.others {
            let from = self.name;
            cx.notify(other.token())?;
            cx.tell(*other, move |named, stream, cx| {
                named.told += 1;
                cx.state.lines.push(format!("{from} told {} ({})", named.name, named.told));
                stream.write_all(from.as_bytes())
            })?;
        }
        log.lines.push(format!("{} returns", self.name));
        Ok(Next::Keep)
    }

    fn notified(&mut self, _: &mut Source<UnixStream>, cx: &mut Context<Log>) -> io::Result<Next> {
        cx.state.lines.push(format!("{} notified", self.name));
        Ok(Next::Keep)
    }

    fn removed(&mut self, _: Token, error: Option<&io::Error>, cx: &mut Context<Log>) {
        cx.state.lines.push(format!("{} removed: {error:?}", self.name));
    }
}

fn add_named(
    reactor: &mut Reactor<Log>,
    name: &'static str,
) -> (Id<(UnixStream, Named)>, UnixStream) {
    let (mine, theirs) = unix_pair();
    let mut cx = reactor.context();
    let token = cx.add(mine, Interest::READ, Named { name, told: 0 }).unwrap();
    (cx.id(token).unwrap(), theirs)
}

#[test]
fn a_message_runs_at_the_end_of_the_turn_with_its_handler_and_source() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Log::default());
        let (ann, mut anns) = add_named(&mut reactor, "ann");
        let (bob, mut bobs) = add_named(&mut reactor, "bob");
        assert_ne!(ann, bob);
        reactor.state_mut().others = vec![bob, ann];
        anns.write_all(b"x").unwrap();
        drive(&mut reactor, 2, |log| log.lines.len() == 5);
        assert_eq!(
            reactor.state().lines,
            ["ann returns", "bob notified", "ann told bob (1)", "ann notified", "ann told ann (1)"]
        );
        for peer in [&mut anns, &mut bobs] {
            let mut said = [0; 3];
            peer.read_exact(&mut said).unwrap();
            assert_eq!(&said, b"ann");
        }
    });
}

#[test]
fn a_message_between_turns_and_from_another_thread_wakes_the_loop() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Log::default());
        let (ann, _anns) = add_named(&mut reactor, "ann");
        reactor
            .context()
            .tell(ann, |ann, _, _| {
                ann.told += 1;
                Ok(())
            })
            .unwrap();
        let handle = reactor.handle();
        let (sender, told) = mpsc::channel();
        let teller = thread::spawn(move || {
            let tell = handle.tell(ann, move |ann, stream, cx| {
                cx.stop();
                sender.send((ann.told, stream.token())).unwrap();
                Ok(())
            });
            tell.unwrap();
        });
        reactor.run().unwrap();
        teller.join().unwrap();
        assert_eq!(told.recv(), Ok((1, ann.token())));

        let handle = reactor.handle();
        drop(reactor);
        let error = handle.tell(ann, |_, _, _| unreachable!()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn what_a_message_tells_waits_for_the_next_turn() {
    on_every_pair(|pair| {
        fn again(cx: &mut Context<Log>, ann: Id<(UnixStream, Named)>) {
            let turn = cx.counters().turns;
            let tell = cx.tell(ann, move |named, _, cx| {
                named.told += 1;
                assert!(cx.counters().turns > turn || turn == 0, "twice in one turn");
                cx.state.lines.push(named.told.to_string());
                again(cx, ann);
                Ok(())
            });
            tell.unwrap();
        }
        let mut reactor = pair.reactor(Log::default());
        let (ann, mut anns) = add_named(&mut reactor, "ann");
        again(&mut reactor.context(), ann);
        drive(&mut reactor, 12, |log| log.lines.len() == 10);
        // It starves nobody.
        anns.write_all(b"x").unwrap();
        drive(&mut reactor, 2, |log| log.lines.iter().any(|line| line == "ann returns"));
    });
}

#[test]
fn a_message_to_a_source_that_has_gone_is_refused_or_dropped() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Log::default());
        let (ann, _anns) = add_named(&mut reactor, "ann");
        let owned = Rc::new(());
        let message = Rc::clone(&owned);
        reactor
            .context()
            .tell(ann, move |_, _, _| {
                drop(message);
                unreachable!()
            })
            .unwrap();
        reactor.context().remove(ann.token()).unwrap();
        let error = reactor.context().tell(ann, |_, _, _| unreachable!()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        reactor.handle().tell(ann, |_, _, _| unreachable!()).unwrap();
        // Its place is another's now.
        let (bob, _bobs) = add_named(&mut reactor, "bob");
        assert_eq!(bob.token().index(), ann.token().index());
        reactor.turn(Deadline::after(LONG)).unwrap();
        reactor.turn(Deadline::Now).unwrap();
        assert_eq!(reactor.state().lines, ["ann removed: None"]);
        assert_eq!(Rc::strong_count(&owned), 1, "the message was dropped");
        assert_quiet(&mut reactor);
    });
}

#[test]
fn an_error_or_panic_of_a_message_ends_its_source_and_no_other() {
    on_every_pair(|pair| {
        for panics in [false, true] {
            let mut reactor = pair.reactor(Log::default());
            let (ann, _anns) = add_named(&mut reactor, "ann");
            let (bob, _bobs) = add_named(&mut reactor, "bob");
            let fail = move |_: &mut Named, _: &mut Source<UnixStream>, _: &mut Context<Log>| {
                if panics {
                    expect_panic("a fault");
                    panic!("a fault");
                }
                Err(io::Error::other("a fault"))
            };
            reactor.context().tell(ann, fail).unwrap();
            reactor
                .context()
                .tell(bob, |bob, _, _| {
                    bob.told += 1;
                    Ok(())
                })
                .unwrap();
            reactor.turn(Deadline::after(LONG)).unwrap();
            let lines = &reactor.state().lines;
            assert_eq!(lines.len(), 1);
            assert!(lines[0].starts_with("ann removed: Some(") && lines[0].contains("a fault"));
            assert!(reactor.context().interest(bob.token()).is_some());
            let counters = reactor.context().counters();
            assert_eq!((counters.errors, counters.panics), (1, u64::from(panics)));
        }
    });
}

#[test]
fn an_id_has_the_types_of_its_source_and_is_one_of_its_reactor() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Log::default());
        let (ann, _anns) = add_named(&mut reactor, "ann");
        let token = Token::from(ann);
        let error = reactor.context().id::<(std::net::TcpStream, Handlers)>(token).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("Named"), "{error}");
        let mut other = pair.reactor(Log::default());
        let (bob, _bobs) = add_named(&mut other, "bob");
        assert_ne!(ann, bob);
        assert_eq!(ann.token().index(), bob.token().index());
        let cx = &mut other.context();
        let not_found = [
            cx.id::<(UnixStream, Named)>(token).map(drop),
            cx.tell(ann, |_, _, _| unreachable!()),
            cx.notify(token),
            cx.remove(token),
            cx.arm(token),
            cx.set_interest(token, Interest::WRITE),
            cx.set_deadline(token, None),
            cx.take(token, |_: UnixStream, _| unreachable!()),
        ];
        for result in not_found {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
        }
        assert_eq!(cx.interest(token), None);
        let_settle(&mut other);
        assert_eq!(other.state().lines.len(), 0);
    });
}

/// A handler of another type, in a box.
type Handlers = Box<dyn Handler<std::net::TcpStream, Log>>;

#[test]
fn a_deferred_job_runs_in_this_turn_after_the_handler() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (mine, mut theirs) = unix_pair();
        let not_send = Rc::new(Cell::new(0));
        let seen = Rc::clone(&not_send);
        add(&mut reactor, mine, Interest::READ, move |stream, cx: &mut Context<Vec<&str>>| {
            assert_eq!(stream.read(&mut [0; 8])?, 1);
            let (turn, seen) = (cx.counters().turns, Rc::clone(&seen));
            cx.defer(move |cx| {
                assert_eq!(cx.counters().turns, turn);
                seen.set(seen.get() + 1);
                cx.state.push("job");
                cx.defer(move |cx| {
                    assert_eq!(cx.counters().turns, turn + 1);
                    cx.state.push("its job");
                });
            });
            cx.state.push("handler");
            Ok(Next::Keep)
        });
        theirs.write_all(b"x").unwrap();
        drive(&mut reactor, 3, |seen| seen.len() == 3);
        assert_eq!(*reactor.state(), ["handler", "job", "its job"]);
        assert_eq!(not_send.get(), 1);

        // Between turns, it is done without waiting, and a panic of one ends no other.
        let before = reactor.context().counters();
        expect_panic("a fault");
        reactor.context().defer(|_| panic!("a fault"));
        reactor.context().defer(|cx| cx.state.push("after it"));
        drive(&mut reactor, 1, |seen| seen.len() == 4);
        let after = reactor.context().counters();
        assert_eq!(grown(after, before, |counters| counters.panics), 1);
        assert_eq!(grown(after, before, |counters| counters.jobs), 2);
    });
}
