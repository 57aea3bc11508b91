//! An open connection: which methods of its protocol are called, and that every byte arrives in order
//! whatever the peer does. On every backend and trigger.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::net::{Call, Scripted, Server, Why, echo};
use support::sockets::{blocking_tcp_pair, exchange, read_all, read_exactly};
use support::{LONG, known_bytes, on_every_pair_and_noise};
use tripoll::net::{Address, Connection, Listener, Protocol, Stream, Watermarks, Wire};
use tripoll::{Context, Deadline};

/// More than the socket buffers of both ends hold.
const MUCH: usize = 6 << 20;

/// Writes until something is owed: the peer may be quick.
fn owe(wire: &mut Wire<'_>) {
    while wire.unsent() == 0 {
        wire.write(&vec![0; MUCH]);
    }
}

fn no_words(_: &Call, _: &mut Wire<'_>, _: &mut Context<'_>) -> io::Result<usize> {
    Ok(0)
}

#[test]
fn opened_comes_first_even_when_data_was_there_before_the_connection() {
    on_every_pair_and_noise(|pair| {
        let (accepted, mut client) = blocking_tcp_pair();
        client.write_all(b"early").unwrap();
        accepted.peek(&mut [0]).unwrap(); // it is there

        // Between the turns, and not by a handler.
        let mut reactor = pair.reactor(());
        let (send, calls) = mpsc::channel();
        let connection = Connection::new(Scripted::new(echo, send));
        connection.serve(Stream::from(accepted), &mut reactor.context()).unwrap();
        let mut all = Vec::new();
        while all.len() < 2 {
            reactor.turn(Deadline::after(LONG)).unwrap();
            all.extend(calls.try_iter());
        }
        assert_eq!(all, [Call::Opened, Call::Received(b"early".into())]);
        assert_eq!(read_exactly(&client, 5), b"early");
    });
}

#[test]
fn what_is_not_used_up_is_offered_again_with_what_comes() {
    on_every_pair_and_noise(|pair| {
        // Two bytes at a time.
        let server =
            Server::new(
                pair,
                |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| match call {
                    Call::Received(data) if data.len() < 2 => Ok(0),
                    Call::Received(_) => Ok(2),
                    _ => echo(call, wire, cx),
                },
            );
        let mut client = server.client();
        assert_eq!(server.next(), Call::Opened);
        client.write_all(b"12345").unwrap();
        assert_eq!(server.next(), Call::Received(b"12345".into()));
        assert_eq!(server.next(), Call::Received(b"345".into()));
        assert_eq!(server.next(), Call::Received(b"5".into()));
        client.write_all(b"6").unwrap();
        assert_eq!(server.next(), Call::Received(b"56".into()));
        client.write_all(b"7").unwrap();
        assert_eq!(server.next(), Call::Received(b"7".into()));
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(server.next(), Call::Ended(b"7".into()));
        assert_eq!(server.next(), Call::Closed(Why::Finished));
        assert_eq!(read_all(client), b"");
        server.await_sources(1);
    });
}

#[test]
fn who_uses_up_nothing_is_closed_at_its_limit_and_not_before() {
    on_every_pair_and_noise(|pair| {
        let server = Server::with(
            pair,
            Listener::builder(),
            |connection| connection.max_unused(10),
            no_words,
        );
        let mut client = server.client();
        client.write_all(&[1; 10]).unwrap();
        let mut seen = 0;
        assert_eq!(server.next(), Call::Opened);
        while seen < 10 {
            let Call::Received(data) = server.next() else { panic!() };
            seen = data.len();
        }
        client.write_all(&[1]).unwrap();
        assert_eq!(server.next(), Call::Received(vec![1; 11]));
        assert_eq!(server.next(), Call::Closed(Why::InputOverflow));
        assert_eq!(read_all(client), b"");
    });
}

/// Uses up nothing, and tells how much there is and where it is.
struct Keeps(mpsc::Sender<(usize, usize)>);

impl Protocol for Keeps {
    fn received(
        &mut self,
        _: &mut Wire<'_>,
        data: &[u8],
        _: &mut Context<'_>,
    ) -> io::Result<usize> {
        self.0.send((data.len(), data.as_ptr().addr())).unwrap();
        Ok(0)
    }
}

#[test]
fn a_long_message_in_small_pieces_is_not_copied_for_each_of_them() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(());
        let (one, other) = blocking_tcp_pair();
        let (send, calls) = mpsc::channel();
        Connection::new(Keeps(send)).serve(Stream::from(one), &mut reactor.context()).unwrap();
        let (mut place, mut moves) = (0, 0);
        for count in 1..=1_000 {
            (&other).write_all(&[1; 1_000]).unwrap();
            let mut length = 0;
            while length < 1_000 * count {
                reactor.turn(Deadline::after(LONG)).unwrap();
                for call in calls.try_iter() {
                    length = call.0;
                    moves += u32::from(call.1 != place);
                    place = call.1;
                }
            }
        }
        // As often as it doubles, or so.
        assert!(moves < 50, "a megabyte was moved {moves} times");
    });
}

#[test]
fn an_answer_after_the_peer_has_finished_arrives() {
    on_every_pair_and_noise(|pair| {
        let server = Server::new(pair, |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
            match call {
                Call::Received(_) => return Ok(0),
                Call::Ended(rest) => {
                    wire.write(&vec![b'x'; MUCH]);
                    wire.write(rest);
                }
                Call::Drained => wire.close(),
                _ => {}
            }
            Ok(0)
        });
        let mut client = server.client();
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        while !matches!(server.next(), Call::Ended(_)) {} // before it reads
        let answer = read_all(&client);
        assert_eq!(answer.len(), MUCH + 8);
        assert!(answer[..MUCH] == vec![b'x'; MUCH]);
        assert_eq!(&answer[MUCH..], b"question");
        assert_eq!(server.until_closed(), [Call::Drained, Call::Closed(Why::Finished)]);
        server.await_sources(1);
    });
}

#[test]
fn more_than_the_buffers_hold_arrives_whole_and_in_order_and_drained_is_told_once() {
    on_every_pair_and_noise(|pair| {
        let data = known_bytes(1, MUCH);
        let server =
            Server::new(pair, move |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
                match call {
                    Call::Opened => {
                        for piece in data.chunks(100_000) {
                            wire.write(piece);
                        }
                        assert!(wire.unsent() > 0, "not much");
                    }
                    Call::Drained => assert_eq!(wire.unsent(), 0),
                    _ => return echo(call, wire, cx),
                }
                Ok(0)
            });
        let client = server.client();
        assert_eq!(server.next(), Call::Opened); // before it reads
        assert!(read_exactly(&client, MUCH) == known_bytes(1, MUCH), "not what was sent");
        assert_eq!(server.next(), Call::Drained);
        // What the kernel takes at once is never in the write buffer, so `drained` is not called.
        assert_eq!(exchange(&client, b"small"), b"small");
        assert_eq!(server.next(), Call::Received(b"small".into()));
        drop(client);
        let all = server.until_closed();
        assert!(!all.contains(&Call::Drained), "{all:?}");
    });
}

#[test]
fn a_long_answer_is_given_piece_by_piece_each_time_it_is_drained() {
    on_every_pair_and_noise(|pair| {
        let mut left = 4;
        let server =
            Server::new(pair, move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                if matches!(call, Call::Opened | Call::Drained) {
                    if left == 0 {
                        wire.close();
                    }
                    while left > 0 && wire.unsent() == 0 {
                        left -= 1;
                        wire.write(&vec![left; MUCH / 2]);
                    }
                    if left == 0 && wire.unsent() == 0 {
                        wire.close();
                    }
                }
                Ok(0)
            });
        let answer = read_all(server.client());
        assert_eq!(answer.len(), 4 * MUCH / 2);
        for (index, piece) in answer.chunks(MUCH / 2).enumerate() {
            assert!(piece == vec![3 - index as u8; MUCH / 2]);
        }
    });
}

#[test]
fn a_peer_that_does_not_read_is_not_read_from_until_it_does() {
    on_every_pair_and_noise(|pair| {
        let marks = |connection: Connection<_>| {
            connection.watermarks(Watermarks::new(16 << 10, 64 << 10, 1 << 20))
        };
        let server = Server::with(pair, Listener::builder(), marks, echo);
        let client = server.client();
        let sent = known_bytes(2, MUCH);
        let writer = std::thread::spawn({
            let (mut client, sent) = (client.try_clone().unwrap(), sent.clone());
            move || {
                client.write_all(&sent).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            }
        });
        // It writes until nothing more fits anywhere. Then the server is asleep, and has not kept
        // much more than the high mark, which the limit proves: it was not reached.
        let give_up = Instant::now() + LONG;
        let mut before = server.counters();
        loop {
            std::thread::sleep(Duration::from_millis(2)); // so that the questions are not the turns
            let after = server.counters();
            if after.dispatches == before.dispatches && before.dispatches > 5 {
                break;
            }
            assert!(Instant::now() < give_up, "it never sleeps");
            before = after;
        }
        assert!(read_all(&client) == sent, "not what was sent");
        writer.join().unwrap();
        assert_eq!(server.until_closed().last(), Some(&Call::Closed(Why::Finished)));
    });
}

/// One byte asks for so much.
const ANSWER: usize = 100_000;

#[test]
fn who_asks_much_at_once_is_answered_at_its_own_pace() {
    on_every_pair_and_noise(|pair| {
        // Two hundred questions in one packet are twenty megabytes of answers, which nobody keeps:
        // the next question is looked at when the answer to the last is below the mark.
        let server =
            Server::new(
                pair,
                |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| match call {
                    Call::Received(data) => {
                        assert!(wire.unsent() <= 64 << 10, "{} bytes are kept", wire.unsent());
                        wire.write(&vec![data[0]; ANSWER]);
                        Ok(1)
                    }
                    _ => echo(call, wire, cx),
                },
            );
        let mut client = server.client();
        let questions: Vec<u8> = (0..200).collect();
        client.write_all(&questions).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = vec![0; ANSWER];
        for question in questions {
            client.read_exact(&mut answer).unwrap();
            assert!(answer == vec![question; ANSWER], "the answer to another question");
        }
        assert_eq!(client.read(&mut answer).unwrap(), 0);
        assert_eq!(server.until_closed().last(), Some(&Call::Closed(Why::Finished)));
    });
}

const LOW: usize = 16 << 10;
const HIGH: usize = 64 << 10;

/// Answers with more than its high mark, and once more when the buffer falls to the low mark.
struct Twice {
    reports: mpsc::Sender<(&'static str, usize, bool)>,
    answers: usize,
}

impl Twice {
    fn answer(&mut self, wire: &mut Wire<'_>) {
        self.answers += 1;
        while wire.unsent() <= HIGH {
            wire.write(&vec![0; MUCH]); // the kernel takes some of it, and the peer may be reading
        }
    }
}

impl Protocol for Twice {
    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        _: &mut Context<'_>,
    ) -> io::Result<usize> {
        self.answer(wire);
        self.reports.send(("received", wire.unsent(), wire.is_reading())).unwrap();
        Ok(data.len())
    }

    fn below_low_mark(&mut self, wire: &mut Wire<'_>, _: &mut Context<'_>) -> io::Result<()> {
        self.reports.send(("low", wire.unsent(), wire.is_reading())).unwrap();
        if self.answers < 2 {
            self.answer(wire);
        }
        Ok(())
    }

    fn drained(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_>) -> io::Result<()> {
        self.reports.send(("drained", wire.unsent(), wire.is_reading())).unwrap();
        cx.stop();
        Ok(())
    }
}

#[test]
fn the_low_mark_is_reported_each_time_and_before_the_buffer_is_drained() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(());
        let (one, mut other) = blocking_tcp_pair();
        let (reports, all) = mpsc::channel();
        Connection::new(Twice { reports, answers: 0 })
            .watermarks(Watermarks::new(LOW, HIGH, usize::MAX))
            .serve(Stream::from(one), &mut reactor.context())
            .unwrap();
        let reader = std::thread::spawn(move || {
            other.write_all(b"?").unwrap();
            io::copy(&mut other, &mut io::sink()).unwrap();
        });
        reactor.run().unwrap();
        drop(reactor);
        reader.join().unwrap();
        let all: Vec<_> = all.try_iter().collect();
        let [received, low, again, drained] = all[..] else { panic!("{all:?}") };
        assert!(received.1 > HIGH && !received.2, "{all:?}");
        for low in [low, again] {
            assert!(low.0 == "low" && low.1 <= LOW && low.2, "{all:?}");
        }
        assert_eq!(drained, ("drained", 0, true));
    });
}

#[test]
fn above_the_limit_it_fails_and_the_peer_knows_that_something_is_missing() {
    on_every_pair_and_noise(|pair| {
        let marks =
            |connection: Connection<_>| connection.watermarks(Watermarks::new(1, 2, 1 << 20));
        let server = Server::with(
            pair,
            Listener::builder(),
            marks,
            |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                if let Call::Received(data) = call {
                    // The first write is over the limit, whatever the kernel takes.
                    wire.write(&vec![0; MUCH]);
                    assert!(wire.unsent() > 1 << 20, "the kernel has taken too much for this test");
                    wire.write(b"one byte more");
                    assert_eq!(wire.unsent(), 0, "it is kept all the same");
                    wire.write(b"dropped");
                    return Ok(data.len());
                }
                Ok(0)
            },
        );
        let mut client = server.client();
        client.write_all(b"?").unwrap();
        let all = server.until_closed();
        let limit = Call::Closed(Why::OutputOverflow);
        assert_eq!(all, [Call::Opened, Call::Received(b"?".into()), limit]);
        let end = client.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::ConnectionReset);
        server.await_sources(1);
    });
}

/// However large: the peer had no chance to read it.
#[test]
fn a_single_write_may_be_of_any_size() {
    on_every_pair_and_noise(|pair| {
        let server = Server::with(
            pair,
            Listener::builder(),
            |connection| connection.watermarks(Watermarks::new(1, 2, 1 << 20)),
            |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                if let Call::Received(data) = call {
                    wire.write(&known_bytes(4, 2 * MUCH));
                    assert!(wire.unsent() > 1 << 20, "the kernel has taken too much for this test");
                    wire.close();
                    return Ok(data.len());
                }
                Ok(0)
            },
        );
        let mut client = server.client();
        client.write_all(b"?").unwrap();
        assert_eq!(server.next(), Call::Opened);
        assert_eq!(server.next(), Call::Received(b"?".into())); // it is written before it is read
        assert!(read_all(&client) == known_bytes(4, 2 * MUCH), "not what was sent");
        drop(client);
        assert_eq!(server.next(), Call::Closed(Why::Finished));
    });
}

#[test]
fn an_error_of_any_callback_is_the_reason_that_closed_is_told_once() {
    type Is = fn(&Call) -> bool;
    let callbacks: [Is; 5] = [
        |call| *call == Call::Opened,
        |call| matches!(call, Call::Received(_)),
        |call| matches!(call, Call::Ended(_)),
        |call| *call == Call::Drained,
        |call| *call == Call::TimedOut,
    ];
    on_every_pair_and_noise(|pair| {
        for is_it in callbacks {
            let server =
                Server::new(pair, move |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
                    if is_it(call) {
                        return Err(io::Error::other("of its own"));
                    }
                    match call {
                        Call::Opened => {
                            owe(wire);
                            cx.set_deadline(wire.token(), Some(Instant::now()))?;
                        }
                        Call::Received(data) => return Ok(data.len()),
                        _ => {}
                    }
                    Ok(0)
                });
            let client = server.client();
            // It may be gone at any moment.
            let _ = (&client).write_all(b"data");
            let _ = client.shutdown(Shutdown::Write);
            let _ = (&client).read_to_end(&mut Vec::new());
            let all = server.until_closed();
            assert_eq!(
                all.last(),
                Some(&Call::Closed(Why::Failed(io::ErrorKind::Other))),
                "{all:?}"
            );
            server.await_sources(1);
            assert!(server.calls.try_recv().is_err(), "called after the end");
        }
    });
}

#[test]
fn a_panic_ends_one_connection_and_it_is_told_why() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(());
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        let Address::Inet(address) = *listener.local_address() else { panic!() };
        let (send, calls) = mpsc::channel();
        let script = |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
            if *call == Call::Received(b"!".into()) {
                std::panic::resume_unwind(Box::new("on purpose")); // without the message on stderr
            }
            echo(call, wire, cx)
        };
        listener
            .serve(&mut reactor.context(), move |stream, cx| {
                Connection::new(Scripted::new(script, send.clone())).serve(stream, cx)?;
                Ok(())
            })
            .unwrap();
        let handle = reactor.handle();
        let client = std::thread::spawn(move || {
            let (mut bad, good) =
                (TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap());
            bad.write_all(b"!").unwrap();
            assert_eq!(read_all(bad), b"");
            assert_eq!(exchange(&good, b"still here"), b"still here");
            handle.stop();
        });
        reactor.run().unwrap();
        client.join().unwrap();
        assert_eq!(reactor.context().counters().panics, 1);
        let failed = Call::Closed(Why::Failed(io::ErrorKind::Other));
        assert_eq!(calls.try_iter().filter(|call| *call == failed).count(), 1);
    });
}

#[test]
fn a_deadline_of_its_own_is_an_error_if_nothing_is_said() {
    on_every_pair_and_noise(|pair| {
        let server =
            Server::new(
                pair,
                |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| match call {
                    Call::Opened => cx.set_deadline(wire.token(), Some(Instant::now())).map(|()| 0),
                    Call::TimedOut => Err(io::ErrorKind::TimedOut.into()),
                    _ => Ok(0),
                },
            );
        let client = server.client();
        assert_eq!(read_all(client), b"");
        let failed = Call::Closed(Why::Failed(io::ErrorKind::TimedOut));
        assert_eq!(server.until_closed(), [Call::Opened, Call::TimedOut, failed]);
    });
}

#[test]
fn a_reset_is_told_as_one_whatever_the_connection_was_doing() {
    on_every_pair_and_noise(|pair| {
        for owing in [false, true] {
            let server =
                Server::new(pair, move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                    match call {
                        Call::Received(data) => {
                            if owing {
                                owe(wire);
                            }
                            Ok(data.len())
                        }
                        _ => Ok(0),
                    }
                });
            let mut client = server.client();
            client.write_all(b"?").unwrap();
            assert_eq!(server.next(), Call::Opened);
            assert_eq!(server.next(), Call::Received(b"?".into()));
            socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
            drop(client);
            match server.next() {
                Call::Closed(Why::Failed(kind)) => assert!(
                    matches!(kind, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe),
                    "{kind}"
                ),
                call => panic!("{call:?}"),
            }
            server.await_sources(1);
        }
    });
}

#[test]
fn a_unix_socket_is_served_as_a_tcp_one() {
    let directory = std::env::temp_dir().join(format!("tripoll-net-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    on_every_pair_and_noise(|pair| {
        let path = directory.join(format!("{}-{}", pair.backend, pair.trigger));
        let address = Address::Unix(path.clone());
        let server = Server::at(pair, &address, Listener::builder(), |connection| connection, echo);
        let client = UnixStream::connect(&path).unwrap();
        let data = known_bytes(3, 1 << 20);
        let writer = std::thread::spawn({
            let (mut client, data) = (client.try_clone().unwrap(), data.clone());
            move || {
                client.write_all(&data).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            }
        });
        std::thread::yield_now();
        assert!(read_all(&client) == data, "not what was sent");
        writer.join().unwrap();
        assert_eq!(server.until_closed().last(), Some(&Call::Closed(Why::Finished)));
        drop(server);
        assert!(!path.exists(), "the file is left behind");
    });
    std::fs::remove_dir(&directory).unwrap();
}
