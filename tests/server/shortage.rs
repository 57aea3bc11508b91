//! A server without free descriptors for long, on every backend and trigger. One process for each of them,
//! because the limit of descriptors is the process's.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, SockRef, Socket, Type};
use support::alone::in_own_processes;
use support::server::*;
use support::*;
use tripoll::net::Address;
use tripoll::server::{Exchange, PythonSocket, TcpServer};
use tripoll::{Deadline, Reactor};

/// Turns until the server has answered or closed the connection. Returns what it has said.
fn turn_until_answered(reactor: &mut Reactor, mut client: &TcpStream) -> Vec<u8> {
    let give_up = Instant::now() + LONG;
    let mut said = vec![0; 10];
    loop {
        reactor.turn(Deadline::after(Duration::from_millis(1))).unwrap();
        match client.read(&mut said) {
            Ok(count) => break said.truncate(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                break said.clear();
            }
        }
        assert!(Instant::now() < give_up, "no answer");
    }
    said
}

#[test]
fn clients_are_turned_away_when_there_is_no_descriptor_for_a_second() {
    let pairs: Vec<String> = Pair::all().map(|pair| pair.to_string()).collect();
    let test = "shortage::clients_are_turned_away_when_there_is_no_descriptor_for_a_second";
    in_own_processes(test, &pairs, |case| {
        let pair = Pair::all().find(|pair| pair.to_string() == case).unwrap();
        let limit = Rlimit { current: Some(40), ..getrlimit(Resource::Nofile) };
        setrlimit(Resource::Nofile, limit).unwrap();
        let mut reactor = pair.reactor(());
        let greet = |exchange: &mut Exchange| Ok(exchange.request.sendall(b"hello")?);
        let server = TcpServer::from_fn(ANY, greet).unwrap();
        let Address::Inet(address) = server.server_address() else { unreachable!() };
        server.serve_in(MINUTE, &mut reactor.context()).unwrap();
        let mut ask = |client: &TcpStream| {
            SockRef::from(client).connect(&address.into()).unwrap();
            client.set_nonblocking(true).unwrap();
            turn_until_answered(&mut reactor, client)
        };

        let socket = |()| TcpStream::from(Socket::new(Domain::IPV4, Type::STREAM, None).unwrap());
        let clients = [(); 4].map(socket);
        assert_eq!(ask(&clients[0]), b"hello");
        let mut files = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            files.push(file);
        }
        let began = Instant::now();
        assert_eq!(ask(&clients[1]), b"");
        assert!(began.elapsed() >= Duration::from_secs(1), "after {:?}", began.elapsed());
        assert_eq!(ask(&clients[2]), b"");
        drop(files);
        assert_eq!(ask(&clients[3]), b"hello");
    });
}
