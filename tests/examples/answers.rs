//! SIGTERM in the middle of answers, wherever requests are handled.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::requests::{self, CONCURRENCIES};
use rustix::process::Signal;
use support::await_that;
use support::example::{Server, example};

/// Sends until the kernel takes no more. Returns how much that was.
fn fill(client: &TcpStream) -> usize {
    client.set_nonblocking(true).unwrap();
    let mut sent = 0;
    loop {
        match (&*client).write(&[b'x'; 64 << 10]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    client.set_nonblocking(false).unwrap();
    sent
}

#[test]
fn what_was_sent_before_a_signal_is_answered_to_the_end() {
    for concurrency in CONCURRENCIES {
        let mut command = example("echo");
        command.args(["--listen", "127.0.0.1:0", "--concurrency", concurrency]);
        let mut server = Server::start_with(&mut command);
        let mut client = server.connect();
        client.write_all(b"!").unwrap();
        client.read_exact(&mut [0]).unwrap(); // it is served
        let sent = fill(&client);
        let queued = || client.peek(&mut vec![0; 64 << 10]).unwrap();
        await_that("answers have begun", || queued() > 1_000);

        server.signal(Signal::TERM);
        let mut answer = Vec::new();
        let read = client.read_to_end(&mut answer);
        assert!(read.is_ok(), "{concurrency}: {read:?} after {} of {sent}", answer.len());
        assert_eq!(answer.len(), sent, "{concurrency}");
        drop(client);
        requests::assert_in_order(&server.stop(Signal::TERM));
    }
}
