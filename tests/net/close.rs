//! How connections end: in good order, by abort, or because the reactor winds down, with peers that
//! do not read, do not finish, or have not finished their question. On every backend and trigger.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use support::net::{Call, Scripted, Server, Why, echo};
use support::sockets::read_all;
use support::{LONG, Pair, on_every_pair, on_every_pair_and_noise};
use tripoll::net::{Connection, Listener, Stream, Wire};
use tripoll::{Context, Deadline, Reactor};

/// More than the socket buffers of both ends hold while nobody reads.
const MUCH: usize = 6 << 20;
/// Longer than a test waits: what ends earlier did not end because of this.
const VERY_LONG: Duration = Duration::from_secs(100);

/// Answers the first data with so much, closes, and writes after that.
fn answer_and_close(
    much: usize,
) -> impl FnMut(&Call, &mut Wire<'_>, &mut Context<'_>) -> io::Result<usize> + Clone + Send + 'static
{
    move |call, wire, _| {
        if let Call::Received(data) = call {
            wire.write(&vec![b'a'; much]);
            wire.write(b"end");
            wire.close();
            wire.write(b"too late");
            wire.close();
            return Ok(data.len());
        }
        Ok(0)
    }
}

/// Asserts the calls after the data, until there are no more.
fn assert_answered_and_finished(server: &Server) {
    assert_eq!(server.next(), Call::Opened);
    assert!(matches!(server.next(), Call::Received(_)));
    assert_eq!(server.next(), Call::Closed(Why::Finished));
    server.await_sources(1);
    assert!(server.calls.try_recv().is_err(), "called after the end");
}

#[test]
fn close_sends_what_is_owed_and_then_finishes() {
    on_every_pair_and_noise(|pair| {
        for much in [0, MUCH] {
            let linger = |connection: Connection<_>| connection.linger(VERY_LONG);
            let server = Server::with(pair, Listener::builder(), linger, answer_and_close(much));
            let mut client = server.client();
            client.write_all(b"?").unwrap();
            let answer = read_all(&client); // to the end, though this side has not finished
            assert_eq!(answer.len(), much + 3);
            assert!(answer.ends_with(b"end"));
            drop(client);
            assert_answered_and_finished(&server);
        }
    });
}

#[test]
fn a_peer_that_is_still_sending_reads_the_whole_answer() {
    on_every_pair_and_noise(|pair| {
        for much in [0, MUCH] {
            let linger = |connection: Connection<_>| connection.linger(VERY_LONG);
            let server = Server::with(pair, Listener::builder(), linger, answer_and_close(much));
            let mut client = server.client();
            // It reads nothing before it has said everything, and that is more than is looked at.
            for _ in 0..10 {
                client.write_all(&[b'?'; 100_000]).unwrap();
            }
            let answer = read_all(&client);
            assert_eq!(answer.len(), much + 3);
            assert!(answer.ends_with(b"end"));
            drop(client);
            assert_answered_and_finished(&server);
        }
    });
}

#[test]
fn a_peer_that_never_finishes_is_left_after_a_while() {
    on_every_pair_and_noise(|pair| {
        let linger = |connection: Connection<_>| connection.linger(Duration::from_millis(20));
        let server = Server::with(pair, Listener::builder(), linger, answer_and_close(0));
        let began = Instant::now();
        let mut client = server.client();
        client.write_all(b"?").unwrap();
        assert_answered_and_finished(&server);
        assert!(began.elapsed() >= Duration::from_millis(20), "it did not wait");
        assert_eq!(read_all(&client), b"end");
    });
}

#[test]
fn a_peer_that_floods_a_closed_connection_is_left_too() {
    on_every_pair_and_noise(|pair| {
        let linger = |connection: Connection<_>| connection.linger(VERY_LONG);
        let server = Server::with(pair, Listener::builder(), linger, answer_and_close(0));
        let mut client = server.client();
        // A write fails when the server has had enough.
        while client.write_all(&[b'?'; 100_000]).is_ok() {}
        assert_answered_and_finished(&server);
    });
}

#[test]
fn a_peer_that_never_reads_is_reset_and_one_that_is_slow_is_not() {
    on_every_pair_and_noise(|pair| {
        let patience =
            |connection: Connection<_>| connection.close_within(Duration::from_millis(100));
        let server = Server::with(pair, Listener::builder(), patience, answer_and_close(2 * MUCH));
        let mut dead = server.client();
        dead.write_all(b"?").unwrap();
        assert_eq!(server.next(), Call::Opened);
        assert!(matches!(server.next(), Call::Received(_)));
        assert_eq!(server.next(), Call::Closed(Why::CloseTimedOut));
        // It knows that this is not the end.
        let end = dead.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::ConnectionReset);
        server.await_sources(1);

        // Slow: many times the patience in all, never long without reading.
        let mut slow = server.client();
        slow.write_all(b"?").unwrap();
        let (mut length, began) = (0, Instant::now());
        let mut piece = vec![0; 1 << 20];
        loop {
            let count = slow.read(&mut piece).unwrap();
            if count == 0 {
                break;
            }
            length += count;
            if began.elapsed() < Duration::from_millis(300) {
                std::thread::sleep(Duration::from_millis(10)); // this is what slow means
            }
        }
        assert_eq!(length, 2 * MUCH + 3);
        drop(slow);
        assert_answered_and_finished(&server);
    });
}

#[test]
fn abort_is_a_reset_whatever_is_owed() {
    on_every_pair_and_noise(|pair| {
        for much in [0, MUCH] {
            let server =
                Server::new(pair, move |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
                    if let Call::Received(_) = call {
                        wire.write(&vec![b'a'; much]);
                        wire.abort();
                        assert_eq!(wire.unsent(), 0);
                        wire.write(b"dropped");
                        wire.close();
                    }
                    Ok(0)
                });
            let mut client = server.client();
            client.write_all(b"?").unwrap();
            assert_eq!(server.next(), Call::Opened);
            assert!(matches!(server.next(), Call::Received(_)));
            assert_eq!(server.next(), Call::Closed(Why::Aborted));
            let end = client.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(end.kind(), io::ErrorKind::ConnectionReset);
            server.await_sources(1);
            assert!(server.calls.try_recv().is_err(), "called after the end");
        }
    });
}

#[test]
fn closed_in_opened_it_says_goodbye_and_nothing_is_received() {
    on_every_pair_and_noise(|pair| {
        let server = Server::new(pair, |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
            assert!(!matches!(call, Call::Received(_)));
            if *call == Call::Opened {
                wire.write(b"full");
                wire.close();
            }
            Ok(0)
        });
        let mut client = server.client();
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&client), b"full");
        assert_eq!(server.until_closed(), [Call::Opened, Call::Closed(Why::Finished)]);
        server.await_sources(1);
    });
}

#[test]
fn the_connections_own_deadline_does_not_end_a_close_that_is_under_way() {
    on_every_pair_and_noise(|pair| {
        let server = Server::new(pair, |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
            assert_ne!(*call, Call::TimedOut, "it is closed");
            if let Call::Received(data) = call {
                cx.set_deadline(wire.token(), Some(Instant::now()))?;
                wire.write(&vec![0; MUCH]);
                wire.close();
                cx.set_deadline(wire.token(), Some(Instant::now()))?;
                return Ok(data.len());
            }
            Ok(0)
        });
        let mut client = server.client();
        client.write_all(b"?").unwrap();
        assert_eq!(read_all(&client).len(), MUCH);
        drop(client);
        assert_answered_and_finished(&server);
    });
}

/// What other code sets for the source does not concern its close, which ends in any case.
#[test]
fn a_close_ends_in_time_whatever_deadline_is_set_from_outside() {
    on_every_pair_and_noise(|pair| {
        for much in [0, MUCH] {
            let short = |connection: Connection<_>| {
                let short = Duration::from_millis(20);
                connection.close_within(short).linger(short)
            };
            let (tokens, token) = std::sync::mpsc::channel();
            let mut answer = answer_and_close(much);
            let server = Server::with(
                pair,
                Listener::builder(),
                short,
                move |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
                    assert_ne!(*call, Call::TimedOut, "it is closed");
                    if *call == Call::Opened {
                        tokens.send(wire.token()).unwrap();
                    }
                    answer(call, wire, cx)
                },
            );
            let mut client = server.client();
            let token = token.recv_timeout(LONG).unwrap();
            client.write_all(b"?").unwrap();
            assert_eq!(server.next(), Call::Opened);
            assert!(matches!(server.next(), Call::Received(_)));
            // It has begun to close, for the loop does one after the other.
            for at in [None, Some(Instant::now() + VERY_LONG), Some(Instant::now())] {
                server.ask(move |cx| {
                    let _ = cx.set_deadline(token, at); // it may be gone
                });
            }
            server.ask(move |cx| {
                let _ = cx.set_deadline(token, None);
            });
            let why = if much == 0 { Why::Finished } else { Why::CloseTimedOut };
            assert_eq!(server.next(), Call::Closed(why));
            server.await_sources(1);
            assert_eq!(server.ask(|cx| cx.timers()), 0, "a timer is left");
        }
    });
}

#[test]
fn winding_down_finishes_what_is_owed_and_the_loop_ends_by_itself() {
    on_every_pair_and_noise(|pair| {
        let server = Server::new(pair, |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
            if let Call::Received(data) = call {
                wire.write(&vec![b'a'; MUCH]);
                return Ok(data.len());
            }
            echo(call, wire, cx)
        });
        let mut client = server.client();
        client.write_all(b"?").unwrap();
        assert_eq!(server.next(), Call::Opened);
        assert!(matches!(server.next(), Call::Received(_)));
        server.handle.shutdown(VERY_LONG).unwrap();
        assert_eq!(server.next(), Call::ShuttingDown);
        assert_eq!(read_all(&client).len(), MUCH);
        drop(client);
        assert_eq!(server.next(), Call::Closed(Why::Finished));
        assert!(std::net::TcpStream::connect(server.port()).is_err(), "it still listens");
        server.join();
    });
}

#[test]
fn winding_down_ends_at_the_latest_when_its_time_is_over() {
    on_every_pair_and_noise(|pair| {
        let server = Server::new(pair, |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
            if let Call::Received(data) = call {
                wire.write(&vec![b'a'; MUCH]);
                return Ok(data.len());
            }
            echo(call, wire, cx)
        });
        let mut client = server.client();
        client.write_all(b"?").unwrap();
        assert_eq!(server.next(), Call::Opened);
        assert!(matches!(server.next(), Call::Received(_)));
        server.handle.shutdown(Duration::from_millis(20)).unwrap();
        server.join(); // the client reads nothing
    });
}

/// Who has closed is offered nothing more, not even of what came in the same piece.
#[test]
fn nothing_is_received_after_a_close() {
    on_every_pair_and_noise(|pair| {
        let server = Server::new(pair, |call: &Call, wire: &mut Wire<'_>, _: &mut Context<'_>| {
            if let Call::Received(_) = call {
                wire.write(b"bye");
                wire.close();
                return Ok(1);
            }
            Ok(0)
        });
        let mut client = server.client();
        client.write_all(b"0123456789").unwrap();
        assert_eq!(read_all(&client), b"bye");
        drop(client);
        let calls = server.until_closed();
        let received = calls.iter().filter(|call| matches!(call, Call::Received(_))).count();
        assert_eq!(received, 1, "{calls:?}");
        assert_eq!(calls.last(), Some(&Call::Closed(Why::Finished)));
    });
}

/// What a closed connection discards at most.
const DISCARDED: usize = 1 << 20;

/// Serves a connection that closes at the first byte, after so much output. Returns its peer.
fn closing(pair: Pair, output: usize) -> (Reactor, UnixStream, Receiver<Call>) {
    let mut reactor = pair.reactor(());
    let (one, other) = UnixStream::pair().unwrap();
    let (send, calls) = std::sync::mpsc::channel();
    let close = |connection: Connection<_>| connection.linger(VERY_LONG).close_within(VERY_LONG);
    close(Connection::new(Scripted::new(answer_and_close(output), send)))
        .serve(Stream::from(one), &mut reactor.context())
        .unwrap();
    (&other).write_all(b"?").unwrap();
    reactor.turn(Deadline::after(VERY_LONG)).unwrap();
    other.set_nonblocking(true).unwrap();
    (reactor, other, calls)
}

/// Writes as much of `count` bytes as the connection takes, and returns how much that is.
fn write_to(reactor: &mut Reactor, peer: &UnixStream, count: usize) -> usize {
    let (data, mut written, mut refused) = (vec![b'!'; count], 0, 0);
    // What was refused several times in a row stays so.
    while written < count && refused < 4 {
        match (&*peer).write(&data[written..]) {
            Ok(count) => (written, refused) = (written + count, 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => refused += 1,
            Err(error) => panic!("after {written} bytes: {error}"),
        }
        for _ in 0..4 {
            reactor.turn(Deadline::Now).unwrap();
        }
    }
    written
}

#[test]
fn a_closed_connection_discards_a_megabyte_and_not_a_byte_more() {
    on_every_pair(|pair| {
        let (mut reactor, peer, calls) = closing(pair, 0);
        assert_eq!(write_to(&mut reactor, &peer, DISCARDED), DISCARDED);
        assert_eq!(reactor.context().len(), 1, "it is closed too early");
        assert_eq!(write_to(&mut reactor, &peer, 1), 1);
        assert_eq!(reactor.context().len(), 0, "it discards more");
        assert_eq!(calls.try_iter().last(), Some(Call::Closed(Why::Finished)));
    });
}

/// A peer that sends without end, and does not read the answer, is not read from without end.
#[test]
fn a_connection_with_output_left_discards_no_more_than_a_megabyte() {
    on_every_pair(|pair| {
        let (mut reactor, mut peer, calls) = closing(pair, DISCARDED);
        let written = write_to(&mut reactor, &peer, 4 * DISCARDED);
        assert!((DISCARDED..2 * DISCARDED).contains(&written), "{written} bytes");
        // And its answer is whole, if it reads it after all.
        let (mut answer, mut buffer) = (0, vec![0; 1 << 16]);
        loop {
            match peer.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => answer += count,
                // The rest of what it has sent was not read: on a Unix socket this is the end.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            reactor.turn(Deadline::Now).unwrap();
        }
        assert_eq!(answer, DISCARDED + 3);
        assert_eq!(calls.try_iter().last(), Some(Call::Closed(Why::Finished)));
    });
}
