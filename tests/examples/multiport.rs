//! `multiport`, and hostile clients, on every backend and trigger.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use crate::hostile::{self, Subject};
use rustix::process::Signal;
use support::example::{Server, arguments, example, on_every_backend};
use support::{await_that, pattern};
use tripoll::sys::raise_descriptor_limit;
use tripoll::{Backend, Trigger};

const MULTIPORT: Subject =
    Subject { name: "multiport", arguments: &[], assert_served: assert_greeted };

/// A friendly client gets `hello`, and then the end.
fn assert_greeted(client: &mut TcpStream) {
    let mut hello = Vec::new();
    client.read_to_end(&mut hello).unwrap();
    assert_eq!(hello, b"hello");
}

#[test]
fn hello_on_three_free_ports() {
    on_every_backend(|backend, trigger| {
        let mut server = MULTIPORT.start(backend, trigger);
        let addresses = [server.address.clone(), server.next_address(), server.next_address()];
        for _ in 0..3 {
            for address in &addresses {
                assert_greeted(&mut TcpStream::connect(address).unwrap());
            }
        }
        server.stop(Signal::TERM).assert_graceful();
        for address in &addresses {
            TcpStream::connect(address).unwrap_err();
        }
    });
}

#[test]
fn the_ports_follow_each_other() {
    // Three free ports in a row, below those that the kernel gives to clients.
    let start = 10_000 + std::process::id() as u16 % 10_000;
    for first in (start..start + 3_000).step_by(3) {
        let last = first + 2;
        if (first..=last).any(|port| TcpListener::bind(("127.0.0.1", port)).is_err()) {
            continue;
        }
        let listen = format!("127.0.0.1:{first}");
        let mut server = Server::start_with(example("multiport").args(["--listen", &listen]));
        for port in first..=last {
            let address = format!("127.0.0.1:{port}");
            assert_greeted(&mut TcpStream::connect(&address).unwrap());
            if port > first {
                assert_eq!(server.next_address(), address);
            }
        }
        return;
    }
    panic!("no three ports in a row are free");
}

#[test]
fn ports_that_do_not_exist_are_refused_in_one_line() {
    for listen in ["127.0.0.1:65534", "127.0.0.1:65535", "/tmp/a-path"] {
        let output = support::example::run("multiport", &["--listen", listen]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert_eq!(output.stderr.iter().filter(|byte| **byte == b'\n').count(), 1, "{output:?}");
    }
}

#[test]
fn hello_arrives_though_the_client_has_sent_data_that_is_not_read() {
    on_every_backend(|backend, trigger| {
        let server = Server::start_with(example("multiport").args(arguments(
            "127.0.0.1:0",
            backend,
            trigger,
        )));
        for _ in 0..20 {
            server.signal(Signal::STOP);
            let mut client = server.connect();
            client.write_all(pattern(10_000)).unwrap();
            server.signal(Signal::CONT);
            client.peek(&mut [0]).unwrap(); // waits for the answer
            client.write_all(pattern(10_000)).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            assert_greeted(&mut client);
        }
    });
}

#[test]
fn clients_that_leave_leave_nothing_behind() {
    hostile::clients_that_leave_leave_nothing_behind(MULTIPORT);
}

#[test]
fn a_signal_ends_it_with_clients_connected() {
    hostile::a_signal_ends_it_with_clients_connected(MULTIPORT);
}

#[test]
fn fifteen_hundred_clients_at_once_are_served() {
    // The server closes each connection at once, so they are never all open.
    const CLIENTS: usize = 1_500;
    raise_descriptor_limit(20_000).unwrap();
    for backend in [Backend::Select, Backend::Epoll] {
        let server = MULTIPORT.start(backend, Trigger::Level);
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
        clients.iter_mut().rev().for_each(assert_greeted);
        drop(clients);
        await_that("the server closes", || server.fds() == server.fds_at_start);
    }
}

#[test]
fn without_descriptors_it_waits_and_goes_on_later() {
    hostile::without_descriptors_it_waits_and_goes_on_later(MULTIPORT);
}
