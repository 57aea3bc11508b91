//! `embed`: two event loops in one thread, each with clients, on every backend and trigger.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::thread;

use rustix::process::Signal;
use support::LONG;
use support::example::on_every_backend;

use crate::hostile::{self, Subject, assert_idle};

const EMBED: Subject = Subject { name: "embed", arguments: &[], assert_served };

fn assert_served(client: &mut TcpStream) {
    client.write_all(b"hello").unwrap();
    let mut answer = [0; 5];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HELLO");
}

fn ask(socket: &UdpSocket) -> String {
    socket.send(b"?").unwrap();
    let mut answer = [0; 100];
    let length = socket.recv(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into()
}

fn socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(address).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket
}

/// Each answer is awaited, so that both loops are asleep before each question: a wake that is lost is a
/// client that waits for ever.
#[test]
fn both_loops_are_woken_in_turn_and_at_once() {
    on_every_backend(|backend, trigger| {
        let mut server = EMBED.start(backend, trigger);
        let address = server.next_address();
        let (mut client, other) = (server.connect(), socket(&address));
        for number in 1..=100 {
            assert_served(&mut client);
            assert_eq!(ask(&other), format!("{number} datagrams, 1 clients\n"));
        }
        thread::scope(|scope| {
            scope.spawn(|| (0..100).for_each(|_| assert_served(&mut server.connect())));
            scope.spawn(|| (0..500).for_each(|_| assert!(ask(&other).ends_with(" clients\n"))));
        });
        assert_eq!(ask(&other), "601 datagrams, 101 clients\n");
        assert_served(&mut client);
        assert_idle(&server);
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn clients_that_leave_leave_nothing_behind() {
    hostile::clients_that_leave_leave_nothing_behind(EMBED);
}

#[test]
fn a_signal_ends_it_with_clients_connected() {
    hostile::a_signal_ends_it_with_clients_connected(EMBED);
}

#[test]
fn without_descriptors_it_waits_and_goes_on_later() {
    hostile::without_descriptors_it_waits_and_goes_on_later(EMBED);
}
