//! Pings: coalesced, never lost, from any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use support::reactor::*;
use support::*;
use tripoll::reactor::sources::Ping;
use tripoll::{Context, Interest, Next, Source};

#[test]
fn any_number_of_pings_before_the_handler_is_called_is_one_event() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(0);
        let (ping, pinger) = Ping::new().unwrap();
        let token = ping.on(&mut reactor.context(), |(), cx| *cx.state += 1).unwrap();
        let_settle(&mut reactor);
        assert_quiet(&mut reactor);
        for round in 1..=3 {
            for _ in 0..5 {
                pinger.ping();
            }
            drive(&mut reactor, 5, |pings| *pings == round);
            assert_quiet(&mut reactor);
        }
        assert_eq!(*reactor.state(), 3);
        reactor.context().remove(token).unwrap();
        let_settle(&mut reactor);
        pinger.clone().ping(); // to no source
        assert_quiet(&mut reactor);
    });
}

/// Each thread counts before it pings. After the last ping the loop has seen all counts.
#[test]
fn no_ping_is_lost_between_threads() {
    const THREADS: u32 = 3;
    const PINGS: u32 = 2_000;
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(0);
        let (ping, pinger) = Ping::new().unwrap();
        let count = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&count);
        ping.on(&mut reactor.context(), move |(), cx| *cx.state = seen.load(Ordering::Relaxed))
            .unwrap();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..PINGS {
                        count.fetch_add(1, Ordering::Relaxed);
                        pinger.ping();
                    }
                });
            }
            drive(&mut reactor, u64::from(THREADS * PINGS) * 2, |seen| *seen == THREADS * PINGS);
        });
    });
}

#[test]
fn a_handler_of_its_own_takes_the_ping_itself() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(0);
        let (ping, pinger) = Ping::new().unwrap();
        let taken = |ping: &mut Source<Ping>, cx: &mut Context<u32>| {
            ping.try_io(Interest::READ, Ping::take)?;
            *cx.state += 1;
            Ok(if *cx.state == 2 { Next::Remove } else { Next::Done })
        };
        add(&mut reactor, ping, Interest::READ, taken);
        pinger.ping();
        drive(&mut reactor, 5, |taken| *taken == 1);
        assert_quiet(&mut reactor);
        pinger.ping();
        drive(&mut reactor, 5, |taken| *taken == 2);
        let_settle(&mut reactor);
        assert!(reactor.context().is_empty());
    });
}

#[test]
fn a_callback_that_removes_its_source_is_not_called_again() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor((0, None));
        let (ping, pinger) = Ping::new().unwrap();
        let again = pinger.clone();
        let callback = move |(), cx: &mut Context<'_, (u32, Option<tripoll::Token>)>| {
            cx.state.0 += 1;
            again.ping(); // it would be called for ever
            if let Some(token) = cx.state.1.take() {
                cx.remove(token).unwrap();
            }
        };
        let token = ping.on(&mut reactor.context(), callback).unwrap();
        reactor.state_mut().1 = Some(token);
        pinger.ping();
        drive(&mut reactor, 5, |state| state.0 == 1);
        let_settle(&mut reactor);
        assert_quiet(&mut reactor);
        assert_eq!(reactor.state().0, 1);
    });
}

#[test]
fn a_shutdown_removes_it() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(());
        let (ping, _pinger) = Ping::new().unwrap();
        ping.on(&mut reactor.context(), |(), _| ()).unwrap();
        reactor.context().shutdown(LONG);
        reactor.run().unwrap();
        assert!(reactor.context().is_empty());
    });
}
