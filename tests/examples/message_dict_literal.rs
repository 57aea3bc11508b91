//! The tutorial's own program for 2b has each of the bugs that its comments name.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use crate::marked::assert_served;
use rustix::process::Signal;
use support::example::{Server, example};
use support::sockets::reset;
use support::{LONG, await_that};

fn start() -> Server {
    let mut server =
        Server::start_with(example("message_dict_literal").args(["--listen", "127.0.0.1:0"]));
    server.let_it_talk(); // in each turn
    server
}

#[test]
fn every_bug_names_its_test() {
    let program = include_str!("../../examples/message_dict_literal.rs");
    let names: Vec<_> = program
        .lines()
        .filter_map(|line| line.trim().strip_prefix("// "))
        .filter(|words| words.starts_with("a_") || words.ends_with("_server"))
        .collect();
    assert_eq!(names.len(), program.matches("// BUG").count() + 1, "one has two: {names:?}");
    for name in names {
        assert!(include_str!("message_dict_literal.rs").contains(&format!("fn {name}()")));
    }
}

#[test]
fn it_serves_clients_that_stay() {
    let server = start();
    let mut clients: Vec<_> = (0..10).map(|_| server.connect()).collect();
    for _ in 0..3 {
        clients.iter_mut().for_each(assert_served);
    }
}

#[test]
fn a_client_that_leaves_ends_the_server() {
    let mut server = start();
    let mut witness = server.connect();
    let mut client = server.connect();
    assert_served(&mut witness);
    assert_served(&mut client);
    drop(client);
    assert_dies(&mut server, "Broken pipe");
}

#[test]
fn a_reset_after_a_message_ends_the_server() {
    let mut server = start();
    let mut client = server.connect();
    assert_served(&mut client);
    // At the next `select` both have arrived: the message can be read, and then the reset.
    server.signal(Signal::STOP);
    client.write_all(b"hello").unwrap();
    reset(client);
    server.signal(Signal::CONT);
    assert_dies(&mut server, "Broken pipe");
}

#[test]
fn half_a_character_ends_the_server() {
    let mut server = start();
    server.connect().write_all(&"好".as_bytes()[..2]).unwrap();
    assert_dies(&mut server, "utf-8");
}

#[track_caller]
fn assert_dies(server: &mut Server, of: &str) {
    let end = server.end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.log.concat().contains(of), "{end:?}");
}

#[test]
fn a_reset_leaves_a_descriptor_behind() {
    let server = start();
    let fds = server.fds_at_start;
    let mut witness = server.connect();
    for left_behind in 1..=5 {
        let mut client = server.connect();
        assert_served(&mut client);
        reset(client);
        assert_served(&mut witness);
        assert_served(&mut witness); // the reset was seen before this
        assert_eq!(server.fds(), fds + 1 + left_behind);
    }
}

#[test]
fn a_half_close_is_answered_without_end() {
    let server = start();
    let mut client = server.connect();
    client.shutdown(Shutdown::Write).unwrap();
    let mut flood = vec![0; "好".len() * 1_000];
    client.read_exact(&mut flood).unwrap();
    assert_eq!(String::from_utf8(flood).unwrap(), "好".repeat(1_000));
}

#[test]
fn a_client_that_does_not_read_is_owed_without_end() {
    let server = start();
    let memory = server.memory();
    let mut client = server.connect();
    pile_up(&mut client);
    await_that("it keeps all of it", || server.memory() >= memory + 256);
}

#[test]
fn a_client_that_reads_slowly_stops_the_server_for_all() {
    let server = start();
    let mut witness = server.connect();
    assert_served(&mut witness);
    let mut client = server.connect();
    pile_up(&mut client);
    await_that("it has read what it can", || {
        let ticks = server.cpu_ticks();
        thread::sleep(Duration::from_millis(100));
        server.is_asleep() && server.cpu_ticks() == ticks
    });
    // It is in `outputs` many times by now. When it is writable once, the server sends all of them.
    witness.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut read = 0;
    loop {
        read += client.read(&mut [0; 1 << 16]).unwrap();
        assert!(read < MUCH.len(), "the server did not stop");
        witness.write_all(b"hello").unwrap();
        if witness.read_exact(&mut [0; "hello好".len()]).is_err() {
            break;
        }
    }
    // The server goes on when that client reads the rest.
    witness.set_read_timeout(Some(LONG)).unwrap();
    thread::spawn(move || io::copy(&mut client, &mut io::sink()));
    witness.read_exact(&mut [0; "hello好".len()]).unwrap();
}

/// Sends without reading, with a limit, because this alone may block the server.
fn pile_up(client: &mut TcpStream) {
    client.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let _ = client.write_all(&MUCH);
}

/// More than the kernel buffers for a connection that is not read from.
static MUCH: [u8; 12 << 20] = [b'a'; 12 << 20];
