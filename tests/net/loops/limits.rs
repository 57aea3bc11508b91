//! Limits of connections, overall and for each peer.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use support::{await_that, on_every_pair, on_every_pair_and_noise};
use tripoll::net::loops::Distribution;
use tripoll::net::{Address, Listener, Loops};
use tripoll::{Connection, Context, Protocol, Wire};

use super::{Client, Service, builder};

#[test]
fn connections_over_the_limit_of_all_loops_wait_in_the_backlog() {
    for &distribution in Distribution::ALL {
        on_every_pair_and_noise(|pair| {
            let service = Service::new(pair, 2, builder(distribution).max_connections(3));
            let mut clients: Vec<Client> = (0..6).map(|_| service.client()).collect();
            clients.iter().for_each(|client| client.send(super::ASK));
            service.await_alive(3);
            await_that("a pause", || service.counters().paused_at_limit() > 0);
            // With several backlogs the order is not that of the clients.
            let mut served = 0;
            while !clients.is_empty() {
                assert!(service.counters().alive() <= 3);
                let is_answered = |client: &Client| client.0.peek(&mut [0]).is_ok();
                clients.iter().for_each(|client| client.0.set_nonblocking(true).unwrap());
                await_that("an answer", || clients.iter().any(is_answered));
                let before = clients.len();
                clients.retain(|client| !is_answered(client));
                served += before - clients.len();
            }
            assert_eq!((served, service.counters().accepted()), (6, 6));
            assert_eq!(service.counters().refused_per_peer(), 0);
            service.end();
        });
    }
}

#[test]
fn the_limit_of_the_listener_holds_for_all_loops_together() {
    on_every_pair(|pair| {
        let listener = Listener::builder().max_connections(1);
        let service = Service::new(pair, 2, builder(Distribution::ReusePort).listener(listener));
        let clients: Vec<Client> = (0..8).map(|_| service.client()).collect(); // on both loops
        service.await_alive(1); // the slot is taken first, and the connection counted later
        await_that("a pause", || service.counters().paused_at_limit() > 0);
        assert_eq!(service.counters().alive(), 1);
        drop(clients);
        service.end();
    });
}

#[test]
fn a_peer_over_its_limit_is_closed_at_once_and_others_are_served() {
    for &distribution in Distribution::ALL {
        on_every_pair_and_noise(|pair| {
            let service = Service::new(pair, 2, builder(distribution).max_connections_per_peer(2));
            let clients = [service.client(), service.client()];
            assert!(clients.iter().all(|client| client.loop_index() < 2));
            let over = service.client();
            over.assert_ended();
            service.client_from(2).loop_index();
            assert_eq!(service.counters().refused_per_peer(), 1);

            let [first, second] = clients;
            drop(first);
            await_that("the end of the others", || service.counters().alive() == 1);
            service.client().loop_index();
            second.loop_index();
            assert_eq!(service.counters().refused_per_peer(), 1);
            service.end();
        });
    }
}

static OPEN: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// Counts what is open, and the most that ever was.
struct Counted;

impl Protocol for Counted {
    fn opened(&mut self, _: &mut Wire<'_>, _: &mut Context<'_>) -> std::io::Result<()> {
        MOST.fetch_max(OPEN.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Ok(())
    }

    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        _: &mut Context<'_>,
    ) -> std::io::Result<usize> {
        wire.write(data);
        Ok(data.len())
    }

    fn closed(&mut self, _: &tripoll::net::Closed, _: &mut Context<'_>) {
        OPEN.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Four threads connect and leave, while four loops accept. The other limit is reached in a race, too.
#[test]
fn no_race_of_loops_exceeds_a_limit() {
    for &distribution in Distribution::ALL {
        on_every_pair(|pair| {
            MOST.store(0, Ordering::SeqCst);
            let loops = Loops::builder()
                .threads(4)
                .backend(pair.backend)
                .trigger(pair.trigger)
                .distribution(distribution)
                .max_connections(5)
                .serve(
                    "127.0.0.1:0",
                    |_| (),
                    |stream, cx| {
                        Connection::new(Counted).serve(stream, cx)?;
                        Ok(())
                    },
                )
                .unwrap();
            let Address::Inet(address) = *loops.local_address() else { unreachable!() };
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..10 {
                            let clients = [(); 4].map(|()| {
                                let client = std::net::TcpStream::connect(address).unwrap();
                                (&client).write_all(b"x").unwrap();
                                client
                            });
                            drop(clients);
                        }
                    });
                }
            });
            await_that("all clients", || loops.counters().accepted() == 160);
            await_that("the end of all", || loops.counters().alive() == 0);
            assert!((1..=5).contains(&MOST.load(Ordering::SeqCst)), "{MOST:?}");
            assert_eq!(OPEN.load(Ordering::SeqCst), 0);
            loops.stop();
            loops.join().unwrap();
        });
    }
}
