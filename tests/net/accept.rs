//! The accept loop: bursts, limits, and connections lost before they are accepted. On every backend and
//! trigger.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::alone::in_own_process;
use support::log_lines::{log_lines, next_line};
use support::net::{Call, Scripted, Server, echo};
use support::sockets::{exchange, read_all, read_exactly};
use support::{LONG, expect_panic, on_every_pair, on_every_pair_and_noise};
use tripoll::net::{Address, Connection, Listener, Stream};
use tripoll::{Context, Reactor};

#[test]
fn a_connected_client_is_served_during_a_burst_of_new_ones() {
    on_every_pair_and_noise(|pair| {
        let one_a_turn = Listener::builder().accepts_per_turn(1);
        let server = Server::with(pair, one_a_turn, |connection| connection, echo);
        let old = server.client();
        assert_eq!(exchange(&old, b"before"), b"before");
        // Before the loop continues, fifty connections and the old client's message are pending.
        let (go_on, wait) = mpsc::channel::<()>();
        server.handle.post(move |_| wait.recv().unwrap()).unwrap();
        let newcomers: Vec<_> = (0..50).map(|_| server.client()).collect();
        (&old).write_all(b"during").unwrap();
        assert_eq!(server.next(), Call::Opened);
        assert_eq!(server.next(), Call::Received(b"before".into()));
        go_on.send(()).unwrap();
        assert_eq!(read_exactly(&old, 6), b"during");
        // One is accepted in each turn, so the message is received long before the last of them.
        let mut opened_before = 0;
        loop {
            match server.next() {
                Call::Opened => opened_before += 1,
                Call::Received(data) if data == b"during" => break,
                call => panic!("{call:?}"),
            }
        }
        assert!(opened_before < 10, "{opened_before} were accepted first");
        for newcomer in &newcomers {
            assert_eq!(exchange(newcomer, b"hello"), b"hello");
        }
    });
}

#[test]
fn a_connection_reset_before_it_is_accepted_harms_no_other() {
    on_every_pair_and_noise(|pair| {
        let server = Server::new(pair, echo);
        let (go_on, wait) = mpsc::channel::<()>();
        server.handle.post(move |_| wait.recv().unwrap()).unwrap();
        for _ in 0..5 {
            let client = server.client();
            socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        }
        let mut waiting = server.client();
        waiting.write_all(b"hello").unwrap();
        go_on.send(()).unwrap();
        assert_eq!(read_exactly(&waiting, 5), b"hello");
        server.await_sources(2);
    });
}

/// Counts the open connections, and their maximum.
#[derive(Clone, Default)]
struct Open {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

/// Counts as one open connection until it is dropped.
struct OpenOne(Open);

impl Open {
    fn begin(&self) -> OpenOne {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        OpenOne(self.clone())
    }
}

impl Drop for OpenOne {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn connections_never_exceed_the_limit_and_all_are_served() {
    on_every_pair_and_noise(|pair| {
        let open = Open::default();
        let script = {
            let open = open.clone();
            // Each connection has a clone of the script, and counts from `opened` on.
            struct Counting(Open, Option<OpenOne>);
            impl Clone for Counting {
                fn clone(&self) -> Self {
                    Counting(self.0.clone(), None)
                }
            }
            let mut counting = Counting(open, None);
            move |call: &Call, wire: &mut tripoll::net::Wire<'_>, cx: &mut Context<'_>| {
                let counting = &mut counting;
                if *call == Call::Opened {
                    counting.1 = Some(counting.0.begin());
                }
                echo(call, wire, cx)
            }
        };
        let limit = Listener::builder().max_connections(3);
        let server = Server::with(pair, limit, |connection| connection, script);
        let clients: Vec<_> = (0..20).map(|_| server.client()).collect();
        for client in &clients {
            assert_eq!(exchange(client, b"hello"), b"hello"); // in the order of the queue
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(read_all(client), b"");
        }
        assert_eq!(open.most.load(Ordering::SeqCst), 3);
        server.await_sources(1);
        assert_eq!(open.now.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_connection_dropped_on_another_thread_lets_the_next_one_in() {
    on_every_pair_and_noise(|pair| {
        let listener = Listener::builder().max_connections(2).bind(loopback()).unwrap();
        let Address::Inet(address) = *listener.local_address() else { panic!() };
        let (sender, accepted) = mpsc::channel::<Stream>();
        let (send_handle, handle) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut reactor = pair.reactor(());
            send_handle.send(reactor.handle()).unwrap();
            let give_away = move |stream, _: &mut Context<'_>| {
                sender.send(stream).unwrap();
                Ok(())
            };
            listener.serve(&mut reactor.context(), give_away).unwrap();
            reactor.run().unwrap();
            reactor.context().counters()
        });
        let handle = handle.recv().unwrap();

        let _clients: Vec<_> = (0..200).map(|_| TcpStream::connect(address).unwrap()).collect();
        let mut inside = Vec::new();
        for _ in 0..198 {
            inside.push(accepted.recv_timeout(LONG).unwrap());
            if inside.len() == 2 {
                // No third connection is accepted before one of the two is dropped.
                assert!(accepted.try_recv().is_err());
                drop(inside.swap_remove(0));
            }
        }
        let last = accepted.recv_timeout(LONG).unwrap();
        handle.stop();
        let counters = thread.join().unwrap();
        assert_eq!((counters.panics, counters.errors, counters.idle), (0, 0, 0), "{counters:?}");
        // The reactor is gone: the permits that are released now wake no listener.
        drop((inside, last));
    });
}

fn loopback() -> Address {
    "127.0.0.1:0".parse().unwrap()
}

#[test]
fn an_error_of_the_accepted_callback_ends_that_connection_alone() {
    on_every_pair_and_noise(|pair| {
        let listener = Listener::builder().max_connections(1).bind(loopback()).unwrap();
        let Address::Inet(address) = *listener.local_address() else { panic!() };
        let mut reactor = pair.reactor(());
        let handle = reactor.handle();
        let (sender, _events) = mpsc::channel();
        let mut count = 0;
        let every_other = move |stream, cx: &mut Context<'_>| {
            count += 1;
            if count % 2 == 1 {
                return Err(io::Error::other("not this one"));
            }
            Connection::new(Scripted::new(echo, sender.clone())).serve(stream, cx)?;
            Ok(())
        };
        listener.serve(&mut reactor.context(), every_other).unwrap();
        let client = std::thread::spawn(move || {
            let connect = || TcpStream::connect(address).unwrap();
            assert_eq!(read_all(connect()), b"");
            assert_eq!(exchange(connect(), b"hello"), b"hello");
            handle.stop();
        });
        reactor.run().unwrap();
        client.join().unwrap();
    });
}

#[test]
fn a_panic_of_the_accepted_callback_ends_that_connection_alone() {
    expect_panic("not this one");
    on_every_pair_and_noise(|pair| {
        let listener = Listener::builder().max_connections(1).bind(loopback()).unwrap();
        let Address::Inet(address) = *listener.local_address() else { panic!() };
        let mut reactor = pair.reactor(());
        let handle = reactor.handle();
        let (sender, _events) = mpsc::channel();
        let mut count = 0;
        let every_other = move |stream, cx: &mut Context<'_>| {
            count += 1;
            assert!(count % 2 == 0, "not this one");
            Connection::new(Scripted::new(echo, sender.clone())).serve(stream, cx)?;
            Ok(())
        };
        listener.serve(&mut reactor.context(), every_other).unwrap();
        let client = std::thread::spawn(move || {
            let connect = || TcpStream::connect(address).unwrap();
            for _ in 0..3 {
                assert_eq!(read_all(connect()), b"");
                assert_eq!(exchange(connect(), b"hello"), b"hello");
            }
            handle.stop();
        });
        reactor.run().unwrap();
        client.join().unwrap();
        let counters = reactor.context().counters();
        assert_eq!((counters.panics, counters.errors), (3, 0), "{counters:?}");
    });
}

/// In a process of its own, because the logger is the process's.
#[test]
fn an_error_of_the_accepted_callback_is_a_warning_and_a_thousand_are_one_line_a_second() {
    let name =
        "an_error_of_the_accepted_callback_is_a_warning_and_a_thousand_are_one_line_a_second";
    in_own_process(&format!("accept::{name}"), || {
        let lines = log_lines(log::LevelFilter::Info);
        let mut reactor = Reactor::new().unwrap();
        let listener = Listener::bind(loopback()).unwrap();
        let Address::Inet(address) = *listener.local_address() else { panic!() };
        let (handle, mut left) = (reactor.handle(), 1_000);
        let refuse = move |_: Stream, cx: &mut Context<'_>| {
            left -= 1;
            if left == 0 {
                cx.stop();
            }
            Err(io::Error::other("not this one"))
        };
        listener.serve(&mut reactor.context(), refuse).unwrap();
        let began = Instant::now();
        let client = std::thread::spawn(move || {
            let first = TcpStream::connect(address).unwrap();
            let name = first.local_addr().unwrap().to_string();
            (1..1_000)
                .for_each(|_| assert_eq!(read_all(TcpStream::connect(address).unwrap()), b""));
            handle.stop();
            name
        });
        reactor.run().unwrap();
        let name = client.join().unwrap();
        let most = began.elapsed().as_secs() + 1;
        let line = next_line(&lines, log::Level::Warn);
        assert!(line.contains("not this one") && line.contains(&name), "{line}");
        let others = lines.try_iter().count() as u64;
        assert!(others < most, "{others} lines more in {most} seconds");
    });
}

#[test]
fn a_shutdown_answers_the_clients_that_are_pending_and_resets_none() {
    // Without noise: a selector that holds events back makes them later than the shutdown.
    on_every_pair(|pair| {
        let server = Server::new(pair, echo);
        let old = server.client();
        assert_eq!(exchange(&old, b"before"), b"before");
        let (go_on, wait) = mpsc::channel::<()>();
        let shut_down = move |cx: &mut Context<'_>| {
            wait.recv().unwrap();
            cx.shutdown(LONG);
        };
        server.handle.post(shut_down).unwrap();
        let mut pending: Vec<_> = (0..200).map(|_| server.client()).collect();
        let silent = pending.split_off(190);
        pending.iter().for_each(|mut client| client.write_all(b"hello").unwrap());
        go_on.send(()).unwrap();
        for mut client in pending {
            assert_eq!(read_exactly(&client, 5), b"hello");
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
        }
        for mut client in silent.iter().chain([&old]) {
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
        }
        drop((silent, old));
        server.join();
    });
}

#[test]
fn a_shutdown_keeps_the_limit_of_connections() {
    // Without noise: a selector that holds events back makes them later than the shutdown.
    on_every_pair(|pair| {
        let limit = Listener::builder().max_connections(2);
        let server = Server::with(pair, limit, |connection| connection, echo);
        let (go_on, wait) = mpsc::channel::<()>();
        let shut_down = move |cx: &mut Context<'_>| {
            wait.recv().unwrap();
            cx.shutdown(LONG);
        };
        server.handle.post(shut_down).unwrap();
        let mut clients: Vec<_> = (0..4).map(|_| server.client()).collect();
        clients.iter().for_each(|mut client| client.write_all(b"hello").unwrap());
        go_on.send(()).unwrap();
        for mut client in clients.drain(..2) {
            assert_eq!(read_exactly(&client, 5), b"hello");
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
        }
        for mut client in clients {
            let refused = client.read(&mut [0]).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionReset);
        }
        server.join();
    });
}

/// In a process of its own, because the root directory is the process's.
#[test]
fn a_listener_needs_no_file_system() {
    in_own_process("accept::a_listener_needs_no_file_system", || {
        let empty = std::env::temp_dir().join(format!("tripoll-empty-{}", std::process::id()));
        std::fs::create_dir(&empty).unwrap();
        let chrooted = std::os::unix::fs::chroot(&empty);
        let _ = std::fs::remove_dir(&empty); // an empty root stays usable
        if let Err(error) = chrooted {
            println!("skipped: chroot: {error}");
            return;
        }
        std::env::set_current_dir("/").unwrap();
        assert!(std::fs::File::open("/dev/null").is_err());
        on_every_pair_and_noise(|pair| {
            let server = Server::new(pair, echo);
            assert_eq!(exchange(server.client(), b"hello"), b"hello");
        });
    });
}
