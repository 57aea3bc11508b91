//! One handler's fault is its own: errors and panics end one source, and the others are served.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use support::alone::in_own_process;
use support::log_lines::log_lines;
use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::{Context, Deadline, Handler, Interest, Next, Source, Token};

/// What happened, in order.
type Log = Vec<String>;

/// Does what it is told to.
struct Actor {
    name: &'static str,
    ready: fn() -> io::Result<Next>,
    failed: fn(&mut Context<Log>),
}

impl Actor {
    const fn new(name: &'static str, ready: fn() -> io::Result<Next>) -> Self {
        Actor { name, ready, failed: |_| {} }
    }
}

impl Handler<UnixStream, Log> for Actor {
    fn ready(
        &mut self,
        source: &mut Source<UnixStream>,
        cx: &mut Context<Log>,
    ) -> io::Result<Next> {
        assert_eq!(source.read(&mut [0; 8])?, 1);
        cx.state.push(format!("{} is called", self.name));
        (self.ready)()
    }

    fn timed_out(&mut self, _: &mut Source<UnixStream>, _: &mut Context<Log>) -> io::Result<Next> {
        panic!("no patience")
    }

    fn removed(&mut self, _: Token, error: Option<&io::Error>, cx: &mut Context<Log>) {
        let Some(error) = error else { return };
        cx.state.push(format!("{} failed: {error}", self.name));
        (self.failed)(cx);
    }
}

fn fine() -> io::Result<Next> {
    Ok(Next::Done)
}

/// A reactor's sources, all of which are ready in the same turn, and their peers.
fn add_ready(
    reactor: &mut tripoll::Reactor<Log>,
    actors: impl IntoIterator<Item = Actor>,
) -> Vec<(Token, UnixStream)> {
    let add = |actor| {
        let (mine, mut theirs) = unix_pair();
        theirs.write_all(b"x").unwrap();
        (reactor.context().add(mine, Interest::READ, actor).unwrap(), theirs)
    };
    actors.into_iter().map(add).collect()
}

#[test]
fn an_error_or_a_panic_ends_its_source_alone_and_the_batch_is_served() {
    ["worse luck", "plain words"].into_iter().for_each(expect_panic);
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Log::new());
        let sources = add_ready(
            &mut reactor,
            [
                Actor::new("first", fine),
                Actor::new("error", || Err(io::Error::other("bad luck"))),
                Actor::new("between", fine),
                Actor::new("panic", || panic!("{} luck", "worse")),
                Actor::new("other panic", || panic!("plain words")),
                Actor::new("last", fine),
            ],
        );
        assert_eq!(reactor.turn(Deadline::after(LONG)).unwrap(), 6, "all are served");
        let log = std::mem::take(reactor.state_mut());
        for line in [
            "first is called",
            "error failed: bad luck",
            "between is called",
            "panic failed: panicked: worse luck",
            "other panic failed: panicked: plain words",
            "last is called",
        ] {
            assert_eq!(log.iter().filter(|entry| *entry == line).count(), 1, "{line}: {log:?}");
        }
        let counters = reactor.context().counters();
        assert_eq!((counters.errors, counters.panics), (3, 2));
        let alive: Vec<_> =
            sources.iter().map(|(token, _)| reactor.context().interest(*token).is_some()).collect();
        assert_eq!(alive, [true, false, true, false, false, true]);
        assert_quiet(&mut reactor);
        // And goes on being served.
        for (_, peer) in &sources {
            let _ = (&*peer).write_all(b"x"); // some are closed
        }
        drive(&mut reactor, 3, |log| log.len() == 3);
    });
}

#[test]
fn a_panic_in_removed_ends_no_other_source() {
    ["even here", "already called"].into_iter().for_each(expect_panic);
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Log::new());
        let bad = |name| Actor {
            failed: |_| panic!("even here"),
            ..Actor::new(name, || Err(ErrorKind::InvalidData.into()))
        };
        let worse = |name| Actor { ready: || panic!("already called"), ..bad(name) };
        let _sources = add_ready(
            &mut reactor,
            [bad("a"), Actor::new("b", fine), worse("c"), Actor::new("d", fine), bad("e")],
        );
        assert_eq!(reactor.turn(Deadline::after(LONG)).unwrap(), 5);
        assert_eq!((reactor.context().len(), reactor.context().counters().errors), (2, 3));
        assert_eq!(reactor.context().counters().panics, 4);
        assert_quiet(&mut reactor);
    });
}

#[test]
fn a_failing_handler_can_add_its_successor() {
    expect_panic("it fails");
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Log::new());
        let succeed = |cx: &mut Context<Log>| {
            let (mine, mut theirs) = unix_pair();
            theirs.write_all(b"x").unwrap();
            let keep_peer = theirs;
            cx.add(
                mine,
                Interest::READ,
                move |source: &mut Source<UnixStream>, cx: &mut Context<Log>| {
                    let _ = &keep_peer;
                    assert_eq!(source.read(&mut [0; 8])?, 1);
                    cx.state.push("the successor".into());
                    Ok(Next::Done)
                },
            )
            .unwrap();
        };
        let actor = Actor { failed: succeed, ..Actor::new("a", || panic!("it fails")) };
        let sources = add_ready(&mut reactor, [actor]);
        drive(&mut reactor, 3, |log| log.last().is_some_and(|line| line == "the successor"));
        assert_eq!(reactor.context().len(), 1);
        assert_eq!(reactor.context().interest(sources[0].0), None);
    });
}

#[test]
fn panicking_timers_jobs_and_timeouts_end_nothing_else() {
    ["a bad timer", "a bad job", "no patience"].into_iter().for_each(expect_panic);
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Log::new());
        let now = Instant::now();
        for name in ["one", "two", "three"] {
            reactor.context().set_timer(now, move |cx: &mut Context<Log>| {
                cx.state.push(format!("timer {name}"));
                assert!(name != "two", "a bad timer");
            });
            let job = move |cx: &mut Context<Log>| {
                cx.state.push(format!("job {name}"));
                assert!(name != "two", "a bad job");
            };
            reactor.handle().post(job).unwrap();
        }
        drive(&mut reactor, 3, |log| log.len() == 6);
        reactor.state_mut().sort();
        let all = ["job one", "job three", "job two", "timer one", "timer three", "timer two"];
        assert_eq!(*reactor.state(), all);
        assert_eq!(
            (reactor.context().counters().panics, reactor.context().counters().errors),
            (2, 0)
        );

        reactor.state_mut().clear();
        let (mine, _theirs) = unix_pair();
        let token = reactor.context().add(mine, Interest::READ, Actor::new("late", fine)).unwrap();
        reactor.context().set_deadline(token, Some(now)).unwrap();
        drive(&mut reactor, 3, |log| *log == ["late failed: panicked: no patience"]);
        assert!(reactor.context().is_empty());
        assert_quiet(&mut reactor);
    });
}

/// A source whose destruction panics, added beside others and removed beside others.
#[test]
fn a_panic_while_a_source_is_dropped_ends_no_other_source() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped on purpose");
        }
    }
    expect_panic("dropped on purpose");
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Log::new());
        let (mine, _theirs) = unix_pair();
        let bomb = Bomb;
        let token = add(&mut reactor, mine, Interest::READ, move |_, _: &mut Context<Log>| {
            let _ = &bomb;
            Ok(Next::Keep)
        });
        let (mine, mut theirs) = unix_pair();
        let mut newcomer = Some(unix_pair());
        add(&mut reactor, mine, Interest::READ, move |source, cx: &mut Context<Log>| {
            assert_eq!(source.read(&mut [0; 8])?, 1);
            cx.remove(token)?;
            let (mine, mut theirs) = newcomer.take().unwrap();
            theirs.write_all(b"x").unwrap();
            cx.add(
                mine,
                Interest::READ,
                move |source: &mut Source<UnixStream>, cx: &mut Context<Log>| {
                    let _ = &theirs;
                    assert_eq!(source.read(&mut [0; 8])?, 1);
                    cx.state.push("the newcomer".into());
                    Ok(Next::Done)
                },
            )?;
            Ok(Next::Done)
        });
        theirs.write_all(b"x").unwrap();
        drive(&mut reactor, 4, |log| !log.is_empty());
        assert_eq!((reactor.context().len(), reactor.context().counters().panics), (2, 1));
        assert_quiet(&mut reactor);
    });
}

#[test]
fn a_hook_that_panics_panics_the_turn_and_the_next_turn_works() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Log::new());
        let mut panics = 1;
        reactor.before_wait(move |_| {
            panics -= 1;
            assert!(panics != 0, "a bad hook");
        });
        let (mine, mut theirs) = unix_pair();
        theirs.write_all(b"xyz").unwrap();
        add(&mut reactor, mine, Interest::READ, |source, cx: &mut Context<Log>| {
            source.read_exact(&mut [0])?;
            cx.state.push("a byte".into());
            Ok(Next::Keep)
        });
        catch_unwind(AssertUnwindSafe(|| reactor.turn(Deadline::Now))).unwrap_err();
        for calls in 1..=3 {
            assert_eq!(reactor.turn(Deadline::after(LONG)).unwrap(), 1);
            assert_eq!(reactor.state().len(), calls);
        }
    });
}

/// In a process of its own, because the logger is the process's.
#[test]
fn what_a_closure_returns_as_an_error_is_one_warning_a_second() {
    let test = "isolation::what_a_closure_returns_as_an_error_is_one_warning_a_second";
    in_own_process(test, || {
        let lines = log_lines(log::LevelFilter::Warn);
        on_every_pair(|pair| {
            let mut reactor = pair.reactor(());
            let mut peers = Vec::new();
            for kind in [ErrorKind::ConnectionReset, ErrorKind::TimedOut, ErrorKind::NotFound] {
                let (mine, mut theirs) = unix_pair();
                theirs.write_all(b"x").unwrap();
                add(&mut reactor, mine, Interest::READ, move |_, _| Err(kind.into()));
                peers.push(theirs);
            }
            while !reactor.context().is_empty() {
                reactor.turn(Deadline::after(LONG)).unwrap();
            }
        });
        let (level, line) = lines.recv_timeout(LONG).unwrap();
        assert!(level == log::Level::Warn && line.contains("not found"), "{line}");
        let rest: Vec<_> = lines.try_iter().collect();
        assert!(rest.iter().all(|(_, line)| line.contains("left out")), "{rest:?}");
    });
}
