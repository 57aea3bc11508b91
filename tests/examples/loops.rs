//! `loops`, and hostile clients, on every backend and trigger and with each distribution.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;
use support::example::on_every_backend;
use tripoll::net::loops::Distribution;

use crate::hostile::{self, Subject};

const LOOPS: Subject = Subject { name: "loops", arguments: &[], assert_served };
const ALL: [Subject; 5] = [
    LOOPS,
    Subject { arguments: &["--distribution", "round-robin"], ..LOOPS },
    Subject { arguments: &["--distribution", "peer-address"], ..LOOPS },
    Subject { arguments: &["--distribution", "reuse-port"], ..LOOPS },
    Subject { arguments: &["--distribution", "shared-listener"], ..LOOPS },
];

fn assert_served(client: &mut TcpStream) {
    ask(client);
}

/// Sends a line. Returns the number of the loop, and of the line in it.
fn ask(client: &mut TcpStream) -> (u64, u64) {
    client.write_all(b"hello\n").unwrap();
    let mut answer = String::new();
    BufReader::new(client).read_line(&mut answer).unwrap();
    let numbers = answer.trim_end().strip_prefix("loop ").unwrap().split_once(", line ").unwrap();
    (numbers.0.parse().unwrap(), numbers.1.parse().unwrap())
}

#[test]
fn each_client_is_served_by_one_loop_whose_lines_are_counted() {
    on_every_backend(|backend, trigger| {
        for subject in ALL {
            let mut server = subject.start(backend, trigger);
            let mut lines = [0; 2];
            let mut clients: Vec<_> = (0..6).map(|_| server.connect()).collect();
            let loops: Vec<u64> = clients.iter_mut().map(|client| ask(client).0).collect();
            loops.iter().for_each(|&index| lines[index as usize] += 1);
            for (client, index) in clients.iter_mut().zip(loops) {
                lines[index as usize] += 1;
                assert_eq!(ask(client), (index, lines[index as usize]));
            }
            server.stop(Signal::TERM).assert_graceful();
        }
    });
}

#[test]
fn a_client_over_the_limit_of_its_address_is_closed() {
    on_every_backend(|backend, trigger| {
        let limited = Subject { arguments: &["--per-peer", "2"], ..LOOPS };
        let mut server = limited.start(backend, trigger);
        let mut clients = [server.connect(), server.connect()];
        clients.iter_mut().for_each(assert_served);
        assert_eq!(server.connect().read(&mut [0]).unwrap(), 0);
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn an_unknown_distribution_is_refused_with_those_that_are_known() {
    let output = support::example::run("loops", &["--listen", ":0", "--distribution", "at-random"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let reason = String::from_utf8(output.stderr).unwrap();
    assert!(Distribution::ALL.iter().all(|way| reason.contains(way.name())), "{reason}");
}

#[test]
fn clients_that_leave_leave_nothing_behind() {
    hostile::clients_that_leave_leave_nothing_behind(LOOPS);
}

#[test]
fn a_signal_ends_it_with_clients_connected() {
    ALL.into_iter().for_each(hostile::a_signal_ends_it_with_clients_connected);
}

#[test]
fn without_descriptors_it_waits_and_goes_on_later() {
    hostile::without_descriptors_it_waits_and_goes_on_later(LOOPS);
}
