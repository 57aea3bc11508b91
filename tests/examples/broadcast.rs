//! `broadcast`: each client gets the lines of all others, in order, and may leave at any time.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use rustix::process::Signal;
use support::example::{Server, on_every_backend};
use support::sockets::reset;

#[test]
fn each_client_gets_the_lines_of_all_others_and_not_its_own() {
    on_every_backend(|backend, trigger| {
        let mut server = Server::start("broadcast", backend, trigger);
        let mut guests: Vec<_> = (0..10).map(|_| server.connect()).collect();
        let mut ears: Vec<_> =
            guests.iter().map(|guest| BufReader::new(guest.try_clone().unwrap())).collect();
        // Connections are accepted in order: when the last one is heard, all are in the room.
        guests.last_mut().unwrap().write_all(b"hello\n").unwrap();
        for ear in &mut ears[..9] {
            assert_eq!(hear(ear), "hello\n");
        }

        reset(guests.pop().unwrap());
        drop(ears.pop());
        guests[0].write_all("你好\nsecond\nunfin".as_bytes()).unwrap();
        guests[0].write_all(b"ished\n").unwrap();
        for ear in &mut ears[1..] {
            for line in ["你好\n", "second\n", "unfinished\n"] {
                assert_eq!(hear(ear), line);
            }
        }
        guests[1].write_all(b"to the first too\n").unwrap();
        assert_eq!(hear(&mut ears[0]), "to the first too\n", "and nothing of its own before");
        server.stop(Signal::TERM).assert_graceful();
    });
}

fn hear(ear: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    ear.read_line(&mut line).unwrap();
    line
}
