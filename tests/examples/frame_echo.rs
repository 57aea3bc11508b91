//! `frame_echo`: messages come back whole, however they are cut, on every backend and trigger.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use rustix::process::Signal;
use support::example::{Server, on_every_backend};
use support::{await_that, pattern};

use crate::hostile::{self, Subject};

const FRAME_ECHO: Subject = Subject { name: "frame_echo", arguments: &[], assert_served };

/// A friendly client: one message, one answer.
fn assert_served(client: &mut TcpStream) {
    let mut answer = [0; 9];
    client.write_all(b"\0\0\0\x05hello").unwrap();
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"\0\0\0\x05hello");
}

#[test]
fn messages_come_back_in_one_piece_or_byte_by_byte() {
    let message = |content: &[u8]| [&(content.len() as u32).to_be_bytes(), content].concat();
    let small = [message(b""), message(b"one"), message("二".as_bytes())].concat();
    let large = message(pattern(1 << 20));
    on_every_backend(|backend, trigger| {
        let mut server = Server::start("frame_echo", backend, trigger);
        let mut client = server.connect();
        client.set_nodelay(true).unwrap();
        for byte in &small {
            client.write_all(&[*byte]).unwrap();
        }
        client.write_all(&small).unwrap();
        let mut writer = client.try_clone().unwrap();
        let mut answer = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(&large).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            client.read_to_end(&mut answer).unwrap();
        });
        assert!(answer == [&small[..], &small, &large].concat(), "{} bytes", answer.len());
        await_that("the server closes", || server.fds() == server.fds_at_start);
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn a_message_over_the_limit_ends_its_connection_alone() {
    on_every_backend(|backend, trigger| {
        let server = Server::start("frame_echo", backend, trigger);
        let mut other = server.connect();
        assert_served(&mut other);
        let mut client = server.connect();
        client.write_all(&[0, 0x10, 0, 1]).unwrap(); // a mebibyte and one
        match client.read(&mut [0]) {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        assert_served(&mut other);
    });
}

#[test]
fn a_signal_ends_it_with_clients_connected() {
    hostile::a_signal_ends_it_with_clients_connected(FRAME_ECHO);
}

#[test]
fn without_descriptors_it_waits_and_goes_on_later() {
    hostile::without_descriptors_it_waits_and_goes_on_later(FRAME_ECHO);
}
