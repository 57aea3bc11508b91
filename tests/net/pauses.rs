//! A connection that its protocol has paused: nothing is lost, offered twice or held back for ever, and
//! what becomes of its peer is noticed where the backend can.

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::net::{Call, Scripted, Server, Why, echo};
use support::sockets::exchange;
use support::{LONG, on_every_pair_and_noise};
use tripoll::net::{Connection, Listener, Stream, Wire};
use tripoll::{Backend, Context, Deadline};

#[test]
fn paused_it_is_told_nothing_and_resumed_it_is_told_all() {
    on_every_pair_and_noise(|pair| {
        // One byte, then a pause, which its deadline ends.
        let server =
            Server::new(
                pair,
                |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| match call {
                    Call::Received(_) => {
                        wire.pause();
                        cx.set_deadline(wire.token(), Some(Instant::now()))?;
                        Ok(1)
                    }
                    Call::TimedOut => {
                        wire.resume();
                        Ok(0)
                    }
                    _ => echo(call, wire, cx),
                },
            );
        let mut client = server.client();
        client.write_all(b"abc").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let received = |text: &str| Call::Received(text.into());
        let all = server.until_closed();
        assert_eq!(
            all,
            [
                Call::Opened,
                received("abc"),
                Call::TimedOut,
                received("bc"),
                Call::TimedOut,
                received("c"),
                Call::TimedOut,
                Call::Ended(vec![]),
                Call::Closed(Why::Finished)
            ]
        );
    });
}

/// More than `max_unused` may come before the pause. It is no fault of the peer.
#[test]
fn input_that_a_pause_left_unused_is_offered_again_as_soon_as_it_is_over() {
    on_every_pair_and_noise(|pair| {
        let mut is_ready = false;
        let server = Server::with(
            pair,
            Listener::builder(),
            |connection| connection.max_unused(2),
            move |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| match call {
                Call::Received(_) if !is_ready => {
                    wire.pause();
                    cx.set_deadline(wire.token(), Some(Instant::now()))?;
                    Ok(0)
                }
                Call::TimedOut => {
                    is_ready = true;
                    wire.resume();
                    Ok(0)
                }
                _ => echo(call, wire, cx),
            },
        );
        let client = server.client();
        assert_eq!(exchange(&client, b"question"), b"question"); // it sends nothing more
        drop(client);
        let mut received = Vec::new();
        for call in server.until_closed() {
            match call {
                Call::Received(data) => received.push(data),
                Call::Closed(why) => assert_eq!(why, Why::Finished),
                _ => {}
            }
        }
        assert!(received.len() > 1 && received[1].starts_with(&received[0]), "{received:?}");
    });
}

/// `resume` offers it without a pause before, too: the protocol tells that it can now use more.
#[test]
fn input_that_was_left_unused_without_a_pause_is_offered_again_by_resume() {
    on_every_pair_and_noise(|pair| {
        let mut is_ready = false;
        let server =
            Server::new(pair, move |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
                match call {
                    Call::Received(_) if !is_ready => {
                        cx.set_deadline(wire.token(), Some(Instant::now()))?;
                        wire.resume(); // nothing is offered again in a circle
                        Ok(0)
                    }
                    Call::TimedOut => {
                        is_ready = true;
                        wire.resume();
                        Ok(0)
                    }
                    _ => echo(call, wire, cx),
                }
            });
        assert_eq!(exchange(&server.client(), b"question"), b"question");
    });
}

#[test]
fn a_paused_connection_is_ended_by_a_reset_where_the_backend_reports_it() {
    on_every_pair_and_noise(|pair| {
        // Also one whose peer has finished, and that has nothing to read any more. There `select` never
        // notices it.
        let is_reported = pair.backend != Backend::Select;
        for half_closed in [false, true] {
            if half_closed && !is_reported {
                continue;
            }
            let server =
                Server::new(pair, move |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
                    match call {
                        Call::Received(data) => {
                            wire.pause();
                            return Ok(data.len());
                        }
                        Call::TimedOut => wire.resume(),
                        Call::Opened if !is_reported => {
                            let soon = Instant::now() + Duration::from_millis(200);
                            cx.set_deadline(wire.token(), Some(soon))?;
                        }
                        _ => {}
                    }
                    Ok(0)
                });
            let mut client = server.client();
            if half_closed {
                client.shutdown(Shutdown::Write).unwrap();
            } else {
                client.write_all(b"?").unwrap();
            }
            assert_eq!(server.next(), Call::Opened);
            assert!(matches!(server.next(), Call::Received(_) | Call::Ended(_)));
            socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
            drop(client);
            let mut calls = server.until_closed();
            let kind = match half_closed {
                true => io::ErrorKind::BrokenPipe, // so does the kernel call it then
                false => io::ErrorKind::ConnectionReset,
            };
            assert_eq!(calls.pop(), Some(Call::Closed(Why::Failed(kind))));
            assert_eq!(calls.contains(&Call::TimedOut), !is_reported);
            server.await_sources(1);
        }
    });
}

/// The end of the stream comes after the data before it. On a Unix socket it is a hang-up at once.
#[test]
fn a_peer_that_closes_in_good_order_does_not_end_a_paused_connection() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(());
        let (one, mut other) = UnixStream::pair().unwrap();
        let (send, calls) = mpsc::channel();
        let mut received = 0;
        let script = move |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
            match call {
                Call::Received(data) => {
                    received += data.len();
                    if received == 1 {
                        wire.pause();
                    }
                    return Ok(data.len());
                }
                Call::TimedOut => wire.resume(),
                Call::Ended(_) => {
                    wire.close();
                    cx.stop();
                }
                _ => {}
            }
            Ok(0)
        };
        let connection = Connection::new(Scripted::new(script, send));
        let token = connection.serve(Stream::from(one), &mut reactor.context()).unwrap().token();
        other.write_all(b"1").unwrap();
        let mut all = Vec::new();
        while !all.contains(&Call::Received(b"1".into())) {
            reactor.turn(Deadline::after(LONG)).unwrap();
            all.extend(calls.try_iter());
        }
        other.write_all(b"2").unwrap();
        drop(other);
        let before = reactor.context().counters();
        for _ in 0..10 {
            reactor.turn(Deadline::Now).unwrap();
        }
        let after = reactor.context().counters();
        assert!(after.dispatches - before.dispatches <= 1, "it is called in circles");
        reactor.context().set_deadline(token, Some(Instant::now())).unwrap();
        reactor.run().unwrap();
        all.extend(calls.try_iter());
        assert_eq!(
            all[2..],
            [
                Call::TimedOut,
                Call::Received(b"2".into()),
                Call::Ended(vec![]),
                Call::Closed(Why::Finished)
            ]
        );
    });
}
