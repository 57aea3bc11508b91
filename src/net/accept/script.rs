//! Tests of the accept loop with calls that answer as a script says.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::{Acceptor, Attempt, Incoming};
use crate::reactor::{Budget, Context, Next, Reactor};
use crate::selector::{Backend, Deadline, Interest, Token, Trigger};

/// What one call of `accept` does. The source stands for a listener: it is readable as long as a
/// connection is pending.
type Step = fn(&UnixStream) -> io::Result<u32>;

/// What was accepted, and the number of calls.
#[derive(Debug, Default, PartialEq)]
struct Log {
    accepted: Vec<u32>,
    calls: usize,
}

struct Script(VecDeque<Step>, usize);

impl Incoming<UnixStream, Log> for Script {
    type Accepted = (u32, usize);
    type Slot = ();

    fn reserve(&mut self, _: &Waker) -> Option<()> {
        Some(())
    }

    fn accept(&mut self, listener: &UnixStream) -> io::Result<Attempt<(u32, usize)>> {
        self.1 += 1;
        let step = self.0.pop_front().unwrap_or(nothing_more);
        step(listener).map(|number| Attempt::Accepted((number, self.1)))
    }

    fn deliver(
        &mut self,
        (number, calls): (u32, usize),
        (): (),
        _: Option<RawFd>,
        cx: &mut Context<'_, Log>,
    ) -> Next {
        cx.state.accepted.push(number);
        cx.state.calls = calls;
        Next::Keep
    }

    fn backlog(&self, _: &UnixStream) -> u32 {
        9
    }

    fn reject_pending(&mut self, _: &UnixStream) -> (usize, Option<io::Error>) {
        (0, None)
    }
}

/// As the kernel answers when nothing is pending.
fn nothing_more(mut listener: &UnixStream) -> io::Result<u32> {
    let _ = listener.read(&mut [0; 8]);
    Err(io::Error::from_raw_os_error(libc::EAGAIN))
}

/// The program's own answer, though a connection is pending.
fn not_now(_: &UnixStream) -> io::Result<u32> {
    Err(io::ErrorKind::WouldBlock.into())
}

fn lost(_: &UnixStream) -> io::Result<u32> {
    Err(io::Error::from_raw_os_error(libc::ECONNABORTED))
}

fn first(_: &UnixStream) -> io::Result<u32> {
    Ok(1)
}

fn second(_: &UnixStream) -> io::Result<u32> {
    Ok(2)
}

/// A reactor whose acceptor has a script, and the peer, which makes the listener ready.
struct Run {
    reactor: Reactor<Log>,
    token: Token,
    client: UnixStream,
}

impl Run {
    fn new(backend: Backend, trigger: Trigger, per_turn: u32, steps: &[Step]) -> Self {
        let builder = Reactor::builder().backend(backend).trigger(trigger);
        let mut reactor =
            builder.budget(Budget::new(2, 1 << 20)).build_with(Log::default()).unwrap();
        let (listener, client) = UnixStream::pair().unwrap();
        let script = Script(steps.iter().copied().collect(), 0);
        let acceptor = Acceptor::new("a script".into(), per_turn, script);
        let token = reactor.context().add(listener, Interest::READ, acceptor).unwrap();
        reactor.turn(Deadline::Now).unwrap();
        Run { reactor, token, client }
    }

    /// Turns until so many were accepted.
    fn until_accepted(&mut self, count: usize) {
        let give_up = Instant::now() + Duration::from_secs(30);
        while self.reactor.state().accepted.len() < count {
            assert_eq!(self.reactor.context().timers(), 0, "it pauses");
            self.reactor.turn(Deadline::after(Duration::from_millis(10))).unwrap();
            assert!(Instant::now() < give_up, "not accepted: {:?}", self.reactor.state());
        }
    }
}

fn on_every_pair(body: impl Fn(Backend, Trigger)) {
    for &backend in Backend::ALL {
        for &trigger in Trigger::ALL {
            body(backend, trigger);
        }
    }
}

#[test]
fn what_the_program_does_not_accept_now_is_accepted_next() {
    on_every_pair(|backend, trigger| {
        let mut run = Run::new(backend, trigger, 10, &[not_now, first]);
        run.client.write_all(b"!").unwrap();
        run.until_accepted(1);
        assert_eq!(run.reactor.state().calls, 2);
    });
}

#[test]
fn what_another_has_accepted_costs_one_call_and_no_pause() {
    on_every_pair(|backend, trigger| {
        let gone: Step = |listener| {
            nothing_more(listener).unwrap_err();
            Err(io::ErrorKind::WouldBlock.into()) // without a number
        };
        let mut run = Run::new(backend, trigger, 10, &[gone, first, second]);
        run.client.write_all(b"!").unwrap();
        for _ in 0..3 {
            run.reactor.turn(Deadline::Now).unwrap();
            assert_eq!(*run.reactor.state(), Log::default());
        }
        run.client.write_all(b"!").unwrap();
        run.until_accepted(2);
        assert_eq!(run.reactor.state().accepted, [1, 2]);
    });
}

#[test]
fn lost_connections_beyond_the_budget_of_a_call_are_no_reason_for_a_pause() {
    on_every_pair(|backend, trigger| {
        let mut run = Run::new(backend, trigger, 10, &[lost, lost, lost, lost, lost, first]);
        run.client.write_all(b"!").unwrap();
        run.until_accepted(1);
    });
}

#[test]
fn a_notified_listener_accepts_all_that_the_kernel_has_not_reported() {
    on_every_pair(|backend, trigger| {
        let mut run = Run::new(backend, trigger, 1, &[first, second, first]);
        run.reactor.context().notify(run.token).unwrap();
        run.until_accepted(1);
        assert_eq!(run.reactor.state().accepted[0], 1);
    });
}

#[test]
fn a_listener_that_shuts_down_accepts_past_lost_connections_and_ends_at_the_first_other_error() {
    on_every_pair(|backend, trigger| {
        let steps: [Step; 5] = [first, lost, second, nothing_more, first];
        let mut run = Run::new(backend, trigger, 10, &steps);
        run.reactor.context().shutdown(Duration::from_secs(30));
        run.reactor.run().unwrap();
        assert_eq!(*run.reactor.state(), Log { accepted: vec![1, 2], calls: 3 });
    });
}
