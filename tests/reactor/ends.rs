//! How streams end, and what comes in the middle of them: peers that close, half-close, reset, hang
//! up while nobody listens, and urgent data.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Instant;

use rustix::net::{RecvFlags, SendFlags};
use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::sys::PollFlags;
use tripoll::{Context, Deadline, Handler, Interest, Next, Reactor, Source, Token};

/// What was seen of a source.
#[derive(Debug, Default)]
struct Seen {
    bytes: Vec<u8>,
    calls: usize,
    ends: usize,
    failures: Vec<ErrorKind>,
}

/// Reads all there is and keeps its source whatever happens.
struct Keeper;

impl<F: Read> Handler<F, Seen> for Keeper {
    fn ready(&mut self, source: &mut Source<F>, cx: &mut Context<Seen>) -> io::Result<Next> {
        let mut buffer = [0; 64];
        cx.state.calls += 1;
        loop {
            match source.read(&mut buffer)? {
                0 => {
                    cx.state.ends += 1;
                    return Ok(Next::Keep);
                }
                n => cx.state.bytes.extend_from_slice(&buffer[..n]),
            }
        }
    }

    fn removed(&mut self, _: Token, error: Option<&io::Error>, cx: &mut Context<Seen>) {
        cx.state.failures.extend(error.map(io::Error::kind));
    }
}

/// Makes `stream` end with a reset instead of a friendly word.
fn reset(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO)).unwrap();
}

#[test]
fn a_peer_that_closes_is_reported_once_and_does_not_spin() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Seen::default());
        let (tcp, tcp_peer) = tcp_pair();
        let (unix, unix_peer) = unix_pair();
        let (pipe, pipe_peer) = io::pipe().unwrap();
        reactor.context().add(tcp, Interest::READ, Keeper).unwrap();
        reactor.context().add(unix, Interest::READ, Keeper).unwrap();
        reactor.context().add(pipe, Interest::READ, Keeper).unwrap();
        let_settle(&mut reactor);
        (&tcp_peer).write_all(b"the last words").unwrap();
        drop((tcp_peer, unix_peer, pipe_peer));
        drive(&mut reactor, 10, |seen| seen.ends == 3);
        assert_quiet(&mut reactor);
        assert_quiet(&mut reactor);
        let seen = reactor.state();
        assert_eq!((seen.ends, &*seen.bytes), (3, &b"the last words"[..]));
        assert_eq!(reactor.context().len(), 3, "they are kept");
        assert_eq!(reactor.context().counters().idle, 0);
    });
}

#[test]
fn a_peer_that_has_finished_writing_can_still_be_answered() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (mine, mut theirs) = tcp_pair();
        let mut question = Vec::new();
        let mut answer = None;
        add(&mut reactor, mine, Interest::READ, move |source, cx: &mut Context<Vec<u8>>| {
            let mut buffer = [0; 8];
            while answer.is_none() {
                match source.read(&mut buffer)? {
                    0 => {
                        question.reverse();
                        cx.state.clone_from(&question);
                        answer = Some(question.clone());
                        source.set_interest(Interest::WRITE);
                    }
                    n => question.extend_from_slice(&buffer[..n]),
                }
            }
            source.write_all(answer.as_ref().unwrap())?;
            Ok(Next::Remove)
        });
        theirs.write_all(b"stressed desserts").unwrap();
        theirs.shutdown(Shutdown::Write).unwrap();
        let turns = drive(&mut reactor, 10, |answer| !answer.is_empty());
        drive(&mut reactor, 10 - turns, |answer| answer == b"stressed desserts");
        assert!(reactor.context().is_empty() || reactor.turn(Deadline::after(LONG)).is_ok());
        let mut answer = String::new();
        theirs.set_nonblocking(false).unwrap();
        theirs.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "stressed desserts");
        assert!(reactor.context().is_empty());
    });
}

/// What most programs do: after each call they want what they can use, the end or not.
#[test]
fn a_read_interest_after_the_end_does_not_spin() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(0_u32);
        let (mine, theirs) = tcp_pair();
        let (unix, unix_peer) = unix_pair();
        fn read_on<F: Read>(source: &mut Source<F>, cx: &mut Context<u32>) -> io::Result<Next> {
            let answer = source.read(&mut [0; 8]);
            source.set_interest(Interest::READ);
            *cx.state += u32::from(answer? == 0);
            Ok(Next::Keep)
        }
        add(&mut reactor, mine, Interest::READ, read_on);
        add(&mut reactor, unix, Interest::READ, read_on);
        drop(unix_peer);
        theirs.shutdown(Shutdown::Write).unwrap();
        drive(&mut reactor, 5, |ends| *ends == 2);
        assert_quiet(&mut reactor);
    });
}

#[test]
fn a_reset_ends_the_source_with_an_error() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Seen::default());
        let (mine, theirs) = tcp_pair();
        let token = reactor.context().add(mine, Interest::READ, Keeper).unwrap();
        let_settle(&mut reactor);
        reset(theirs);
        drive(&mut reactor, 5, |seen| !seen.failures.is_empty());
        assert_eq!(reactor.state().failures, [ErrorKind::ConnectionReset]);
        assert_eq!(reactor.context().interest(token), None);
        assert_eq!(reactor.context().counters().errors, 1);
        assert_quiet(&mut reactor);
    });
}

#[test]
fn a_paused_source_gets_no_hang_up_until_its_interest_returns() {
    on_every_pair_and_noise(|pair| {
        for paused_first in [true, false] {
            let mut reactor = pair.reactor(Seen::default());
            let (closed, closing) = tcp_pair();
            let (broken, breaking) = tcp_pair();
            let (unix, unix_peer) = unix_pair();
            (&unix).write_all(b"unread").unwrap();
            let before = if paused_first { Interest::NONE } else { Interest::READ };
            let tokens = [
                reactor.context().add(closed, before, Keeper).unwrap(),
                reactor.context().add(broken, before, Keeper).unwrap(),
                reactor.context().add(unix, before, Keeper).unwrap(),
            ];
            let_settle(&mut reactor);
            for token in tokens {
                reactor.context().set_interest(token, Interest::NONE).unwrap();
            }
            assert_quiet(&mut reactor);
            (&closing).write_all(b"bye").unwrap();
            drop((closing, unix_peer));
            reset(breaking);
            for _ in 0..3 {
                assert_quiet(&mut reactor);
            }
            for token in tokens {
                reactor.context().set_interest(token, Interest::READ).unwrap();
            }
            drive(&mut reactor, 10, |seen| seen.ends == 1 && seen.failures.len() == 2);
            assert_eq!(reactor.state().bytes, b"bye");
            assert_eq!(reactor.state().failures, [ErrorKind::ConnectionReset; 2]);
            assert_quiet(&mut reactor);
        }
    });
}

/// Nothing but urgent data is wanted, and the peer goes. Hang-ups cannot be masked.
#[test]
fn a_source_for_urgent_data_only_does_not_spin_when_its_peer_closes() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(0_u32);
        let (mine, theirs) = tcp_pair();
        let handler = |source: &mut Source<TcpStream>, cx: &mut Context<u32>| {
            *cx.state += 1;
            source.try_io(Interest::PRIORITY, |stream| {
                Ok(rustix::net::recv(stream, &mut [0; 1], RecvFlags::OOB)?.0)
            })?;
            Ok(Next::Done)
        };
        add(&mut reactor, mine, Interest::PRIORITY, handler);
        let_settle(&mut reactor);
        reset(theirs);
        // It may be told (what the call can say differs) but not for ever.
        let began = Instant::now();
        for _ in 0..4 {
            reactor.turn(Deadline::after(std::time::Duration::from_millis(5))).unwrap();
        }
        assert!(began.elapsed() >= std::time::Duration::from_millis(10), "it spins");
        assert!(*reactor.state() <= 1);
    });
}

#[test]
fn urgent_data_calls_no_handler_without_that_interest() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Seen::default());
        let (mine, theirs) = tcp_pair();
        let twin = mine.try_clone().unwrap();
        reactor.context().add(mine, Interest::READ, Keeper).unwrap();
        let_settle(&mut reactor);
        rustix::net::send(&theirs, b"!", SendFlags::OOB).unwrap();
        settle(&twin, PollFlags::PRI);
        for _ in 0..3 {
            reactor.turn(Deadline::after(std::time::Duration::from_millis(2))).unwrap();
        }
        assert_eq!(reactor.state().calls, 0);
        assert_quiet(&mut reactor);
        // And what follows it is told.
        (&theirs).write_all(b"plain").unwrap();
        drive(&mut reactor, 5, |seen| seen.bytes == b"plain");
    });
}

#[test]
fn urgent_data_is_reported_once() {
    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (mine, theirs) = tcp_pair();
        let handler = |source: &mut Source<TcpStream>, cx: &mut Context<Vec<u8>>| {
            let mut byte = [0; 1];
            let read = source.try_io(Interest::PRIORITY, |stream| {
                Ok(rustix::net::recv(stream, &mut byte, RecvFlags::OOB)?.0)
            })?;
            assert_eq!(read, 1);
            cx.state.push(byte[0]);
            Ok(Next::Done) // there is never more than one
        };
        add(&mut reactor, mine, Interest::PRIORITY, handler);
        for round in 1..=3 {
            rustix::net::send(&theirs, b"!", SendFlags::OOB).unwrap();
            drive(&mut reactor, 5, |read| read.len() == round);
            assert_quiet(&mut reactor);
        }
    });
}

/// Plain and urgent bytes, in pieces that are cut anew each time, to a reader whose buffer is cut
/// anew too: an urgent mark ends a read early, with more behind it, and no edge tells of that.
#[test]
fn urgent_bytes_in_mid_stream_stall_nothing() {
    on_every_pair_and_noise(|pair| exchange(pair.reactor(0), 4_000));
}

/// The same, often, where it matters.
#[test]
fn a_hundred_thousand_urgent_exchanges_on_edge_stall_nothing() {
    let pair = Pair::new(tripoll::Backend::Epoll, tripoll::Trigger::Edge);
    exchange(pair.reactor(0), 100_000);
}

/// Each exchange: some plain bytes, an urgent one, some plain bytes, written while the reader reads.
/// Plain ones are counted and answered, and the writer waits for the answers every now and then: after
/// a stall nothing would come to end it.
fn exchange(mut reactor: Reactor<usize>, exchanges: usize) {
    let (mine, mut theirs) = tcp_pair();
    mine.set_nodelay(true).unwrap();
    theirs.set_nodelay(true).unwrap();
    theirs.set_nonblocking(false).unwrap();
    let mut dice = Dice(9);
    add(&mut reactor, mine, Interest::READ, move |source, cx: &mut Context<usize>| {
        let mut buffer = [0; 64];
        // One read a call, or several; into little room, or much.
        for _ in 0..1 + dice.below(3) {
            let room = 1 + dice.below(buffer.len());
            let count = source.read(&mut buffer[..room])?;
            // An urgent byte that the next one overtakes becomes a plain one.
            let plain = buffer[..count].iter().filter(|byte| **byte == b'.').count();
            *cx.state += plain;
            source.write_all(&vec![b'a'; plain])?;
        }
        Ok(Next::Keep)
    });
    let writer = thread::spawn(move || {
        let (mut dice, mut sent, mut answered) = (Dice(10), 0, 0);
        let mut answers = [0; 4_096];
        for _ in 0..exchanges {
            for urgent in [false, true, false] {
                if urgent {
                    rustix::net::send(&theirs, b"!", SendFlags::OOB).unwrap();
                } else {
                    let count = 1 + dice.below(20);
                    theirs.write_all(&[b'.'; 20][..count]).unwrap();
                    sent += count;
                }
            }
            // A stall shows here: what was sent is not answered, and nothing new is sent.
            while answered < sent && dice.below(2) == 0 {
                answered += theirs.read(&mut answers).unwrap();
            }
        }
        while answered < sent {
            answered += theirs.read(&mut answers).unwrap();
        }
        sent
    });
    let give_up = Instant::now() + 2 * LONG;
    while !writer.is_finished() {
        // Short sleeps, to see the writer's end; a stall is what lasts.
        let turn = Deadline::after(std::time::Duration::from_millis(20));
        reactor.turn(turn).unwrap();
        assert!(Instant::now() < give_up, "stalled: {:?}", reactor.context().counters());
    }
    assert_eq!(*reactor.state(), writer.join().unwrap());
}

/// What has come and the end come in one event. Whoever takes the data in two calls and then says
/// that it is done has still not been told of the end.
#[test]
fn the_end_that_came_with_the_data_is_not_used_up_by_done() {
    #[derive(Default)]
    struct Read {
        bytes: usize,
        has_ended: bool,
    }
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Read::default());
        let (mine, mut theirs) = tcp_pair();
        theirs.write_all(b"0123456789").unwrap();
        drop(theirs);
        settle(&mine, PollFlags::RDHUP);
        add(&mut reactor, mine, Interest::READ, |source, cx: &mut Context<Read>| {
            let count = source.read(&mut [0; 5])?;
            cx.state.bytes += count;
            cx.state.has_ended = count == 0;
            Ok(match (count, cx.state.bytes) {
                (0, _) => Next::Remove,
                (_, 10) => Next::Done,
                _ => Next::Keep,
            })
        });
        drive(&mut reactor, 5, |read| read.has_ended);
        assert_eq!((reactor.state().bytes, reactor.context().len()), (10, 0));
    });
}
