//! A stream that leaves its connection, with what was received and not used.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::thread;

use support::net::{Call, Scripted, Server, Why, echo};
use support::sockets::read_exactly;
use support::{LONG, known_bytes, on_every_pair_and_noise};
use tripoll::Context;
use tripoll::net::{Connection, Filter, Stream, Wire};

/// Uses a line, answers it with `answer`, and hands the stream and the rest to `then`.
fn after_a_line(
    call: &Call,
    wire: &mut Wire<'_>,
    cx: &mut Context<'_>,
    answer: &[u8],
    then: impl FnOnce(Stream, Vec<u8>, &mut Context<'_>) + Send + 'static,
) -> io::Result<usize> {
    let Call::Received(data) = call else { return Ok(0) };
    let Some(end) = data.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
    wire.write(answer);
    wire.detach(cx, then)?;
    assert!(!wire.write(b"discarded"));
    let again = wire.detach(cx, |_, _, _| panic!("it was detached before"));
    assert_eq!(again.unwrap_err().kind(), io::ErrorKind::NotConnected);
    Ok(end + 1)
}

#[test]
fn an_upgraded_stream_goes_on_with_its_unread_input_under_another_protocol() {
    on_every_pair_and_noise(|pair| {
        let (send, second_calls) = mpsc::channel();
        let script = move |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
            let send = send.clone();
            after_a_line(call, wire, cx, b"ok\n", move |stream, unread, cx| {
                let connection = Connection::new(Scripted::new(echo, send)).unread(unread);
                connection.serve(stream, cx).unwrap();
            })
        };
        let server = Server::new(pair, script);
        let mut client = server.client();
        client.write_all(b"upgrade\nthe rest").unwrap();
        assert_eq!(read_exactly(&client, 11), b"ok\nthe rest");
        client.write_all(b", and more").unwrap();
        assert_eq!(read_exactly(&client, 10), b", and more");
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
        let first = server.until_closed();
        assert_eq!(first.last(), Some(&Call::Closed(Why::Detached)), "{first:?}");
        let second: Vec<Call> =
            second_calls.iter().take_while(|call| *call != Call::Closed(Why::Finished)).collect();
        assert_eq!(second[..2], [Call::Opened, Call::Received(b"the rest".into())]);
        server.await_sources(1);
    });
}

#[test]
fn a_thread_gets_the_stream_after_all_output_was_flushed() {
    const SIZE: usize = 8 << 20;
    on_every_pair_and_noise(|pair| {
        let (send, streams) = mpsc::channel();
        let answer = known_bytes(1, SIZE);
        let script = {
            let answer = answer.clone();
            move |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
                let send = send.clone();
                after_a_line(call, wire, cx, &answer, move |stream, unread, _| {
                    send.send((stream, unread)).unwrap();
                })
            }
        };
        let server = Server::new(pair, script);
        let mut client = server.client();
        let worker = thread::spawn(move || {
            let (mut stream, unread): (Stream, Vec<u8>) = streams.recv_timeout(LONG).unwrap();
            stream.set_nonblocking(false).unwrap();
            stream.write_all(b"by a thread: ").unwrap();
            stream.write_all(&unread).unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).unwrap();
            stream.write_all(&rest).unwrap();
        });
        client.write_all(b"go\nunread").unwrap();
        while !matches!(server.next(), Call::Received(_)) {}
        assert_eq!(server.ask(|cx| cx.len()), 2, "it waits until the client reads");
        assert!(read_exactly(&client, SIZE) == answer);
        client.write_all(b" later").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "by a thread: unread later");
        worker.join().unwrap();
        server.await_sources(1);
    });
}

#[test]
fn a_peer_that_has_finished_and_one_that_resets() {
    on_every_pair_and_noise(|pair| {
        let (send, rests) = mpsc::channel();
        let script = move |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
            let send = send.clone();
            if let Call::Ended(rest) = call {
                assert_eq!(rest, b"unused");
                wire.detach(cx, move |_, unread, _| send.send(unread).unwrap())?;
            }
            Ok(0)
        };
        let server = Server::new(pair, script);
        let mut client = server.client();
        client.write_all(b"unused").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rests.recv_timeout(LONG).unwrap(), b"unused");
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0, "the stream was dropped");
        drop(server);

        // Output that cannot be flushed: the stream is handed to nobody.
        let script = |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
            after_a_line(call, wire, cx, &vec![0; 8 << 20], |_, _, _| panic!("it has failed"))
        };
        let server = Server::new(pair, script);
        let mut client: TcpStream = server.client();
        client.write_all(b"go\n").unwrap();
        while !matches!(server.next(), Call::Received(_)) {}
        support::sockets::reset(client);
        let calls = server.until_closed();
        assert!(matches!(calls.last(), Some(Call::Closed(Why::Failed(_)))), "{calls:?}");
    });
}

/// Turns each byte by 13, for both sides.
struct Turn;

impl Filter for Turn {
    fn received(&mut self, data: &[u8], plain: &mut Vec<u8>, _: &mut Vec<u8>) -> io::Result<()> {
        plain.extend(data.iter().map(|byte| byte.wrapping_add(13)));
        Ok(())
    }

    fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        out.extend(plain.iter().map(|byte| byte.wrapping_sub(13)));
        Ok(())
    }
}

#[test]
fn unread_input_passes_a_filter_and_a_stream_under_a_filter_stays_there() {
    on_every_pair_and_noise(|pair| {
        let (send, filtered) = mpsc::channel();
        let script = move |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
            let send = send.clone();
            after_a_line(call, wire, cx, b"ok\n", move |stream, unread, cx| {
                let script = |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
                    let error = wire.detach(cx, |_, _, _| {}).unwrap_err();
                    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
                    echo(call, wire, cx)
                };
                let connection = Connection::new(Scripted::new(script, send)).over(Turn);
                connection.unread(unread).serve(stream, cx).unwrap();
            })
        };
        let server = Server::new(pair, script);
        let mut client = server.client();
        client.write_all(b"upgrade\n\x00\x01").unwrap();
        assert_eq!(read_exactly(&client, 5), b"ok\n\x00\x01");
        let calls: Vec<Call> = filtered.iter().take(2).collect();
        assert_eq!(calls, [Call::Opened, Call::Received(vec![13, 14])]);
    });
}

/// A protocol that removes its own connection has the stream no more, and is told so.
#[test]
fn a_connection_that_is_removed_while_it_is_detached_is_not_handed_over() {
    on_every_pair_and_noise(|pair| {
        let script = |call: &Call, wire: &mut Wire<'_>, cx: &mut Context<'_>| {
            if let Call::Received(_) = call {
                wire.detach(cx, |_, _, _| panic!("it was removed before"))?;
                cx.remove(wire.token())?;
            }
            Ok(0)
        };
        let server = Server::new(pair, script);
        let mut client = server.client();
        client.write_all(b"!").unwrap();
        let calls = server.until_closed();
        assert_eq!(calls.last(), Some(&Call::Closed(Why::Removed)), "{calls:?}");
        assert_eq!(client.read(&mut [0; 1]).unwrap_or(0), 0);
    });
}
