//! Which loop gets which connection, and what the counters say.

use std::time::Duration;
use std::{fs, io};

use support::{LONG, on_every_pair, on_every_pair_and_noise};
use tripoll::Backend;
use tripoll::net::loops::{Distribution, LoopState};

use super::{CLOSE, Client, Service, builder, one_client_each};

#[test]
fn every_way_serves_on_all_loops_and_counts() {
    for &distribution in Distribution::ALL {
        on_every_pair_and_noise(|pair| {
            let service = Service::new(pair, 2, builder(distribution));
            let clients = one_client_each(&service);
            service.await_alive(2);
            let counters = service.counters();
            assert!(counters.loops.iter().all(|one| one.alive == 1 && one.accepted >= 1));
            assert!(counters.loops.iter().all(|one| one.state == LoopState::Running));
            let by_acceptor = counters.acceptor.map(|acceptor| acceptor.accepted);
            let has_acceptor =
                !matches!(distribution, Distribution::ReusePort | Distribution::SharedListener);
            assert_eq!(by_acceptor, has_acceptor.then(|| counters.accepted()));
            assert_eq!((counters.refused_per_peer(), counters.closed_unserved), (0, 0));
            assert_eq!(counters.paused_at_limit(), 0);
            drop(clients);
            service.await_alive(0);
            service.end();
        });
    }
}

#[test]
fn each_way_has_a_name() {
    for &distribution in Distribution::ALL {
        assert_eq!(distribution.to_string().parse(), Ok(distribution));
    }
    assert!("no-way".parse::<Distribution>().is_err());
}

#[test]
fn round_robin_hands_to_one_loop_after_another() {
    on_every_pair(|pair| {
        let service = Service::new(pair, 3, builder(Distribution::RoundRobin));
        let clients: Vec<Client> = (0..6).map(|_| service.client()).collect();
        let loops: Vec<usize> = clients.iter().map(Client::loop_index).collect();
        assert_eq!(loops, [0, 1, 2, 0, 1, 2]);
        service.end();
    });
}

#[test]
fn only_least_connections_sees_which_clients_stay() {
    for (distribution, loads) in
        [(Distribution::LeastConnections, [5, 5]), (Distribution::RoundRobin, [10, 0])]
    {
        on_every_pair(|pair| {
            let service = Service::new(pair, 2, builder(distribution));
            let stay: Vec<Client> = (0..10)
                .map(|count| {
                    let (stays, goes) = (service.client(), service.client());
                    stays.loop_index();
                    goes.send(CLOSE);
                    goes.answer();
                    goes.assert_ended();
                    drop(goes);
                    service.await_alive(count + 1);
                    stays
                })
                .collect();
            let counters = service.counters();
            assert_eq!(counters.loops.iter().map(|one| one.alive).collect::<Vec<_>>(), loads);
            drop(stay);
            service.end();
        });
    }
}

#[test]
fn all_connections_of_one_peer_come_to_one_loop() {
    on_every_pair(|pair| {
        let service = Service::new(pair, 2, builder(Distribution::PeerAddress));
        let mut used = [false; 2];
        for peer in 1..=40 {
            let clients = [service.client_from(peer), service.client_from(peer)];
            let [first, second] = clients.map(|client| client.loop_index());
            assert_eq!(first, second);
            used[first] = true;
        }
        assert_eq!(used, [true; 2]);
        service.end();
    });
}

#[test]
fn the_counters_of_the_reactors_are_readable_while_they_run() {
    on_every_pair(|pair| {
        let service = Service::new(pair, 2, builder(Distribution::RoundRobin));
        let clients: Vec<Client> = (0..2).map(|_| service.client()).collect();
        assert_eq!(clients[1].loop_index(), 1);
        service.block(&clients[0]);
        let counters = service.loops.reactor_counters(Duration::from_millis(50));
        assert_eq!(counters[0], None, "its handler blocks");
        assert!(counters[1].is_some_and(|counters| counters.dispatches >= 1));
        service.unblock(0);
        let counters = service.loops.reactor_counters(LONG);
        assert!(counters.iter().all(|counters| counters.is_some_and(|one| one.turns >= 1)));

        service.loops.shutdown(LONG);
        service.loops.join().unwrap();
        let last = service.loops.reactor_counters(LONG);
        assert!(last.iter().all(|counters| counters.is_some_and(|one| one.dispatches >= 1)));
    });
}

/// Returns how often the threads have slept that have names with this beginning.
fn sleeps(name: &str) -> u64 {
    let status =
        |task: io::Result<fs::DirEntry>| fs::read_to_string(task.unwrap().path().join("status"));
    let of_task = |status: String| {
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
        field("Name:")
            .starts_with(name)
            .then(|| -> u64 { field("voluntary_ctxt_switches:").parse().unwrap() })
    };
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks.filter_map(|task| status(task).ok()).filter_map(of_task).sum()
}

/// Without `EPOLLEXCLUSIVE` each connection wakes all of the eight.
#[test]
fn loops_that_share_a_listener_on_epoll_are_not_all_woken() {
    on_every_pair(|pair| {
        let builder = builder(Distribution::SharedListener).name("herd");
        let service = Service::new(pair, 8, builder);
        let connections = 100;
        service.client().loop_index();
        let before = sleeps("herd ");
        for _ in 0..connections {
            service.client().loop_index();
        }
        let sleeps = sleeps("herd ") - before;
        assert_eq!(service.counters().accepted(), connections + 1);
        // A connection comes, asks and leaves: three wakes of its loop at most.
        if pair.backend == Backend::Epoll {
            assert!(sleeps <= 4 * connections, "{sleeps}");
        }
        service.end();
    });
}
