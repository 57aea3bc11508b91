//! Clients that are slow on purpose, in the four ways of `slowhttptest`, and one that is not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use support::example::{Server, on_every_backend};
use support::{MINUTE, Pair};
use tripoll::{Backend, Trigger};

use crate::cases::responses;
use crate::clients::assert_served;

/// The slow clients of one kind.
const CLIENTS: usize = 200;
/// What a connection may hold: what was read at once, a body, and the output up to the limit. In KiB.
const MEMORY: u64 = 64 + 64 + 256;

/// Starts a server that does not wait long.
fn start(backend: Backend, trigger: Trigger, patience: &str) -> Server {
    let mut command = support::example::example("http");
    command.args(support::example::arguments("127.0.0.1:0", backend, trigger));
    Server::start_with(command.args(["--patience", patience]))
}

/// Lets 200 clients send `first`, and then `then` again and again, until `until` says that it is
/// enough. Meanwhile another client is served.
fn beside_slow_clients(
    server: &Server,
    first: &str,
    then: &str,
    mut until: impl FnMut(&mut [TcpStream]) -> bool,
) {
    let memory = server.memory();
    let mut bystander = server.connect();
    let mut slow: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
    for client in &mut slow {
        client.set_nodelay(true).unwrap();
        client.write_all(first.as_bytes()).unwrap();
    }
    let start = Instant::now();
    loop {
        // The server may have closed its end.
        slow.iter_mut().for_each(|client| drop(client.write_all(then.as_bytes())));
        assert_served(&mut bystander);
        assert_served(&mut server.connect());
        if until(&mut slow) {
            break;
        }
        assert!(start.elapsed() < MINUTE, "it is never enough");
    }
    let grown = server.memory().saturating_sub(memory);
    assert!(grown < CLIENTS as u64 * MEMORY, "by {grown} KiB");
    assert_served(&mut bystander);
}

/// Asserts that each client is told that it was too slow, and that the connection is closed.
fn assert_timed_out(slow: &mut [TcpStream]) {
    for client in slow {
        let mut output = Vec::new();
        // What the client sent after the end may have led to a reset, behind the answer.
        let _ = client.read_to_end(&mut output);
        let answers = responses(&output, |_| false).unwrap();
        assert_eq!(answers.len(), 1, "{}", output.escape_ascii());
        assert_eq!(answers[0].status, 408, "{}", output.escape_ascii());
        assert!(answers[0].has_field("Connection: close"), "{}", output.escape_ascii());
    }
}

/// Returns whether the server has answered or closed.
fn has_answer(client: &TcpStream) -> bool {
    client.set_nonblocking(true).unwrap();
    let result = client.peek(&mut [0]);
    client.set_nonblocking(false).unwrap();
    result.is_ok()
}

/// Checks that all are too late, when the last one is.
fn until_timed_out(slow: &mut [TcpStream]) -> bool {
    let is_over = has_answer(&slow[CLIENTS - 1]);
    if is_over {
        assert_timed_out(slow);
    }
    is_over
}

#[test]
fn slow_heads_are_too_late_however_often_a_byte_comes() {
    on_every_backend(|backend, trigger| {
        let server = start(backend, trigger, "1");
        let first = "GET / HTTP/1.1\r\nHost: a\r\n";
        beside_slow_clients(&server, first, "X-a: b\r\n", until_timed_out);
    });
}

#[test]
fn slow_bodies_are_too_late_however_often_a_byte_comes() {
    on_every_backend(|backend, trigger| {
        let server = start(backend, trigger, "1");
        let first = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n";
        beside_slow_clients(&server, first, "x", until_timed_out);
    });
}

#[test]
fn slow_chunks_are_too_late_however_often_one_comes() {
    on_every_backend(|backend, trigger| {
        let server = start(backend, trigger, "1");
        let first = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        beside_slow_clients(&server, first, "1;a=b\r\nx\r\n", until_timed_out);
    });
}

#[test]
fn slow_readers_make_the_server_hold_no_more_than_the_limit() {
    // One pair after the other: what these clients do not read fills the kernel's buffers.
    for pair in Pair::all() {
        let server = start(pair.backend, pair.trigger, "10");
        // More answers than the kernel takes, and then requests that are not read.
        let body = "x".repeat(60_000);
        let head = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n";
        let mut rounds = 0;
        beside_slow_clients(&server, "", "", |slow| {
            for client in slow.iter_mut() {
                client.set_nonblocking(true).unwrap();
                for _ in 0..3 {
                    // What there is no room for is left out, and the answers do not matter.
                    let _ =
                        client.write(head.as_bytes()).and_then(|_| client.write(body.as_bytes()));
                }
            }
            rounds += 1;
            rounds == 5
        });
    }
}

#[test]
fn many_ranges_are_one_answer() {
    on_every_backend(|backend, trigger| {
        let server = start(backend, trigger, "10");
        let ranges: Vec<_> = (0..1_300).map(|n| format!("5-{n}")).collect();
        let ranges = ranges.join(",");
        let request =
            format!("GET /plaintext HTTP/1.1\r\nHost: a\r\nRange: bytes=0-,{ranges}\r\n\r\n");
        beside_slow_clients(&server, &request, "", |slow| {
            let mut buffer = [0; 1_000];
            for client in slow {
                let count = client.read(&mut buffer).unwrap();
                let answers = responses(&buffer[..count], |_| false).unwrap();
                assert_eq!((answers.len(), answers[0].status), (1, 200));
                assert_eq!(answers[0].body, b"Hello, World!");
            }
            true
        });
    });
}
