//! The tutorial's own program for rung 2b really has the bugs that are said of it.

mod server;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use server::hostile::fill_with;
use server::marked::assert_served;
use server::{LONG, Server, example, reset};

fn start() -> Server {
    let mut server =
        Server::start_with(example("message_dict_literal").args(["--listen", "127.0.0.1:0"]));
    server.let_it_talk(); // in each turn
    server
}

#[test]
fn it_serves_who_stays() {
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
    // Both are there when it looks again: the message can be read, and then the reset.
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
fn a_client_that_does_not_read_stops_the_server_for_all() {
    let server = start();
    let mut witness = server.connect();
    assert_served(&mut witness);
    let mut client = server.connect();
    fill_with(&mut client, &[b'a'; 1 << 16], Duration::from_secs(1));
    witness.write_all(b"hello").unwrap();
    witness.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    witness.read(&mut [0]).unwrap_err();
    // It goes on when that one client reads.
    let mut reader = client.try_clone().unwrap();
    thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    witness.set_read_timeout(Some(LONG)).unwrap();
    let mut reply = [0; "hello好".len()];
    witness.read_exact(&mut reply).unwrap();
}
