//! `keep_alive`: each client has its own numbers, and few threads serve them all.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::hostile::Subject;
use crate::requests;
use rustix::process::Signal;
use support::example::on_every_backend;

const KEEP_ALIVE: Subject = Subject { name: "keep_alive", arguments: &[], assert_served };

fn assert_served(client: &mut TcpStream) {
    let mut reader = BufReader::new(client);
    assert_eq!(line(&mut reader), "hello\n");
    for number in 1..=3 {
        reader.get_mut().write_all(b"x\n").unwrap();
        assert_eq!(line(&mut reader), format!("{number}: x\n"));
    }
}

fn line(reader: &mut BufReader<&mut TcpStream>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line
}

fn rest(client: &mut TcpStream) -> String {
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    rest
}

#[test]
fn silent_clients_take_no_thread_and_keep_their_numbers() {
    on_every_backend(|backend, trigger| {
        let mut server = KEEP_ALIVE.start(backend, trigger);
        let mut clients: Vec<_> = (0..40).map(|_| server.connect()).collect();
        clients.iter_mut().for_each(assert_served);
        assert!(server.threads() <= 6, "{} threads", server.threads()); // the loop, and four workers
        for client in &mut clients[..20] {
            client.write_all(b"y\nbye\nignored\n").unwrap();
            assert_eq!(rest(client), "4: y\n4 lines\n");
        }
        for client in &mut clients[20..30] {
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(rest(client), "3 lines\n");
        }
        server.stop(Signal::TERM).assert_graceful();
        for client in &mut clients[30..] {
            assert_eq!(rest(client), "3 lines\n");
        }
    });
}

#[test]
fn hostile_clients_harm_no_other() {
    requests::hostile_clients_harm_no_other(&[KEEP_ALIVE]);
}
