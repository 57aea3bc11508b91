//! The contract over a selector that interrupts, tells late, tells in small batches, and tells what
//! is not so.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use support::faulty::Faults;
use support::noise::{EVENTS, Kind, Noise};
use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::{Context, Interest, Next, Reactor};

/// A reactor over a noisy selector.
fn noisy<S: 'static>(pair: Pair, state: S) -> (Reactor<S>, Faults) {
    let faults = Faults::noisy(Noise::new(11, EVENTS));
    (pair.build(pair.builder().selector(faults.of(pair.backend)), state), faults)
}

/// It was noise, of every kind.
fn assert_noisy(faults: &Faults) {
    let noise = &faults.plan().noise;
    // Only what was removed is stale.
    let kinds = EVENTS.iter().filter(|&&kind| kind != Kind::Stale);
    assert!(kinds.clone().all(|&kind| noise.made(kind) > 0), "{noise:?}");
}

#[test]
fn streams_come_whole_through_the_noise() {
    on_every_pair(|pair| {
        let (mut reactor, faults) = noisy(pair, (0..6).map(|_| Vec::new()).collect::<Vec<_>>());
        let mut peers = Vec::new();
        for number in 0..6 {
            let (mine, theirs) = unix_pair();
            let mut dice = Dice(number);
            let number = number as usize;
            add(
                &mut reactor,
                mine,
                Interest::READ,
                move |source, cx: &mut Context<Vec<Vec<u8>>>| {
                    // Reads once, into more or less room.
                    let mut buffer = [0; 32];
                    let room = 1 + dice.below(buffer.len());
                    let count = source.read(&mut buffer[..room])?;
                    cx.state[number].extend_from_slice(&buffer[..count]);
                    Ok(if count == 0 { Next::Remove } else { Next::Keep })
                },
            );
            peers.push((theirs, known_bytes(number as u64, 2_000)));
        }
        for round in 0..20 {
            for (peer, bytes) in &mut peers {
                peer.write_all(&bytes[round * 100..][..100]).unwrap();
            }
            drive(&mut reactor, 2_000, |got| got.iter().all(|got| got.len() == (round + 1) * 100));
        }
        for ((_, sent), got) in peers.iter().zip(reactor.state()) {
            assert!(got == sent);
        }
        drop(peers);
        let give_up = Instant::now() + LONG;
        while !reactor.context().is_empty() {
            reactor.turn(tripoll::Deadline::At(give_up)).unwrap();
            assert!(Instant::now() < give_up, "the end is not told");
        }
        assert_noisy(&faults);
        assert_eq!(reactor.context().counters().errors, 0);
    });
}

#[test]
fn echoes_come_back_through_the_noise() {
    on_every_pair(|pair| {
        let (mut reactor, faults) = noisy(pair, ());
        let mut clients = Vec::new();
        for seed in 0..4 {
            let (mine, theirs) = tcp_pair();
            add(&mut reactor, mine, Interest::READ, echo());
            clients.push((theirs, known_bytes(seed, 40_000), 0, Vec::new()));
        }
        let give_up = Instant::now() + LONG;
        while clients.iter().any(|(_, sent, _, got)| got.len() < sent.len()) {
            for (client, bytes, sent, got) in &mut clients {
                let piece = (*sent + 3_000).min(bytes.len());
                *sent += client.write(&bytes[*sent..piece]).unwrap_or(0);
                let mut buffer = [0; 4_096];
                if let Ok(count) = client.read(&mut buffer) {
                    got.extend_from_slice(&buffer[..count]);
                }
            }
            reactor.turn(tripoll::Deadline::after(Duration::from_millis(10))).unwrap();
            assert!(Instant::now() < give_up, "stalled: {:?}", reactor.context().counters());
        }
        assert!(clients.iter().all(|(_, sent, _, got)| sent == got));
        assert_noisy(&faults);
        assert_eq!((reactor.context().len(), reactor.context().counters().errors), (4, 0));
    });
}

#[test]
fn timers_jobs_and_pauses_keep_their_promises_in_the_noise() {
    on_every_pair(|pair| {
        let (mut reactor, _faults) = noisy(pair, 0_u32);
        let (mine, mut theirs) = unix_pair();
        theirs.write_all(b"x").unwrap();
        // It is told again and again that the paused one is ready: it is not called.
        let paused = add(&mut reactor, mine, Interest::NONE, |source, cx: &mut Context<u32>| {
            assert_eq!(cx.interest(source.token()), Some(Interest::READ));
            *cx.state += source.read(&mut [0; 8])? as u32 * 1_000;
            Ok(Next::Keep)
        });
        for round in 1..=50 {
            let at = Instant::now() + Duration::from_micros(100);
            reactor.context().set_timer(at, move |cx: &mut Context<u32>| {
                assert!(Instant::now() >= at, "it is early");
                *cx.state += 1;
            });
            let handle = reactor.handle();
            std::thread::spawn(move || handle.post(|cx| *cx.state += 1).unwrap());
            drive(&mut reactor, 100, |runs| *runs == 2 * round);
        }
        reactor.context().set_interest(paused, Interest::READ).unwrap();
        drive(&mut reactor, 100, |runs| *runs == 1_100);
    });
}
