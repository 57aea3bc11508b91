//! A kernel that has no memory, now and then, for a change of interest or a wait. On every backend and
//! trigger.

use std::io::Write;
use std::net::Shutdown;
use std::thread;

use support::net::{Call, Server, Why, echo};
use support::noise::{SHORTAGES, seeds};
use support::sockets::read_all;
use support::{Pair, known_bytes, on_every_pair_at_once};
use tripoll::net::{Connection, Listener, Watermarks};

#[test]
fn connections_lose_nothing_while_the_kernel_has_no_memory_now_and_then() {
    const LENGTH: usize = 1 << 20;
    let sent = &known_bytes(13, LENGTH)[..];
    on_every_pair_at_once(|pair| {
        for seed in seeds() {
            let pair = Pair { noise: Some(seed), kinds: SHORTAGES, ..pair };
            // So small that the interest changes often.
            let marks = |connection: Connection<_>| {
                connection.watermarks(Watermarks::new(16 << 10, 64 << 10, 16 << 20))
            };
            let server = Server::with(pair, Listener::builder(), marks, echo);
            let clients = [(); 2].map(|()| server.client());
            thread::scope(|scope| {
                for client in &clients {
                    let mut writer = client;
                    scope.spawn(move || {
                        for piece in sent.chunks(100_000) {
                            writer.write_all(piece).unwrap();
                        }
                        client.shutdown(Shutdown::Write).unwrap();
                    });
                    scope.spawn(move || assert!(read_all(client) == sent, "not what was sent"));
                }
            });
            drop(clients);
            for _ in 0..2 {
                assert_eq!(server.until_closed().last(), Some(&Call::Closed(Why::Finished)));
            }
        }
    });
}
