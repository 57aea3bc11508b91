//! Each workload does what its documentation says, with every contender.

use std::os::fd::AsRawFd;
use std::time::Duration;

use super::*;

#[test]
fn the_ring_moves_exactly_as_many_bytes_as_it_says() {
    let pipes = Pipes::open(150).unwrap();
    for contender in Contender::all() {
        for (n, active, writes) in
            [(1, 1, 7), (10, 1, 3), (10, 1, 123), (150, 3, 1_000), (150, 100, 777)]
        {
            let links = pipes.links(n, 1);
            let mut driver = contender.driver(&links, (&pipes, 1), active).unwrap();
            driver.register().unwrap();
            let starts: Vec<usize> = (0..active).map(|byte| byte * n / active).collect();
            starts.iter().for_each(|&start| pipes.fill(start).unwrap());
            driver.ring(writes, 0).unwrap();

            // Each write moves one byte to the next pipe: the final positions give the number.
            let ends = (0..n).map(|index| index * bytes_in(&pipes, index)).sum::<usize>();
            let way = starts.iter().sum::<usize>() + writes as usize;
            assert_eq!(ends % n, way % n, "{contender:?}, {active} of {n}");
        }
    }
}

/// Reads the pipe `index` empty.
fn bytes_in(pipes: &Pipes, index: usize) -> usize {
    pipes.drain(index..index + 1).unwrap()
}

#[test]
fn every_contender_runs_all_workloads_on_each_kind_and_leaves_the_pipes_empty() {
    let pipes = Kind::ALL.map(|kind| Pipes::open_kind(kind, 20).unwrap());
    for (pipes, contender) in
        pipes.iter().flat_map(|p| Contender::all().into_iter().map(move |c| (p, c)))
    {
        for workload in [
            Workload::Ring { n: 20, active: 20, writes: 200, changes: 0 },
            Workload::Ring { n: 20, active: 15, writes: 200, changes: 1 },
            Workload::Ring { n: 20, active: 20, writes: 200, changes: 2 },
            Workload::Ring { n: 7, active: 2, writes: 3, changes: 0 },
            Workload::Watch { n: 20, operations: 200 },
            Workload::Sleep { n: 20, operations: 20 },
        ] {
            let measurement = workload.run(contender, pipes).unwrap();
            assert_eq!(measurement.registered, workload.n());
            assert!(measurement.wall > Duration::ZERO && measurement.cpu > Duration::ZERO);
            assert_eq!(pipes.drain(0..20).unwrap(), 0, "{contender:?}, {workload:?}");
        }
    }
}

#[test]
fn every_backend_has_a_contender_in_every_layer() {
    let all = Contender::all();
    for &backend in tripoll::Backend::ALL {
        for layer in [Layer::Raw, Layer::Selector, Layer::Reactor] {
            assert!(all.iter().any(|one| one.backend == backend && one.layer == layer));
        }
    }
    assert_eq!(all.iter().filter(|one| one.layer == Layer::RawZero).count(), 2);
    assert!(all.iter().all(|one| one.trigger != tripoll::Trigger::OneShot));
}

#[test]
fn the_reactor_takes_every_backend_and_trigger() {
    let pipes = Pipes::open(20).unwrap();
    for &backend in tripoll::Backend::ALL {
        for &trigger in tripoll::Trigger::ALL {
            let contender = Contender { layer: Layer::Reactor, backend, trigger };
            let reactor = tripoll::Reactor::builder().backend(backend).trigger(trigger).build();
            assert_eq!(
                reactor.unwrap().context().effective_trigger(),
                contender.effective_trigger()
            );
            for workload in [
                Workload::Ring { n: 20, active: 3, writes: 200, changes: 0 },
                Workload::Watch { n: 20, operations: 200 },
            ] {
                workload.run(contender, &pipes).unwrap();
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let pipes = Pipes::open(3).unwrap();
    let contender = Contender::all()[0];
    for workload in [
        Workload::Watch { n: 4, operations: 1 },
        Workload::Watch { n: 0, operations: 1 },
        Workload::Ring { n: 2, active: 3, writes: 1, changes: 0 },
    ] {
        let error = workload.run(contender, &pipes).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{workload:?}");
    }
}

#[test]
fn more_pipes_than_the_limit_allows_are_refused_with_both_numbers() {
    let max = Pipes::max().unwrap();
    let limit = tripoll::sys::descriptor_limit().unwrap().hard;
    let error = Pipes::open(max + 1).unwrap_err().to_string();
    assert!(
        error.contains(&(max + 1).to_string()) && error.contains(&limit.to_string()),
        "{error}"
    );
}

#[test]
fn reading_ends_are_neighbours_and_writing_ends_above_them() {
    // Other tests may open descriptors at the same time and take numbers in between. One
    // undisturbed try is enough.
    let undisturbed = (0..10_000).any(|_| {
        let pipes = Pipes::open(30).unwrap();
        let links = pipes.links(30, 0);
        let first = links[0].from.as_raw_fd();
        assert!(links.iter().all(|link| link.to.as_raw_fd() >= first + 30));
        links.iter().map(|link| link.from.as_raw_fd()).eq(first..first + 30)
    });
    assert!(undisturbed);
}

#[test]
fn random_numbers_are_uniform_and_below_their_bound() {
    let mut random = Xorshift::default();
    let mut counts = [0; 10];
    for _ in 0..10_000 {
        counts[random.below(10)] += 1;
    }
    assert!(counts.iter().all(|&times| (800..1_200).contains(&times)), "{counts:?}");
}

#[test]
fn every_peer_runs_its_workloads_and_leaves_the_pipes_empty() {
    let pipes = Kind::ALL.map(|kind| Pipes::open_kind(kind, 20).unwrap());
    let peers = Contender::peers();
    assert!(peers.contains(&Contender {
        layer: Layer::Raw,
        backend: tripoll::Backend::Mio,
        trigger: tripoll::Trigger::Edge
    }));
    for (pipes, peer) in pipes.iter().flat_map(|pipes| peers.iter().map(move |&peer| (pipes, peer)))
    {
        for workload in [
            Workload::Ring { n: 20, active: 20, writes: 200, changes: 0 },
            Workload::Ring { n: 20, active: 3, writes: 200, changes: 0 },
            Workload::Ring { n: 1, active: 1, writes: 7, changes: 0 },
            Workload::Watch { n: 20, operations: 200 },
        ] {
            let measurement = workload.run(peer, pipes).unwrap();
            assert_eq!(measurement.registered, workload.n());
            assert!(measurement.wall > Duration::ZERO && measurement.cpu > Duration::ZERO);
            assert_eq!(pipes.drain(0..20).unwrap(), 0, "{peer:?}, {workload:?}");
        }
    }
}

#[test]
fn every_peer_has_a_counterpart_and_says_what_it_lacks() {
    for peer in Contender::peers() {
        let ours = peer.counterpart().unwrap();
        assert!(Layer::TRIPOLL.contains(&ours.layer) && ours.check().is_ok(), "{ours:?}");
        assert_eq!(ours.counterpart(), None);
    }
    for peer in Peer::ALL {
        let one =
            |&backend| Contender { layer: Layer::Peer(peer), backend, trigger: peer.trigger() };
        for contender in peer.backends().iter().map(one) {
            let pipes = Pipes::open(2).unwrap();
            let missing = peer.missing();
            let result = Workload::Watch { n: 2, operations: 1 }.run(contender, &pipes);
            let refused = result.err().map(|error| error.to_string());
            assert_eq!(refused, missing.map(|reason| format!("{}: {reason}", peer.name())));
        }
    }
}
