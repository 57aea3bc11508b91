//! Timers and deadlines: in order, never early, truly cancelled, and waits that stay infinite.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::gettid;
use support::reactor::*;
use support::sleep::*;
use support::sockets::*;
use support::*;
use tripoll::reactor::TimerId;
use tripoll::{Context, Deadline, Handler, Interest, Next, Source, Token};

const MS: Duration = Duration::from_millis(1);

#[test]
fn timers_run_in_order_and_equal_ones_in_the_order_of_setting() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let start = Instant::now();
        let mut expected = Vec::new();
        for number in 0..60_u32 {
            let after = number * 7 % 3;
            reactor.context().set_timer(start + after * MS, move |cx: &mut Context<Vec<_>>| {
                assert!(Instant::now() >= start + after * MS, "it is early");
                cx.state.push((after, number));
            });
            expected.push((after, number));
        }
        assert_eq!(reactor.context().timers(), 60);
        // Not earlier and not in more turns than there are instants, and one for each ring that
        // comes before the loop sleeps.
        drive(&mut reactor, 6, |rung| rung.len() == 60);
        expected.sort_unstable();
        assert_eq!(*reactor.state(), expected);
        assert_eq!((reactor.context().timers(), reactor.next_deadline()), (0, None));
        assert_eq!(reactor.context().counters().timers, 60);
        assert_quiet(&mut reactor);
    });
}

#[test]
fn what_is_due_already_runs_in_the_next_turns() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(0_u32);
        assert_quiet(&mut reactor);
        let now = Instant::now();
        for at in [now, now - MS, now.checked_sub(Duration::from_secs(60)).unwrap_or(now)] {
            reactor.context().set_timer(at, |cx: &mut Context<u32>| *cx.state += 1);
        }
        assert_eq!(drive(&mut reactor, 2, |rung| *rung == 3), 1);
    });
}

#[test]
fn a_timer_can_cancel_another_that_is_due_in_the_same_turn() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor::<(Vec<TimerId>, u32)>((Vec::new(), 0));
        let now = Instant::now();
        for _ in 0..4 {
            let id = reactor.context().set_timer(now, |cx: &mut Context<(Vec<TimerId>, u32)>| {
                cx.state.1 += 1;
                let ids = std::mem::take(&mut cx.state.0);
                // Itself it cannot cancel: it is running.
                let cancelled: Vec<_> = ids.iter().map(|id| cx.cancel_timer(*id)).collect();
                assert_eq!(cancelled, [false, true, true, true]);
                assert!(!ids.iter().any(|id| cx.cancel_timer(*id)), "a second time");
                assert_eq!(cx.timers(), 0);
            });
            reactor.state_mut().0.push(id);
        }
        drive(&mut reactor, 2, |state| state.1 == 1);
        assert_quiet(&mut reactor);
        assert_eq!(reactor.state().1, 1);
        assert_eq!(reactor.context().counters().timers, 1);
    });
}

#[test]
fn a_timer_that_sets_itself_again_runs_once_a_turn() {
    on_every_pair_and_noise(|pair| {
        type State = (u32, u64);
        fn again(cx: &mut Context<State>) {
            assert_ne!(cx.counters().turns, cx.state.1, "twice in one turn");
            cx.state.1 = cx.counters().turns;
            cx.state.0 += 1;
            cx.set_timer(Instant::now() - MS, again);
        }
        let mut reactor = pair.reactor::<State>((0, 0));
        reactor.context().set_timer(Instant::now(), again);
        drive(&mut reactor, 60, |state| state.0 == 50);
        // A timer that is always due starves nobody.
        let (mine, mut theirs) = unix_pair();
        add(&mut reactor, mine, Interest::READ, |_, cx: &mut Context<State>| {
            cx.state.0 = 0;
            Ok(Next::Remove)
        });
        theirs.write_all(b"x").unwrap();
        drive(&mut reactor, 3, |state| state.0 < 50);
    });
}

#[test]
fn a_cancelled_timer_never_runs_and_its_name_is_not_used_again() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(());
        let soon = Instant::now() + 2 * MS;
        let mut cx = reactor.context();
        let cancelled = cx.set_timer(soon, |_| unreachable!());
        assert!(cx.cancel_timer(cancelled));
        let far = cx.set_timer(soon + LONG, |_| unreachable!());
        assert_ne!(cancelled, far);
        assert!(!cx.cancel_timer(cancelled), "it would be the other's");
        assert_eq!(reactor.next_deadline(), Some(soon + LONG));
        assert_eq!(reactor.turn(Deadline::after(5 * MS)).unwrap(), 0);
        assert_eq!(reactor.context().counters().timers, 0);
    });
}

#[test]
fn a_timer_far_ahead_costs_no_turn_and_leaves_waits_infinite() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(());
        let now = Instant::now();
        for ahead in [3_600, 86_400 * 365, 86_400 * 365 * 1_000, u64::MAX >> 2] {
            if let Some(at) = now.checked_add(Duration::from_secs(ahead)) {
                reactor.context().set_timer(at, |_| unreachable!());
            }
        }
        let_settle(&mut reactor);
        let (handle, sleeper) = (reactor.handle(), gettid());
        let looker = thread::spawn(move || {
            let sleeps = await_sleep(sleeper);
            let timeout = timeout_of(sleeper, sleeps.call);
            handle.stop();
            (sleeps, timeout)
        });
        let before = reactor.context().counters();
        reactor.run().unwrap();
        let (sleeps, timeout) = looker.join().unwrap();
        assert_eq!(timeout, Some(0), "no timeout, {sleeps:?}");
        assert_eq!(grown(reactor.context().counters(), before, |counters| counters.turns), 1);
    });
}

/// The timeout with which a thread sleeps in `call`: 0 for none, `None` if it sleeps no more.
fn timeout_of(thread: rustix::thread::Pid, call: WaitCall) -> Option<u64> {
    // select(n, read, write, except, timeout), poll(fds, n, timeout), epoll_wait(epoll, events, n,
    // timeout): a pointer, null for none, or milliseconds, negative for none.
    let (position, in_milliseconds) = match call {
        WaitCall::Select => (5, false),
        WaitCall::Poll => (3, false),
        WaitCall::EpollPwait2 => (4, false),
        WaitCall::Epoll => (4, true),
    };
    let path = format!("/proc/self/task/{}/syscall", thread.as_raw_nonzero());
    let line = std::fs::read_to_string(path).unwrap();
    let word = line.split_whitespace().nth(position)?;
    let argument = u64::from_str_radix(word.strip_prefix("0x")?, 16).unwrap();
    Some(if in_milliseconds && (argument as i32) < 0 { 0 } else { argument })
}

#[test]
fn a_timer_costs_one_turn_and_a_cancelled_one_one_for_nothing() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(0_u32);
        let_settle(&mut reactor);
        for round in 1..=5 {
            let count = |cx: &mut Context<u32>| *cx.state += 1;
            reactor.context().set_timer(Instant::now() + MS, count);
            let turns = drive(&mut reactor, 2, |rung| *rung == round);
            assert_eq!(turns, 1);
        }
        // The clock was set for the first; it rings for nothing, once, and is set for the second.
        let now = Instant::now();
        let first = reactor.context().set_timer(now + 30 * MS, |_| unreachable!());
        reactor.context().set_timer(now + 32 * MS, |cx: &mut Context<u32>| *cx.state = 0);
        reactor.turn(Deadline::Now).unwrap();
        assert!(reactor.context().cancel_timer(first));
        drive(&mut reactor, 2, |rung| *rung == 0);
        assert!(now.elapsed() >= 32 * MS);
    });
}

#[test]
fn an_earlier_timer_overtakes_a_later_one() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let now = Instant::now();
        for ms in [9_000, 8_000, 30, 20] {
            reactor.context().set_timer(now + ms * MS, move |cx: &mut Context<Vec<_>>| {
                cx.state.push(ms);
            });
            reactor.turn(Deadline::Now).unwrap(); // the clock is set anew each time
        }
        drive(&mut reactor, 4, |rung| rung.len() == 2);
        assert_eq!(*reactor.state(), [20, 30]);
    });
}

#[test]
fn a_timer_that_is_set_by_another_thread_wakes_the_loop_in_time() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(());
        let (handle, sleeper) = (reactor.handle(), gettid());
        let setter = thread::spawn(move || {
            await_sleep(sleeper);
            handle.post(|cx| {
                cx.set_timer(Instant::now() + MS, |cx| cx.stop());
            })
        });
        reactor.run().unwrap();
        setter.join().unwrap().unwrap();
        assert!(reactor.context().counters().turns <= 4, "{:?}", reactor.context().counters());
    });
}

/// What came of a source.
#[derive(Debug, Default)]
struct Seen {
    read: usize,
    timeouts: u32,
    failures: Vec<ErrorKind>,
}

/// Lives on after a timeout.
struct Patient;

impl Handler<UnixStream, Seen> for Patient {
    fn ready(
        &mut self,
        source: &mut Source<UnixStream>,
        cx: &mut Context<Seen>,
    ) -> io::Result<Next> {
        cx.state.read += source.read(&mut [0])?;
        Ok(Next::Keep)
    }

    fn timed_out(
        &mut self,
        _: &mut Source<UnixStream>,
        cx: &mut Context<Seen>,
    ) -> io::Result<Next> {
        cx.state.timeouts += 1;
        Ok(Next::Keep)
    }
}

/// Ends at a timeout, as handlers do by default.
struct Strict;

impl Handler<UnixStream, Seen> for Strict {
    fn ready(
        &mut self,
        source: &mut Source<UnixStream>,
        cx: &mut Context<Seen>,
    ) -> io::Result<Next> {
        cx.state.read += source.read(&mut [0; 8])?;
        Err(ErrorKind::InvalidData.into())
    }

    fn removed(&mut self, _: Token, error: Option<&io::Error>, cx: &mut Context<Seen>) {
        cx.state.failures.extend(error.map(io::Error::kind));
    }
}

/// Fails when it is ready, and does not mind timeouts.
struct Failing;

impl Handler<UnixStream, Seen> for Failing {
    fn ready(&mut self, _: &mut Source<UnixStream>, _: &mut Context<Seen>) -> io::Result<Next> {
        Err(ErrorKind::InvalidData.into())
    }

    fn timed_out(
        &mut self,
        _: &mut Source<UnixStream>,
        cx: &mut Context<Seen>,
    ) -> io::Result<Next> {
        cx.state.timeouts += 1;
        Ok(Next::Keep)
    }

    fn removed(&mut self, _: Token, error: Option<&io::Error>, cx: &mut Context<Seen>) {
        cx.state.failures.extend(error.map(io::Error::kind));
    }
}

#[test]
fn a_deadline_ends_its_source_unless_the_handler_lives_on() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Seen::default());
        let (strict, mut strict_peer) = unix_pair();
        let (patient, _patient_peer) = unix_pair();
        let at = Instant::now() + 2 * MS;
        for token in [
            reactor.context().add(strict, Interest::READ, Strict).unwrap(),
            reactor.context().add(patient, Interest::NONE, Patient).unwrap(),
        ] {
            reactor.context().set_deadline(token, Some(at)).unwrap();
        }
        drive(&mut reactor, 5, |seen| seen.timeouts == 1 && !seen.failures.is_empty());
        assert!(Instant::now() >= at);
        assert_eq!(reactor.state().failures, [ErrorKind::TimedOut]);
        assert_eq!(reactor.context().len(), 1);
        assert_eq!(strict_peer.read(&mut [0]).unwrap(), 0, "it is closed");
        assert_quiet(&mut reactor);
        assert_eq!(reactor.state().timeouts, 1, "told once");
    });
}

#[test]
fn a_deadline_can_be_moved_and_taken_away_and_goes_with_its_source() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Seen::default());
        let mut peers = Vec::new();
        let mut tokens = Vec::new();
        for _ in 0..4 {
            let (mine, theirs) = unix_pair();
            peers.push(theirs);
            tokens.push(reactor.context().add(mine, Interest::READ, Patient).unwrap());
        }
        let now = Instant::now();
        let mut cx = reactor.context();
        for token in &tokens {
            cx.set_deadline(*token, Some(now + MS)).unwrap();
        }
        cx.set_deadline(tokens[0], Some(now + LONG)).unwrap();
        cx.set_deadline(tokens[1], None).unwrap();
        cx.set_deadline(tokens[1], None).unwrap();
        cx.remove(tokens[2]).unwrap();
        assert_eq!(cx.timers(), 2);
        drive(&mut reactor, 5, |seen| seen.timeouts == 1);
        assert_quiet(&mut reactor);
        assert_eq!(reactor.state().timeouts, 1, "the fourth one's");
        assert_eq!(reactor.next_deadline(), Some(now + LONG));
    });
}

/// All is due in one turn: the source has failed, and must not be called again. (With faults, its event
/// may be a turn late, and the timeout is first, as it should be.)
#[test]
fn a_source_that_has_failed_is_not_timed_out_as_well() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Seen::default());
        let (mine, mut theirs) = unix_pair();
        theirs.write_all(b"x").unwrap();
        let token = reactor.context().add(mine, Interest::NONE, Failing).unwrap();
        reactor.context().set_deadline(token, Some(Instant::now() + 30 * MS)).unwrap();
        reactor.turn(Deadline::Now).unwrap(); // sets the clock
        thread::sleep(31 * MS); // it rings
        reactor.context().set_interest(token, Interest::READ).unwrap();
        drive(&mut reactor, 3, |seen| !seen.failures.is_empty());
        reactor.turn(Deadline::after(5 * MS)).unwrap();
        assert_eq!(reactor.state().failures, [ErrorKind::InvalidData]);
        assert_eq!((reactor.state().timeouts, reactor.context().timers()), (0, 0));
    });
}

/// A timeout may come while its source is on the ready list. It must not be there twice then.
#[test]
fn a_deadline_does_not_make_a_ready_source_be_called_twice_a_turn() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Seen::default());
        let (mine, mut theirs) = unix_pair();
        theirs.write_all(&[0; 200]).unwrap();
        let token = reactor.context().add(mine, Interest::READ, Patient).unwrap();
        for round in 1..=20 {
            reactor.context().set_deadline(token, Some(Instant::now())).unwrap();
            drive(&mut reactor, 50, |seen| seen.timeouts == round);
        }
        let before = reactor.state().read;
        for calls in 1..=20 {
            reactor.turn(Deadline::Now).unwrap();
            assert_eq!(reactor.state().read, before + calls, "one byte a turn");
        }
        assert!(reactor.state().read < 200, "it was ready all the time");
    });
}
