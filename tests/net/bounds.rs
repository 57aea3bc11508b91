//! What happens exactly at the bounds of a connection, and when its peer goes in the middle of a callback.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use socket2::Socket;
use support::net::{Call, Script, Scripted, Why};
use support::one::{One, Over};
use support::sockets::unix_pair;
use support::{LONG, Pair, on_every_pair, on_every_pair_and_noise};
use tripoll::net::{Connection, Stream, Watermarks, Wire};
use tripoll::{Context, Deadline, Reactor, Token};

/// A connection whose kernel takes nothing, because the buffer of its socket is full.
struct Full {
    reactor: Reactor,
    token: Token,
    peer: Rc<Socket>,
    calls: Receiver<Call>,
}

impl Full {
    fn new<F: Script + 'static>(
        pair: Pair,
        marks: Watermarks,
        script: impl FnOnce(Rc<Socket>) -> F,
    ) -> Self {
        let (mine, theirs) = unix_pair();
        while (&mine).write(&[0; 1_000]).is_ok() {}
        let peer = Rc::new(Socket::from(theirs));
        let (send, calls) = mpsc::channel();
        let connection = Connection::new(Scripted::new(script(Rc::clone(&peer)), send));
        let mut reactor = pair.reactor(());
        let stream = Stream::from(mine);
        let id = connection.watermarks(marks).serve(stream, &mut reactor.context()).unwrap();
        let mut full = Full { reactor, token: id.token(), peer, calls };
        full.turn_some();
        full
    }

    fn turn_some(&mut self) {
        for _ in 0..5 {
            self.reactor.turn(Deadline::after(Duration::from_millis(1))).unwrap();
        }
    }

    /// Lets the peer send something. Returns the calls that follow.
    fn ask(&mut self) -> Vec<Call> {
        (&*self.peer).write_all(b"?").unwrap();
        self.turn_some();
        self.calls.try_iter().collect()
    }

    /// Lets the deadline of the protocol come. Returns the calls that follow.
    fn time_out(&mut self) -> Vec<Call> {
        self.reactor.context().set_deadline(self.token, Some(Instant::now())).unwrap();
        self.turn_some();
        self.calls.try_iter().collect()
    }
}

fn question() -> Call {
    Call::Received(b"?".into())
}

#[test]
fn above_the_high_mark_there_is_no_room_and_at_the_mark_there_is() {
    on_every_pair(|pair| {
        for size in [99, 100, 101] {
            let marks = Watermarks::new(50, 100, 1_000);
            let mut full = Full::new(pair, marks, |_| {
                move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| match call {
                    Call::Opened => {
                        assert_eq!(wire.write(&vec![1; size]), size <= 100, "{size}");
                        Ok(0)
                    }
                    Call::Received(data) => Ok(data.len()),
                    _ => Ok(0),
                }
            });
            assert_eq!(full.calls.try_iter().collect::<Vec<_>>(), [Call::Opened]);
            // It reads as long as there is room.
            assert_eq!(full.ask(), vec![question(); usize::from(size <= 100)], "{size}");
        }
    });
}

#[test]
fn above_the_limit_a_connection_is_closed_and_at_the_limit_it_is_not() {
    on_every_pair(|pair| {
        let mut full = Full::new(pair, Watermarks::new(50, 200, 200), |_| {
            |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                match call {
                    Call::Opened => assert!(wire.write(&[1; 200])),
                    Call::Received(_) | Call::TimedOut => assert!(!wire.write(&[1])),
                    _ => {}
                }
                Ok(1)
            }
        });
        assert_eq!(full.ask(), [Call::Opened, question()]); // 200 bytes were kept
        let closed = Call::Closed(Why::OutputOverflow);
        assert_eq!(full.time_out(), [Call::TimedOut, closed]); // 201 were
    });
}

#[test]
fn a_connection_reads_again_when_its_peer_reads_all_in_the_middle_of_a_callback() {
    on_every_pair(|pair| {
        let mut full = Full::new(pair, Watermarks::new(50, 100, 200), |peer| {
            move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                match call {
                    Call::Opened => assert!(!wire.write(&[1; 300])),
                    Call::TimedOut => {
                        while (&*peer).read(&mut [0; 10_000]).is_ok() {}
                        // More than the limit was kept, so what is kept is sent before.
                        wire.write(b"!");
                    }
                    _ => {}
                }
                Ok(1)
            }
        });
        assert_eq!(full.time_out(), [Call::Opened, Call::TimedOut, Call::Drained]);
        assert_eq!(full.ask(), [question()]);
    });
}

#[test]
fn a_large_write_fails_at_once_when_the_peer_has_gone_meanwhile() {
    on_every_pair(|pair| {
        let theirs = Rc::new(RefCell::new(None));
        let script = {
            let theirs = Rc::clone(&theirs);
            move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                if let Call::Received(data) = call {
                    drop(theirs.take());
                    assert!(!wire.write(&[0; 70_000]));
                    return Ok(data.len());
                }
                Ok(0)
            }
        };
        let marks = Watermarks::new(1, 1 << 20, 1 << 20); // it is not the size that refuses it
        let mut one = One::with(pair, Over::Unix, |c| c.watermarks(marks), script);
        let peer = one.peer.take().unwrap();
        (&peer).write_all(b"?").unwrap();
        *theirs.borrow_mut() = Some(peer);
        let broken = Call::Closed(Why::Failed(io::ErrorKind::BrokenPipe));
        assert_eq!(one.until_closed(), [Call::Opened, question(), broken]);
    });
}

#[test]
fn what_was_written_before_an_abort_is_not_sent_whatever_the_callback_returns() {
    on_every_pair_and_noise(|pair| {
        for fails in [false, true] {
            let script = move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                if let Call::Received(data) = call {
                    wire.write(b"unsaid");
                    wire.abort();
                    return if fails { Err(io::Error::other("no")) } else { Ok(data.len()) };
                }
                Ok(0)
            };
            let mut one = One::new(pair, Over::Unix, script);
            one.peer().write_all(b"?").unwrap();
            assert_eq!(one.read_to_end().0, b"");
            assert_eq!(one.until_closed().last(), Some(&Call::Closed(Why::Aborted)));
        }
    });
}

#[test]
fn what_is_written_before_an_abort_when_all_was_sent_is_not_sent() {
    on_every_pair(|pair| {
        let mut full = Full::new(pair, Watermarks::new(50, 100, 1_000), |_| {
            |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                match call {
                    Call::Opened => _ = wire.write(&[1; 300]),
                    Call::Drained => {
                        wire.write(b"unsaid");
                        wire.abort();
                    }
                    _ => {}
                }
                Ok(0)
            }
        });
        let mut last = Vec::new();
        let give_up = Instant::now() + LONG;
        while !full.calls.try_iter().any(|call| call == Call::Closed(Why::Aborted)) {
            assert!(Instant::now() < give_up);
            let mut buffer = vec![0; 100_000];
            while let Ok(count @ 1..) = (&*full.peer).read(&mut buffer) {
                last = buffer[..count].to_vec();
            }
            full.turn_some();
        }
        let mut buffer = vec![0; 100_000];
        if let Ok(count @ 1..) = (&*full.peer).read(&mut buffer) {
            last = buffer[..count].to_vec();
        }
        assert_eq!(last.last(), Some(&1));
    });
}

#[test]
fn what_came_before_a_reset_is_received() {
    on_every_pair_and_noise(|pair| {
        let script = |call: &Call, _: &mut Wire<'_>, _: &mut Context<'_>| {
            Ok(if let Call::Received(data) = call { data.len() } else { 0 })
        };
        let mut one = One::new(pair, Over::Tcp, script);
        one.peer().write_all(b"?").unwrap();
        one.peer().set_linger(Some(Duration::ZERO)).unwrap();
        drop(one.peer.take());
        let reset = Call::Closed(Why::Failed(io::ErrorKind::ConnectionReset));
        assert_eq!(one.until_closed(), [Call::Opened, question(), reset]);
    });
}

#[test]
fn a_closed_connection_discards_a_mebibyte_and_what_its_protocol_has_not_used_counts() {
    on_every_pair(|pair| {
        let script = |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
            wire.close();
            Ok(if let Call::Received(_) = call { 1_000 } else { 0 })
        };
        let script = move |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| match call {
            Call::Opened => Ok(0),
            call => script(call, wire, cx),
        };
        let mut one = One::with(pair, Over::Unix, |c| c.linger(LONG), script);
        let send = |one: &mut One, count: usize| {
            let mut left = count;
            one.until("all is sent", |one| {
                left -= one.peer().write(&vec![b'.'; left]).unwrap_or(0);
                left == 0
            });
            one.turn_some();
            one.calls.try_iter().last()
        };
        let received = Call::Received(vec![b'.'; 3_000]);
        assert_eq!(send(&mut one, 3_000), Some(received)); // 2,000 are discarded
        assert_eq!(send(&mut one, (1 << 20) - 2_000), None);
        assert_eq!(send(&mut one, 1), Some(Call::Closed(Why::Finished)));
    });
}

#[test]
fn what_a_protocol_was_given_at_the_end_does_not_go_with_its_stream() {
    on_every_pair(|pair| {
        let (send, detached) = mpsc::channel();
        let script = move |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
            if *call == Call::TimedOut {
                let send = send.clone();
                wire.detach(cx, move |_, unread, _| send.send(unread).unwrap())?;
            }
            Ok(0)
        };
        let mut one = One::new(pair, Over::Unix, script);
        one.peer().write_all(b"?").unwrap();
        one.peer().shutdown(Shutdown::Write).unwrap();
        one.turn_some();
        let ended = Call::Ended(b"?".into());
        let calls: Vec<_> = one.calls.try_iter().collect();
        assert_eq!(calls, [Call::Opened, question(), ended]);
        let token = one.token;
        one.context(|cx| cx.set_deadline(token, Some(Instant::now())).unwrap());
        one.turn_some();
        assert_eq!(detached.try_recv().unwrap(), b"");
    });
}

#[test]
fn the_wire_tells_what_the_peer_has_not_read() {
    on_every_pair(|pair| {
        let mut steps = 0;
        let script = move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
            steps += 1;
            match (steps, call) {
                (1, Call::Opened) => {
                    assert_eq!(wire.send_queue(), 0);
                    wire.write(b"hello");
                }
                (2, Call::TimedOut) => assert!(wire.send_queue() >= 5, "{}", wire.send_queue()),
                (3, Call::TimedOut) => assert_eq!(wire.send_queue(), 0),
                (_, Call::Closed(_)) => {}
                other => panic!("{other:?}"),
            }
            Ok(0)
        };
        let mut one = One::new(pair, Over::Unix, script);
        let token = one.token;
        one.context(|cx| cx.set_deadline(token, Some(Instant::now())).unwrap());
        assert_eq!((one.next_call(), one.next_call()), (Call::Opened, Call::TimedOut));
        assert_eq!(one.read(5), b"hello");
        one.context(|cx| cx.set_deadline(token, Some(Instant::now())).unwrap());
        assert_eq!(one.next_call(), Call::TimedOut);
        assert_eq!(one.context(|cx| cx.counters().panics), 0);
    });
}
