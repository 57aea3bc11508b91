//! Starting loops: their threads, their states, and what fails.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;

use support::{Pair, on_every_pair};
use tripoll::net::loops::{Distribution, LoopsBuilder};
use tripoll::net::{Listener, Loops};

use super::builder;

fn of(pair: Pair) -> LoopsBuilder {
    Loops::builder().threads(3).backend(pair.backend).trigger(pair.trigger)
}

#[test]
fn each_loop_makes_its_state_on_its_own_thread_which_has_a_name() {
    on_every_pair(|pair| {
        let names = Arc::<Mutex<Vec<_>>>::default();
        let its_names = Arc::clone(&names);
        let state = move |index| {
            let name = thread::current().name().unwrap().to_owned();
            its_names.lock().unwrap().push((index, name));
            Rc::new(index) // which no other thread could have made
        };
        let loops = of(pair).name("web").serve("127.0.0.1:0", state, |_, _| Ok(())).unwrap();
        loops.stop();
        loops.join().unwrap();
        let mut names = names.lock().unwrap().clone();
        names.sort();
        let name = |index| (index, format!("web {index}"));
        assert_eq!(names, [name(0), name(1), name(2)]);
    });
}

#[test]
fn more_loops_than_linux_has_threads_are_refused() {
    for &distribution in Distribution::ALL {
        let loops = Loops::builder().threads(usize::MAX).distribution(distribution);
        let error = loops.serve("127.0.0.1:0", |_| (), |_, _| Ok(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("Linux has at most 4194304 threads"), "{error}");
    }
}

#[test]
fn a_state_that_cannot_be_made_starts_no_loop() {
    for &distribution in Distribution::ALL {
        on_every_pair(|pair| {
            let listener = Listener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_address().clone();
            drop(listener);
            let of = || of(pair).distribution(distribution);
            let refuse = |index, builder: tripoll::reactor::ReactorBuilder| match index {
                1 => Err(io::Error::new(io::ErrorKind::NotFound, "no settings")),
                _ => builder.build(),
            };
            let error = of().serve_in(&address, refuse, |_, _| Ok(())).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);

            support::expect_panic("no state");
            let state = |index: usize| assert!(index < 2, "no state");
            let error = of().serve(&address, state, |_, _| Ok(())).unwrap_err();
            assert!(error.to_string().contains("no state"), "{error}");
            Listener::bind(&address).unwrap(); // nothing is left
        });
    }
}

#[test]
fn a_unix_socket_is_served_by_loops_but_not_shared_by_ports() {
    on_every_pair(|pair| {
        let name = format!("@tripoll-loops-{}-{pair}", std::process::id());
        let error = of(pair)
            .distribution(Distribution::ReusePort)
            .serve(&name, |_| (), |_, _| Ok(()))
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&name), "{error}");

        for distribution in [Distribution::PeerAddress, Distribution::RoundRobin] {
            let loops = builder(distribution)
                .threads(2)
                .backend(pair.backend)
                .trigger(pair.trigger)
                .max_connections_per_peer(1)
                .serve(&name, |_| (), |mut stream, _| io::Write::write_all(&mut stream, b"hello"))
                .unwrap();
            let name = SocketAddr::from_abstract_name(&name[1..]).unwrap();
            for _ in 0..4 {
                let client = UnixStream::connect_addr(&name).unwrap();
                assert_eq!(io::read_to_string(client).unwrap(), "hello");
            }
            let accepted: Vec<_> = loops.counters().loops.iter().map(|one| one.accepted).collect();
            assert_eq!(accepted, [2, 2]);
            loops.stop();
            loops.join().unwrap();
        }
    });
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    for &distribution in Distribution::ALL {
        let address = listener.local_address();
        let loops = builder(distribution).threads(1).serve(address, |_| (), |_, _| Ok(()));
        let error = loops.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
