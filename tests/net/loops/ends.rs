//! How loops end: drained, shut down, failed. What each of them had goes to the others, or is counted.

use std::io;
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use support::{
    LONG, MINUTE, Pair, await_that, expect_panic, on_every_pair, on_every_pair_and_noise,
};
use tripoll::net::Loops;
use tripoll::net::loops::{Distribution, LoopError, LoopState, LoopsBuilder, WhenOneFails};

use super::{Client, FAIL, Service, State, builder, one_client_each, serve_which};

fn await_state(service: &Service, index: usize, state: LoopState) {
    let what = format!("{state:?} of loop {index}");
    await_that(&what, || service.counters().loops[index].state == state);
}

#[test]
fn a_drained_loop_tells_its_clients_and_the_others_take_over() {
    for &distribution in Distribution::ALL {
        on_every_pair_and_noise(|pair| {
            let service = Service::new(pair, 3, builder(distribution));
            let clients = one_client_each(&service);
            assert!(service.loops.drain(1, MINUTE));
            clients[1].assert_ended();
            for (index, client) in clients.into_iter().enumerate() {
                if index != 1 {
                    assert_eq!(client.loop_index(), index);
                }
            }
            await_state(&service, 1, LoopState::Ended);
            assert!((1..=30).all(|peer| service.client_from(peer).loop_index() != 1));
            assert!(!service.loops.drain(1, MINUTE) && !service.loops.let_finish(1));
            assert!(!service.loops.drain(3, MINUTE));
            assert_eq!(service.counters().closed_unserved, 0);
            service.end();
        });
    }
}

#[test]
fn a_loop_that_may_finish_serves_its_clients_as_long_as_they_stay() {
    for &distribution in Distribution::ALL {
        on_every_pair(|pair| {
            let service = Service::new(pair, 2, builder(distribution));
            let clients = one_client_each(&service);
            assert!(service.loops.let_finish(0));
            service.await_jobs(0); // what arrives while a port's listener is closed may be reset
            for peer in 1..=20 {
                assert_eq!(clients[0].loop_index(), 0);
                assert_eq!(service.client_from(peer).loop_index(), 1);
            }
            assert_eq!(service.counters().loops[0].state, LoopState::Draining);
            drop(clients);
            await_state(&service, 0, LoopState::Ended);
            service.end();

            // One without clients ends at once.
            let service = Service::new(pair, 2, builder(distribution));
            assert!(service.loops.let_finish(0));
            await_state(&service, 0, LoopState::Ended);
            service.end();
        });
    }
}

#[test]
fn what_was_handed_to_a_loop_that_hangs_goes_to_the_others_when_it_is_drained() {
    on_every_pair(|pair| {
        let service = Service::new(pair, 2, builder(Distribution::RoundRobin));
        let clients = [service.client(), service.client()];
        assert_eq!(clients[1].loop_index(), 1);
        service.block(&clients[0]);
        let [waits, served] = [service.client(), service.client()];
        waits.send(super::ASK);
        assert_eq!(served.loop_index(), 1);
        assert_eq!(service.counters().loops[0].alive, 2);
        assert!(service.loops.drain(0, MINUTE));
        assert_eq!(waits.answer(), 1);
        let counters = service.counters();
        assert_eq!((counters.loops[0].alive, counters.loops[0].accepted), (1, 1));
        service.unblock(0);
        assert_eq!(clients[0].answer(), 0);
        clients[0].assert_ended();
        service.end();
    });
}

/// The loop is stopped while its handler blocks, and so it does not take what was handed to it.
#[test]
fn what_was_handed_to_a_loop_that_ends_goes_to_the_others_or_is_counted() {
    for loops in [2, 1] {
        on_every_pair(|pair| {
            let service = Service::new(pair, loops, builder(Distribution::RoundRobin));
            let clients: Vec<Client> = (0..loops).map(|_| service.client()).collect();
            assert_eq!(clients[loops - 1].loop_index(), loops - 1);
            service.block(&clients[0]);
            let waits = service.client();
            await_that("the hand-over", || service.counters().loops[0].alive == 2);
            waits.send(super::ASK);
            service.loops.reactor(0).unwrap().stop();
            service.unblock(0);
            await_state(&service, 0, LoopState::Ended);
            if loops == 2 {
                assert_eq!(waits.answer(), 1);
            } else {
                waits.assert_ended();
            }
            assert_eq!(service.counters().closed_unserved, if loops == 2 { 0 } else { 1 });
            assert_eq!(service.counters().loops[0].alive, 0);
            service.end();
        });
    }
}

#[test]
fn the_last_loop_that_is_drained_closes_the_listener() {
    for &distribution in Distribution::ALL {
        on_every_pair(|pair| {
            let service = Service::new(pair, 2, builder(distribution));
            let port = service.port();
            assert!(service.loops.drain(0, MINUTE) && service.loops.drain(1, MINUTE));
            service.loops.join().unwrap();
            assert_eq!(
                TcpStream::connect(port).unwrap_err().kind(),
                io::ErrorKind::ConnectionRefused
            );
        });
    }
}

#[test]
fn a_shutdown_serves_what_is_pending_and_ends_all() {
    for &distribution in Distribution::ALL {
        on_every_pair(|pair| {
            let service = Service::new(pair, 2, builder(distribution));
            let clients = one_client_each(&service);
            let port = service.port();
            let pending: Vec<Client> = (0..8).map(|_| service.client()).collect();
            pending.iter().for_each(|client| client.send(super::ASK));
            service.loops.shutdown(MINUTE);
            for client in &pending {
                client.answer();
                client.assert_ended();
            }
            clients.iter().for_each(Client::assert_ended);
            drop((clients, pending));
            service.loops.join().unwrap();
            let counters = service.counters();
            assert_eq!((counters.alive(), counters.closed_unserved), (0, 0));
            assert!(counters.loops.iter().all(|one| one.state == LoopState::Ended));
            assert!(TcpStream::connect(port).is_err());
        });
    }
}

#[test]
fn a_grace_that_is_over_ends_connections_that_do_not() {
    for &distribution in Distribution::ALL {
        on_every_pair(|pair| {
            struct Stays;
            impl tripoll::Protocol for Stays {
                fn received(
                    &mut self,
                    _: &mut tripoll::Wire<'_>,
                    data: &[u8],
                    _: &mut tripoll::Context<'_>,
                ) -> io::Result<usize> {
                    Ok(data.len())
                }

                fn shutting_down(
                    &mut self,
                    _: &mut tripoll::Wire<'_>,
                    _: &mut tripoll::Context<'_>,
                ) -> io::Result<()> {
                    Ok(())
                }
            }
            let loops = builder(distribution)
                .threads(2)
                .backend(pair.backend)
                .trigger(pair.trigger)
                .serve(
                    "127.0.0.1:0",
                    |_| (),
                    |stream, cx| {
                        tripoll::Connection::new(Stays).serve(stream, cx)?;
                        Ok(())
                    },
                )
                .unwrap();
            let tripoll::net::Address::Inet(port) = *loops.local_address() else { unreachable!() };
            let _client = TcpStream::connect(port).unwrap();
            await_that("a connection", || loops.counters().alive() == 1);
            loops.shutdown(Duration::from_millis(1));
            loops.join().unwrap();
            assert_eq!(loops.counters().alive(), 0);
        });
    }
}

/// Loops that send their failures to the test.
fn reporting(builder: LoopsBuilder) -> (LoopsBuilder, mpsc::Receiver<LoopError>) {
    let (send, failures) = mpsc::channel();
    let send = std::sync::Mutex::new(send);
    let builder =
        builder.on_failure(move |error| send.lock().unwrap().send(error.clone()).unwrap());
    (builder, failures)
}

#[test]
fn a_loop_that_fails_is_reported_and_the_others_go_on() {
    for &distribution in Distribution::ALL {
        on_every_pair(|pair| {
            let (builder, failures) = reporting(builder(distribution).name("web"));
            let service = Service::new(pair, 2, builder);
            let clients = one_client_each(&service);
            clients[1].send(FAIL);
            let error = failures.recv_timeout(LONG).unwrap();
            assert_eq!((error.index(), error.panic()), (Some(1), None));
            let text = error.to_string();
            assert!(text.contains("web 1") && text.contains("as the client wished"), "{text}");
            await_state(&service, 1, LoopState::Ended);
            assert_eq!(clients[0].loop_index(), 0);
            assert!((1..=20).all(|peer| service.client_from(peer).loop_index() == 0));
            service.loops.shutdown(MINUTE);
            drop(clients);
            let first = service.loops.join().unwrap_err();
            assert_eq!(first.to_string(), text);
            assert_eq!(io::Error::from(first).kind(), io::ErrorKind::Other);
        });
    }
}

#[test]
fn all_loops_end_with_one_that_fails_if_that_was_chosen() {
    for &distribution in Distribution::ALL {
        on_every_pair(|pair| {
            let builder = builder(distribution).when_one_fails(WhenOneFails::ShutDown(MINUTE));
            let service = Service::new(pair, 3, builder);
            let clients = one_client_each(&service);
            clients[2].send(FAIL);
            clients[0].assert_ended();
            clients[1].assert_ended();
            drop(clients);
            assert_eq!(service.loops.join().unwrap_err().index(), Some(2));
            assert_eq!(service.counters().alive(), 0);
        });
    }
}

/// Loops with a hook that panics when the loop has a connection from 127.0.0.99.
fn that_may_panic(pair: Pair, builder: LoopsBuilder) -> Loops<bool> {
    let reactor = move |_, builder: tripoll::reactor::ReactorBuilder| {
        let mut reactor = pair.build(builder, false);
        reactor.before_wait(|cx| assert!(!*cx.state, "in a hook"));
        Ok(reactor)
    };
    builder
        .threads(2)
        .backend(pair.backend)
        .trigger(pair.trigger)
        .serve_in("127.0.0.1:0", reactor, |mut stream, cx| {
            let is_bad = stream.peer().to_string().starts_with("127.0.0.99:");
            *cx.state = is_bad;
            io::Write::write_all(&mut stream, b"hello")
        })
        .unwrap()
}

#[test]
fn a_loop_that_panics_is_reported_and_the_others_go_on() {
    expect_panic("in a hook");
    on_every_pair(|pair| {
        let (builder, failures) = reporting(builder(Distribution::RoundRobin));
        let loops = that_may_panic(pair, builder);
        let tripoll::net::Address::Inet(port) = *loops.local_address() else { unreachable!() };
        let service = |from: u8| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
            let socket = socket.unwrap();
            socket.bind(&std::net::SocketAddr::from(([127, 0, 0, from], 0)).into()).unwrap();
            socket.connect(&port.into()).unwrap();
            io::read_to_string(TcpStream::from(socket)).unwrap()
        };
        assert_eq!(service(99), "hello");
        let error = failures.recv_timeout(LONG).unwrap();
        assert_eq!(error.index(), Some(0));
        assert!(error.panic().is_some() && error.error().is_none());
        for _ in 0..4 {
            assert_eq!(service(1), "hello");
        }
        assert_eq!(loops.counters().loops[1].accepted, 4);
        // The last one ends as well: no thread is left.
        service(99);
        assert_eq!(loops.join().unwrap_err().index(), Some(0));
    });
}

#[test]
fn loops_that_are_dropped_stop() {
    for &distribution in Distribution::ALL {
        on_every_pair(|pair| {
            let service = Service::new(pair, 2, builder(distribution));
            let clients = one_client_each(&service);
            drop(service);
            clients.iter().for_each(Client::assert_ended);
        });
    }
}

#[test]
fn a_loop_cannot_wait_for_itself() {
    expect_panic("`Loops::join` was called on a thread of the loops");
    on_every_pair(|pair| {
        let service = Service::new(pair, 1, builder(Distribution::RoundRobin));
        let client = service.client();
        client.loop_index();
        let loops = std::sync::Arc::new(service.loops);
        let (send, joined) = mpsc::channel::<()>();
        let its_loops = std::sync::Arc::downgrade(&loops);
        let ask = move |_: &mut tripoll::Context<'_, State>| {
            let _send = send; // dropped by the panic
            let _ = its_loops.upgrade().unwrap().join();
        };
        loops.reactor(0).unwrap().post(ask).unwrap();
        assert_eq!(joined.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected));
        assert_eq!(client.loop_index(), 0);
        loops.stop();
        loops.join().unwrap();
    });
}

#[test]
fn a_panic_while_a_connection_is_begun_loses_that_connection_only() {
    expect_panic("at the door");
    for &distribution in Distribution::ALL {
        on_every_pair(|pair| {
            let loops = builder(distribution)
                .threads(1)
                .backend(pair.backend)
                .trigger(pair.trigger)
                .serve_in(
                    "127.0.0.1:0",
                    |index, builder| {
                        let (_, unblock) = mpsc::channel();
                        let (blocks, _) = mpsc::channel();
                        builder.build_with(State { index, blocks, unblock })
                    },
                    |stream, cx| {
                        let is_bad = stream.peer().to_string().starts_with("127.0.0.99:");
                        assert!(!is_bad, "at the door");
                        serve_which(stream, cx)
                    },
                )
                .unwrap();
            let service = Service { loops, blocks: mpsc::channel().1, unblock: Vec::new() };
            let first = service.client();
            let bad = service.client_from(99);
            let last = service.client();
            bad.assert_ended();
            assert_eq!((first.loop_index(), last.loop_index()), (0, 0));
            let panics = |one: &Option<tripoll::reactor::Counters>| one.unwrap().panics;
            assert_eq!(service.loops.reactor_counters(LONG).iter().map(panics).sum::<u64>(), 1);
            service.end();
        });
    }
}

/// Shuts the listening socket of this address down, which nothing but its owner has.
fn break_listener(address: std::net::SocketAddr) {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let me = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    for fd in std::fs::read_dir("/proc/self/fd").unwrap() {
        let number = fd.unwrap().file_name().to_str().unwrap().parse().unwrap();
        let Ok(copy) = pidfd_getfd(&me, number, PidfdGetfdFlags::empty()) else { continue };
        let socket = socket2::SockRef::from(&copy);
        let is_it = || socket.local_addr().ok()?.as_socket().map(|found| found == address);
        if socket.is_listener().is_ok_and(|yes| yes) && is_it() == Some(true) {
            return socket.shutdown(std::net::Shutdown::Both).unwrap();
        }
    }
    panic!("no socket listens at {address}");
}

#[test]
fn when_the_thread_that_accepts_has_failed_the_loops_finish_and_end() {
    for distribution in
        [Distribution::LeastConnections, Distribution::RoundRobin, Distribution::PeerAddress]
    {
        on_every_pair(|pair| {
            let (builder, failures) = reporting(builder(distribution));
            let service = Service::new(pair, 2, builder);
            let clients = one_client_each(&service);
            break_listener(service.port());
            let error = failures.recv_timeout(LONG).unwrap();
            assert_eq!((error.index(), error.panic()), (None, None));
            assert!(error.to_string().contains("loop acceptor"), "{error}");
            for (index, client) in clients.iter().enumerate() {
                assert_eq!(client.loop_index(), index);
            }
            assert!(TcpStream::connect(service.port()).is_err());
            drop(clients);
            assert_eq!(service.loops.join().unwrap_err().index(), None);
            assert_eq!(service.counters().alive(), 0);
        });
    }
}

#[test]
fn a_listener_that_breaks_ends_its_own_loop_and_the_others_take_over() {
    on_every_pair(|pair| {
        let (builder, failures) = reporting(builder(Distribution::ReusePort));
        let service = Service::new(pair, 2, builder);
        break_listener(service.port());
        let failed = failures.recv_timeout(LONG).unwrap().index().unwrap();
        await_state(&service, failed, LoopState::Ended);
        assert!((1..=20).all(|peer| service.client_from(peer).loop_index() != failed));
        service.loops.shutdown(MINUTE);
        assert_eq!(service.loops.join().unwrap_err().index(), Some(failed));
    });
}
