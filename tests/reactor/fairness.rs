//! What is always ready keeps nothing else from its turn; and numbers that are used again.

use std::io::{ErrorKind, Read, Write};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use support::faulty::Faults;
use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::reactor::Budget;
use tripoll::selector::{Event, Readiness};
use tripoll::{Context, Deadline, Handler, Interest, Next, Source, Token};

/// What has run.
#[derive(Debug, Default, PartialEq)]
struct Ran {
    timer: bool,
    job: bool,
    notification: bool,
    deadline: bool,
}

/// Never reads what there is.
struct Idler;

impl Handler<UnixStream, Ran> for Idler {
    fn ready(&mut self, _: &mut Source<UnixStream>, _: &mut Context<Ran>) -> std::io::Result<Next> {
        Ok(Next::Keep)
    }

    fn notified(
        &mut self,
        _: &mut Source<UnixStream>,
        cx: &mut Context<Ran>,
    ) -> std::io::Result<Next> {
        cx.state.notification = true;
        Ok(Next::Keep)
    }

    fn timed_out(
        &mut self,
        _: &mut Source<UnixStream>,
        cx: &mut Context<Ran>,
    ) -> std::io::Result<Next> {
        cx.state.deadline = true;
        Ok(Next::Keep)
    }
}

/// More sources are ready than one wait reports.
#[test]
fn a_flood_of_events_starves_no_timer_no_job_and_no_notification() {
    on_every_pair(|pair| {
        let mut reactor = pair.build(pair.builder().events_capacity(1), Ran::default());
        let mut peers = Vec::new();
        let tokens: Vec<Token> = (0..50)
            .map(|_| {
                let (mine, mut theirs) = unix_pair();
                theirs.write_all(b"x").unwrap();
                peers.push(theirs);
                reactor.context().add(mine, Interest::READ, Idler).unwrap()
            })
            .collect();
        for _ in 0..10 {
            reactor.turn(Deadline::after(LONG)).unwrap(); // now they are always ready
        }
        let mut cx = reactor.context();
        cx.set_timer(Instant::now(), |cx: &mut Context<Ran>| cx.state.timer = true);
        cx.set_deadline(tokens[0], Some(Instant::now())).unwrap();
        cx.notify(tokens[1]).unwrap();
        reactor.handle().post(|cx| cx.state.job = true).unwrap();
        let all = Ran { timer: true, job: true, notification: true, deadline: true };
        // The clock's descriptor may be behind others that are ready in the first batch.
        drive(&mut reactor, 3, |ran| *ran == all);
    });
}

/// One handler that receives until `WouldBlock`, and more datagrams than its budget allows.
#[test]
fn a_flood_of_datagrams_starves_no_other_source() {
    on_every_pair(|pair| {
        let builder = pair.builder().budget(Budget::new(8, 1 << 20));
        let mut reactor = pair.build(builder, (0, 0));
        let flooded = UdpSocket::bind("127.0.0.1:0").unwrap();
        let flooding = UdpSocket::bind("127.0.0.1:0").unwrap();
        flooding.connect(flooded.local_addr().unwrap()).unwrap();
        add(&mut reactor, flooded, Interest::READ, |socket, cx: &mut Context<(u32, u32)>| {
            loop {
                let receive = |socket: &mut UdpSocket| socket.recv(&mut [0; 8]);
                socket.try_io(Interest::READ, receive)?;
                cx.state.0 += 1;
            }
        });
        let (mine, mut theirs) = unix_pair();
        add(&mut reactor, mine, Interest::READ, |source, cx: &mut Context<(u32, u32)>| {
            source.read_exact(&mut [0])?;
            cx.state.1 += 1;
            Ok(Next::Keep)
        });
        for round in 1..=10 {
            for _ in 0..20 {
                flooding.send(b"x").unwrap();
            }
            theirs.write_all(b"x").unwrap();
            drive(&mut reactor, 2, |served| served.1 == round);
            assert!(reactor.state().0 < 20 * round, "it was served after the flood");
        }
        drive(&mut reactor, 100, |served| served.0 == 200);
    });
}

/// One source goes with a change of its interest that was never applied. The next in the batch puts
/// another file behind the same number.
#[test]
fn a_change_that_was_not_applied_does_not_reach_the_next_owner_of_the_number() {
    type State = (Option<(Token, RawFd)>, Vec<UnixStream>, Vec<u8>);
    on_every_pair(|pair| {
        let faults = Faults::default();
        let builder = pair.builder().selector(faults.of(pair.backend));
        let mut reactor = pair.build::<State>(builder, (None, Vec::new(), Vec::new()));
        let (victim, _victims_peer) = unix_pair();
        let victim = with_own_number(&victim);
        let number = victim.as_raw_fd();
        let victim = add(&mut reactor, victim, Interest::READ, |_, _| unreachable!());
        reactor.state_mut().0 = Some((victim, number));
        let (mine, _theirs) = unix_pair();
        let first = add(&mut reactor, mine, Interest::READ, |_, cx: &mut Context<State>| {
            let (victim, _) = cx.state.0.unwrap();
            cx.set_interest(victim, Interest::READ | Interest::WRITE)?;
            cx.remove(victim)?;
            Ok(Next::Done)
        });
        let (mine, _theirs_too) = unix_pair();
        let second = add(&mut reactor, mine, Interest::READ, |_, cx: &mut Context<State>| {
            let (mine, theirs) = unix_pair();
            let mine = UnixStream::from(with_number(&mine, cx.state.0.unwrap().1));
            let read = |source: &mut Source<UnixStream>, cx: &mut Context<State>| {
                let mut buffer = [0; 8];
                let count = source.read(&mut buffer)?;
                cx.state.2.extend_from_slice(&buffer[..count]);
                Ok(Next::Keep)
            };
            let newcomer = cx.add(mine, Interest::NONE, read)?;
            cx.set_interest(newcomer, Interest::READ)?;
            cx.state.1.push(theirs);
            Ok(Next::Done)
        });
        faults.plan().extra =
            [first, second].map(|token| Event::new(token, Readiness::READ)).into();
        reactor.turn(Deadline::after(LONG)).unwrap();
        assert_quiet(&mut reactor); // it can be written to, which is not in its interest
        reactor.state_mut().1[0].write_all(b"hello").unwrap();
        drive(&mut reactor, 3, |state| state.2 == b"hello");
        assert_eq!(reactor.context().counters().repairs, 0);
    });
}

/// A read without room returns 0, which is not the end.
#[test]
fn a_read_into_no_room_is_not_the_end() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (mine, mut theirs) = tcp_pair();
        let mut calls = 0;
        add(&mut reactor, mine, Interest::READ, move |source, cx: &mut Context<Vec<u8>>| {
            calls += 1;
            if calls % 2 == 1 {
                match source.read(&mut []) {
                    Ok(count) => assert_eq!(count, 0),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                return Ok(Next::Keep);
            }
            let mut byte = [0];
            if source.read(&mut byte)? > 0 {
                cx.state.push(byte[0]);
            }
            Ok(Next::Keep)
        });
        for round in 1..=5 {
            theirs.write_all(b"ab").unwrap();
            drive(&mut reactor, 10, |read| read.len() == 2 * round);
        }
    });
}

/// A descriptor that is shared with another process is as good as any.
#[test]
fn a_descriptor_that_another_owner_keeps_open_leaves_with_its_source() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(());
        let (mine, mut theirs) = unix_pair();
        let _kept: OwnedFd = mine.try_clone().unwrap().into(); // as in a child
        let token = add(&mut reactor, mine, Interest::READ, |_, _: &mut Context| unreachable!());
        reactor.context().remove(token).unwrap();
        reactor.turn(Deadline::Now).unwrap();
        theirs.write_all(b"x").unwrap();
        assert_quiet(&mut reactor);
        assert_eq!(reactor.context().counters().stale, 0);
    });
}
