//! What becomes of connections that one loop cannot serve now: in its backlog, in its inbox, and above what
//! all loops may hold.

use std::cell::Cell;
use std::io::Read;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{MINUTE, await_that, expect_panic, on_every_pair};
use tripoll::net::loops::{Distribution, LoopState};
use tripoll::net::{Closed, Listener, Watermarks};
use tripoll::{Connection, Context, Protocol, Wire};

use super::{ASK, Client, Service, builder, one_client_each};

/// The ways in which each loop accepts by itself.
const WITHOUT_ACCEPTOR: [Distribution; 2] = [Distribution::ReusePort, Distribution::SharedListener];

#[test]
fn a_loop_that_accepts_serves_and_hands_nothing_to_one_that_hangs() {
    on_every_pair(|pair| {
        let service = Service::new(pair, 2, builder(Distribution::SharedListener));
        let clients = one_client_each(&service);
        service.block(&clients[0]);
        let others: Vec<Client> = (0..10).map(|_| service.client()).collect();
        assert!(others.iter().all(|client| client.loop_index() == 1));
        service.unblock(0);
        assert_eq!(clients[0].answer(), 0);
        drop((clients, others));
        service.end();
    });
}

#[test]
fn a_loop_that_hangs_accepts_all_that_is_pending_when_it_shuts_down() {
    for distribution in WITHOUT_ACCEPTOR {
        on_every_pair(|pair| {
            // By an event it accepts one, and the others as it shuts down.
            let listener = Listener::builder().accepts_per_turn(1);
            let service = Service::new(pair, 1, builder(distribution).listener(listener));
            let busy = service.client();
            service.block(&busy);
            let pending: Vec<Client> = (0..8).map(|_| service.client()).collect();
            pending.iter().for_each(|client| client.send(ASK));
            service.loops.shutdown(MINUTE);
            service.unblock(0);
            assert!(pending.iter().all(|client| client.answer() == 0));
            drop((busy, pending));
            service.loops.join().unwrap();
        });
    }
}

#[test]
fn what_is_in_the_backlog_of_a_loop_that_is_drained_goes_to_the_others() {
    on_every_pair(|pair| {
        let service = Service::new(pair, 2, builder(Distribution::ReusePort));
        let clients = one_client_each(&service);
        service.block(&clients[0]);
        let others: Vec<Client> = (1..=30).map(|peer| service.client_from(peer)).collect();
        others.iter().for_each(|client| client.send(ASK));
        assert!(service.loops.let_finish(0));
        service.unblock(0);
        assert!(others.iter().all(|client| client.answer() == 1));
        assert_eq!((clients[0].answer(), service.counters().closed_unserved), (0, 0));
        drop((clients, others));
        service.end();
    });
}

#[test]
fn a_loop_that_finishes_has_no_listener_any_more() {
    for distribution in WITHOUT_ACCEPTOR {
        on_every_pair(|pair| {
            let service = Service::new(pair, 2, builder(distribution));
            let clients = one_client_each(&service);
            for index in [0, 1] {
                assert!(service.loops.let_finish(index));
                service.await_jobs(index);
            }
            for (index, client) in clients.iter().enumerate() {
                assert_eq!(client.loop_index(), index);
                let counters = &service.loops.reactor_counters(MINUTE)[index];
                assert_eq!(counters.unwrap().panics, 0);
            }
            assert!(TcpStream::connect(service.port()).is_err());
            drop(clients);
            service.loops.join().unwrap();
        });
    }
}

#[test]
fn the_loops_that_share_a_listener_look_at_it_when_one_of_them_takes_no_more() {
    on_every_pair(|pair| {
        let service = Service::new(pair, 2, builder(Distribution::SharedListener));
        let questions = Cell::new(0);
        // Wakes of loop 1 without those of the questions themselves.
        let wakes = || {
            questions.set(questions.get() + 1);
            let counters = service.loops.reactor_counters(MINUTE)[1].unwrap();
            counters.wakes + counters.wakes_saved - questions.get()
        };
        let client = service.client(); // so that loop 0 does not end at once, if it has it
        client.loop_index();
        let before = wakes();
        assert_eq!(wakes(), before);
        assert!(service.loops.let_finish(0));
        await_that("a look of the other loop", || wakes() > before);
        drop(client);
        service.end();
    });
}

#[test]
fn a_loop_takes_no_more_in_a_turn_than_it_may() {
    on_every_pair(|pair| {
        let turns = Arc::new(Mutex::new(Vec::new()));
        let (blocked, blocks) = std::sync::mpsc::channel();
        let (unblock, wait) = std::sync::mpsc::channel();
        let wait = Mutex::new(Some(wait));
        let loops = builder(Distribution::RoundRobin)
            .threads(1)
            .backend(pair.backend)
            .trigger(pair.trigger)
            .listener(Listener::builder().accepts_per_turn(2))
            .serve_in("127.0.0.1:0", |_, builder| builder.build_with(()), {
                let turns = Arc::clone(&turns);
                move |_, cx: &mut Context<'_>| {
                    turns.lock().unwrap().push(cx.counters().turns);
                    if let Some(wait) = wait.lock().unwrap().take() {
                        blocked.send(()).unwrap();
                        let _ = wait.recv_timeout(MINUTE);
                    }
                    Ok(())
                }
            })
            .unwrap();
        let address = loops.local_address().as_inet().unwrap();
        let _first = TcpStream::connect(address).unwrap();
        blocks.recv_timeout(MINUTE).unwrap();
        let others: Vec<_> = (0..6).map(|_| TcpStream::connect(address).unwrap()).collect();
        await_that("the hand-over", || loops.counters().loops[0].alive == 7);
        unblock.send(()).unwrap();
        for mut client in others {
            assert_eq!(client.read(&mut [0]).unwrap(), 0); // it is dropped at once
        }
        let turns = turns.lock().unwrap().clone();
        assert!(turns.windows(3).all(|three| three[0] < three[2]), "{turns:?}");
        loops.shutdown(MINUTE);
        loops.join().unwrap();
    });
}

#[test]
fn what_the_connections_of_all_loops_hold_is_bounded() {
    const BOUND: usize = 8 << 20;

    /// Holds three quarters of what all may hold, once it is asked for it.
    struct Holds(Arc<Mutex<Vec<String>>>);

    impl Protocol<usize> for Holds {
        fn received(
            &mut self,
            wire: &mut Wire<'_>,
            data: &[u8],
            cx: &mut Context<'_, usize>,
        ) -> std::io::Result<usize> {
            if data[0] == ASK {
                wire.write(&[b'0' + *cx.state as u8]);
                return Ok(data.len());
            }
            for _ in 0..100 {
                if wire.unsent() < BOUND / 4 * 3 {
                    wire.write(&vec![0; BOUND / 8]);
                }
            }
            wire.write(b"!");
            Ok(data.len())
        }

        fn closed(&mut self, closed: &Closed, _: &mut Context<'_, usize>) {
            self.0.lock().unwrap().push(closed.to_string());
        }
    }

    on_every_pair(|pair| {
        let reasons = Arc::new(Mutex::new(Vec::new()));
        let loops = builder(Distribution::ReusePort)
            .threads(2)
            .backend(pair.backend)
            .trigger(pair.trigger)
            .listener(Listener::builder().max_buffered(BOUND))
            .serve_in("127.0.0.1:0", |index, builder| builder.build_with(index), {
                let reasons = Arc::clone(&reasons);
                move |stream, cx| {
                    let marks = Watermarks::new(1, 10 * BOUND, 10 * BOUND);
                    Connection::new(Holds(Arc::clone(&reasons)))
                        .watermarks(marks)
                        .serve(stream, cx)?;
                    Ok(())
                }
            })
            .unwrap();
        let service = loops.local_address().as_inet().unwrap();
        let mut found = [None, None];
        for _ in 0..200 {
            let client = Client::new(TcpStream::connect(service).unwrap());
            let index = client.loop_index();
            found[index].get_or_insert(client);
        }
        reasons.lock().unwrap().clear(); // of those that have gone
        let [Some(first), Some(second)] = found else { panic!("one loop has none") };
        first.send(b'w');
        await_that("the first holds much", || first.0.peek(&mut [0]).is_ok());
        second.send(b'w');
        let overflow =
            "the connections hold more than the listener's max_buffered, this one its share";
        await_that("one is closed", || {
            reasons.lock().unwrap().iter().any(|reason| reason == overflow)
        });
        drop((first, second));
        loops.shutdown(Duration::ZERO);
        loops.join().unwrap();
    });
}

#[test]
fn a_loop_whose_state_panics_when_it_is_dropped_has_ended_as_others() {
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped at the end");
        }
    }

    expect_panic("dropped at the end");
    for &distribution in Distribution::ALL {
        let loops = builder(distribution)
            .threads(1)
            .serve_in(
                "127.0.0.1:0",
                |_, builder| builder.build_with(Bomb),
                |_, _: &mut Context<'_, Bomb>| Ok(()),
            )
            .unwrap();
        loops.shutdown(MINUTE);
        loops.join().unwrap();
        assert_eq!(loops.counters().loops[0].state, LoopState::Ended);
    }
}
