//! Pings: coalesced, and never lost, whatever the loop is doing.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;
use tripoll::reactor::sources::Ping;
use tripoll::{Deadline, Reactor};

use crate::in_every_interleaving;
use crate::selector::ModelSelector;

/// What a thread did before its ping is seen by the callback after it. A lost ping is a deadlock.
#[test]
fn the_pings_of_two_threads_are_seen_although_the_loop_sleeps() {
    in_every_interleaving(|| {
        let selector = ModelSelector::default();
        let mut reactor = Reactor::builder().selector(selector).build_with(0).unwrap();
        let (ping, pinger) = Ping::new().unwrap();
        let count = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&count);
        let callback = move |(), cx: &mut tripoll::Context<'_, u32>| {
            *cx.state = seen.load(Ordering::Relaxed);
        };
        ping.on(&mut reactor.context(), callback).unwrap();
        let threads = [(); 2].map(|()| {
            let (pinger, count) = (pinger.clone(), Arc::clone(&count));
            thread::spawn(move || {
                count.fetch_add(1, Ordering::Relaxed);
                pinger.ping();
            })
        });
        while *reactor.state() < 2 {
            reactor.turn(Deadline::Never).unwrap();
        }
        threads.map(|thread| thread.join().unwrap());
    });
}
