//! A process without free descriptors, on every backend and trigger. One process for each of them,
//! because the limit of descriptors is the process's.

use std::fs::File;
use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use support::alone::in_own_processes;
use support::log_lines::{log_lines, next_line};
use support::net::{Server, echo};
use support::sockets::exchange;
use support::{LONG, Pair};
use tripoll::net::loops::Distribution;
use tripoll::net::{Address, Listener, Loops};
use tripoll::{Backend, Trigger};

/// Runs `body` for each pair in a process of its own with forty descriptors at most.
fn with_few_descriptors(test: &str, body: impl FnOnce(Pair)) {
    let pairs: Vec<String> = Pair::all().map(|pair| pair.to_string()).collect();
    assert_eq!(pairs.len(), Backend::ALL.len() * Trigger::ALL.len());
    in_own_processes(&format!("shortage::{test}"), &pairs, |case| {
        let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        limit.current = Some(40);
        rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
        body(Pair::all().find(|pair| pair.to_string() == case).unwrap());
    });
}

/// Opens files until no descriptor is free.
fn fill() -> Vec<File> {
    let mut files = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                return files;
            }
        }
    }
}

/// Waits until the server has closed the connection.
fn await_rejection(mut client: TcpStream) {
    match client.read(&mut [0]) {
        Ok(0) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn accepting_pauses_until_a_descriptor_is_free_and_rejects_after_a_second() {
    let test = "accepting_pauses_until_a_descriptor_is_free_and_rejects_after_a_second";
    with_few_descriptors(test, |pair| {
        let lines = log_lines(log::LevelFilter::Info);
        let server = Server::new(pair, echo);
        let before = server.counters();

        // A shortage: one line, and the pending connection is served when a descriptor is free.
        let mut files = fill();
        files.pop();
        let waiting = server.client(); // takes the last descriptor
        let warning = next_line(&lines, log::Level::Warn);
        assert!(warning.contains(&server.address.to_string()), "{warning}");
        files.truncate(files.len() - 5);
        assert_eq!(exchange(&waiting, b"hello"), b"hello");
        next_line(&lines, log::Level::Info);
        drop(waiting);
        server.await_sources(1);

        // A long shortage: the pending connection is rejected after a second.
        files.extend(fill());
        files.pop();
        let began = Instant::now();
        let rejected = server.client();
        await_rejection(rejected);
        assert!(began.elapsed() >= Duration::from_secs(1), "after {:?}", began.elapsed());
        let closed = loop {
            let line = next_line(&lines, log::Level::Warn);
            if !line.contains("pauses") {
                break line; // the line of the second shortage may have been left out
            }
        };
        assert!(closed.contains("closed: 1"), "{closed}");
        // As long as it lasts, others are rejected at once.
        await_rejection(server.client());
        server.counters(); // when all that were pending are rejected
        files.truncate(files.len() - 5);
        let client = server.client();
        assert_eq!(exchange(&client, b"hello"), b"hello");
        next_line(&lines, log::Level::Info);
        drop(client);
        server.await_sources(1);

        // A new shortage: its duration counts from its own beginning, so the pending connection is
        // not rejected.
        files.extend(fill());
        files.pop();
        let waiting = server.client();
        next_line(&lines, log::Level::Warn);
        files.truncate(files.len() - 5);
        assert_eq!(exchange(&waiting, b"hello"), b"hello");
        let rest: Vec<_> = lines.try_iter().collect();
        assert!(rest.len() <= 1, "more than one line each: {rest:?}");

        // The loop did not spin: three shortages of at most a dozen attempts, and the clients' turns.
        let after = server.counters();
        assert!(after.turns - before.turns < 150, "{after:?}");
    });
}

#[test]
fn several_loops_reject_what_is_pending_after_a_second() {
    with_few_descriptors("several_loops_reject_what_is_pending_after_a_second", |pair| {
        for &distribution in &[Distribution::RoundRobin, Distribution::SharedListener] {
            let loops = Loops::builder()
                .threads(1)
                .distribution(distribution)
                .backend(pair.backend)
                .trigger(pair.trigger)
                .serve("127.0.0.1:0", |_| (), |_, _| Ok(()))
                .unwrap();
            let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            client.set_read_timeout(Some(LONG)).unwrap();
            let files = fill();
            let began = Instant::now();
            client.connect(&loops.local_address().as_inet().unwrap().into()).unwrap();
            await_rejection(client.into());
            assert!(began.elapsed() >= Duration::from_secs(1), "after {:?}", began.elapsed());
            drop(files);
            loops.shutdown(LONG);
            loops.join().unwrap();
        }
    });
}

#[test]
fn a_thread_that_takes_each_free_descriptor_makes_no_spin_and_every_client_gets_an_answer() {
    let test =
        "a_thread_that_takes_each_free_descriptor_makes_no_spin_and_every_client_gets_an_answer";
    with_few_descriptors(test, |pair| {
        let server = Server::new(pair, echo);
        // The clients' descriptors exist before the shortage.
        let socket = |_| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let clients: Vec<Socket> = (0..4).map(socket).collect();
        let before = server.counters();
        let is_over = AtomicBool::new(false);
        let clients: Vec<TcpStream> = thread::scope(|scope| {
            scope.spawn(|| {
                let mut files = fill();
                while !is_over.load(Ordering::Relaxed) {
                    files.extend(File::open("/dev/null"));
                }
                files // closed here
            });
            let began = Instant::now();
            while File::open("/dev/null").is_ok() {
                assert!(began.elapsed() < LONG);
            }
            let connect = |client: Socket| {
                client.set_read_timeout(Some(LONG)).unwrap();
                client.connect(&server.port().into()).unwrap();
                client.into()
            };
            let clients = clients.into_iter().map(connect).collect();
            let rejected_after = Duration::from_millis(1_600);
            thread::sleep(rejected_after); // longer than the first try to reject them
            is_over.store(true, Ordering::Relaxed);
            clients
        });
        let after = server.counters();
        assert!(after.turns - before.turns < 60, "{:?}", after);
        for client in clients {
            // Served, or rejected: the process decides which, but no client waits forever.
            let mut answer = [0; 5];
            let sent = io::Write::write_all(&mut (&client), b"hello");
            match sent.and_then(|()| (&client).read(&mut answer)) {
                Ok(0) => {}
                Ok(_) => assert_eq!(answer, *b"hello"),
                Err(error) => {
                    let gone = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
                    assert!(gone.contains(&error.kind()), "{error}");
                }
            }
        }
        let last = server.client();
        assert_eq!(exchange(&last, b"hello"), b"hello");
    });
}

#[test]
fn a_listener_that_began_without_a_reserve_opens_one_later() {
    with_few_descriptors("a_listener_that_began_without_a_reserve_opens_one_later", |pair| {
        let mut files = Vec::new();
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        let Address::Inet(address) = *listener.local_address() else { panic!() };
        let (send_handle, handle) = mpsc::channel();
        let (go_on, wait) = mpsc::channel();
        let server = thread::spawn(move || {
            let mut reactor = pair.reactor(());
            send_handle.send(reactor.handle()).unwrap();
            wait.recv().unwrap();
            // Closes each client.
            listener.serve(&mut reactor.context(), |_, _| Ok(())).unwrap();
            reactor.run().unwrap();
        });
        let handle = handle.recv().unwrap();
        files.extend(fill());
        go_on.send(()).unwrap();
        let await_turn = || {
            let (send, wait) = mpsc::channel();
            handle.post(move |_| send.send(()).unwrap()).unwrap();
            wait.recv_timeout(LONG).expect("the loop runs");
        };
        await_turn();

        files.truncate(files.len() - 5);
        await_rejection(TcpStream::connect(address).unwrap());
        await_turn(); // in which it finds that no other is pending, and opens the reserve
        // The reserve rejects this one, for which there is no other descriptor.
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        files.extend(fill());
        client.connect(&address.into()).unwrap();
        await_rejection(client.into());
        handle.stop();
        server.join().unwrap();
    });
}
