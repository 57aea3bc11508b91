//! The kernel has no room for now: what was refused is tried again, and nobody is lost.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use support::faulty::Faults;
use support::noise::{Kind, Noise};
use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::{Backend, Context, Deadline, Interest, Next, Reactor, Source, sys};

const SHORTAGES: [i32; 8] = [
    libc::EAGAIN,
    libc::EDQUOT,
    libc::EINTR,
    libc::EMFILE,
    libc::ENFILE,
    libc::ENOBUFS,
    libc::ENOMEM,
    libc::ENOSPC,
];

fn with_faults<S: 'static>(pair: Pair, state: S) -> (Reactor<S>, Faults) {
    let faults = Faults::default();
    (pair.build(pair.builder().selector(faults.of(pair.backend)), state), faults)
}

/// Reads what there is.
fn read(source: &mut Source<UnixStream>, cx: &mut Context<Vec<u8>>) -> std::io::Result<Next> {
    let mut buffer = [0; 64];
    let count = source.read(&mut buffer)?;
    cx.state.extend_from_slice(&buffer[..count]);
    Ok(Next::Keep)
}

/// A source without interest, whose peer has sent a byte. Its handler reads into the state.
fn deaf_source(reactor: &mut Reactor<Vec<u8>>) -> (tripoll::Token, UnixStream) {
    let (mine, mut theirs) = unix_pair();
    theirs.write_all(b"x").unwrap();
    (add(reactor, mine, Interest::NONE, read), theirs)
}

#[test]
fn an_interest_that_is_refused_is_tried_again_after_growing_pauses() {
    on_every_pair(|pair| {
        let (mut reactor, faults) = with_faults(pair, Vec::new());
        let (token, _peer) = deaf_source(&mut reactor);
        faults.plan().set_errors.extend([libc::ENOMEM, libc::ENOSPC, libc::ENOMEM]);
        reactor.context().set_interest(token, Interest::READ).unwrap();
        let began = Instant::now();
        // Each try is a turn: it does not spin meanwhile.
        drive(&mut reactor, 6, |read| read == b"x");
        assert!(began.elapsed() >= Duration::from_millis(10 + 20 + 40), "{:?}", began.elapsed());
        assert!(faults.plan().set_errors.is_empty());
        assert_eq!(reactor.context().timers(), 0);
        assert_eq!((reactor.context().len(), reactor.context().counters().errors), (1, 0));
        // It was a series, which is over: the next pause is short again.
        faults.plan().set_errors.push_back(libc::ENOSPC);
        reactor.context().set_interest(token, Interest::READ | Interest::WRITE).unwrap();
        reactor.turn(Deadline::Now).unwrap();
        let next = reactor.next_deadline().expect("a retry") - Instant::now();
        assert!(next <= Duration::from_millis(10), "{next:?}");
    });
}

#[test]
fn every_shortage_is_one_and_every_source_comes_back() {
    on_every_pair(|pair| {
        let (mut reactor, faults) = with_faults(pair, Vec::new());
        let sources: Vec<_> = SHORTAGES.map(|_| deaf_source(&mut reactor)).into();
        faults.plan().set_errors.extend(SHORTAGES);
        for (token, _) in &sources {
            reactor.context().set_interest(*token, Interest::READ).unwrap();
        }
        // Neighbours are served meanwhile.
        let (mine, mut theirs) = unix_pair();
        add(&mut reactor, mine, Interest::READ, read);
        theirs.write_all(b"n").unwrap();
        drive(&mut reactor, 3, |read| read == b"n");
        drive(&mut reactor, 30, |read| read.len() == 1 + SHORTAGES.len());
        assert_eq!(reactor.context().counters().errors, 0);
    });
}

#[test]
fn a_refused_source_can_be_changed_removed_and_moved() {
    on_every_pair(|pair| {
        for new_backend in Backend::ALL.iter().copied() {
            let (mut reactor, faults) = with_faults(pair, Vec::new());
            let [(moved, _peer), (removed, mut removed_peer), (paused, _paused_peer)] =
                [(); 3].map(|()| deaf_source(&mut reactor));
            faults.plan().set_errors.extend([libc::ENOSPC; 3]);
            for token in [moved, removed, paused] {
                reactor.context().set_interest(token, Interest::READ).unwrap();
            }
            reactor.turn(Deadline::Now).unwrap();
            assert!(faults.plan().set_errors.is_empty());
            reactor.context().remove(removed).unwrap();
            reactor.context().set_interest(paused, Interest::NONE).unwrap();
            reactor.context().switch_to(new_backend).unwrap();
            drive(&mut reactor, 3, |read| read == b"x");
            assert!(removed_peer.write(b"y").is_err(), "it is open");
            reactor.turn(Deadline::Now).unwrap(); // by edge it is called once more, to `WouldBlock`
            // The retry that was due finds nothing to do.
            for _ in 0..10 {
                let Some(next) = reactor.next_deadline() else { break };
                reactor.turn(Deadline::At(next + LONG)).unwrap();
            }
            assert_eq!(reactor.context().timers(), 0);
            assert_eq!((reactor.context().len(), reactor.context().counters().errors), (2, 0));
            let_settle(&mut reactor);
            assert_quiet(&mut reactor);
        }
    });
}

#[test]
fn a_wait_that_fails_for_a_shortage_is_tried_again() {
    on_every_pair(|pair| {
        for errno in SHORTAGES {
            let (mut reactor, faults) = with_faults(pair, Vec::new());
            let (mine, mut theirs) = unix_pair();
            add(&mut reactor, mine, Interest::READ, read);
            theirs.write_all(b"x").unwrap();
            faults.plan().wait_errors.extend([errno, errno]);
            // A timer and a job run meanwhile.
            reactor.context().set_timer(Instant::now(), |cx| cx.state.push(b't'));
            reactor.handle().post(|cx| cx.state.push(b'j')).unwrap();
            reactor.turn(Deadline::after(LONG)).unwrap();
            assert!(faults.plan().wait_errors.len() <= 1);
            if errno != libc::EINTR {
                assert_eq!(reactor.state(), b"tj", "errno {errno}");
            }
            drive(&mut reactor, 5, |read| read.contains(&b'x'));
            assert_eq!(reactor.context().len(), 1);
        }
    });
}

#[test]
fn a_wait_that_fails_for_long_ends_the_loop_unless_it_is_a_shortage() {
    on_every_pair_at_once(|pair| {
        let (mut reactor, faults) = with_faults(pair, Vec::new());
        let (token, _peer) = deaf_source(&mut reactor);
        reactor.context().set_interest(token, Interest::READ).unwrap();
        faults.plan().wait_errors = VecDeque::from(vec![libc::EBADF; 10_000]);
        let began = Instant::now();
        let error = reactor.run().unwrap_err();
        assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
        assert_eq!(sys::errno(&error), Some(libc::EBADF));
        let text = format!("the wait of {} failed: ", pair.backend);
        assert!(error.to_string().starts_with(&text), "{error}");
        let left = faults.plan().wait_errors.len();
        assert!(left >= 10_000 - 200, "it spins: {} waits", 10_000 - left);
        // Nothing is lost.
        faults.plan().wait_errors.clear();
        drive(&mut reactor, 3, |read| read == b"x");
    });
}

#[test]
fn streams_come_whole_although_waits_and_changes_fail_at_random() {
    on_every_pair(|pair| {
        let faults = Faults::noisy(Noise::new(11, &[Kind::RefusedSet, Kind::FailedWait]));
        let builder = pair.builder().selector(faults.of(pair.backend));
        let mut reactor = pair.build(builder, ());
        let (mine, mut client) = unix_pair();
        let sent = known_bytes(3, 20_000);
        add(&mut reactor, mine, Interest::READ, echo());
        let (mut written, mut got) = (0, Vec::new());
        let give_up = Instant::now() + LONG;
        while got.len() < sent.len() {
            let piece = (written + 1_000).min(sent.len());
            written += client.write(&sent[written..piece]).unwrap_or(0);
            let mut buffer = [0; 4_096];
            if let Ok(count) = client.read(&mut buffer) {
                got.extend_from_slice(&buffer[..count]);
            }
            reactor.turn(Deadline::after(Duration::from_millis(10))).unwrap();
            assert!(Instant::now() < give_up, "stalled: {:?}", reactor.context().counters());
        }
        assert!(got == sent);
        let noise = &faults.plan().noise;
        assert!(noise.made(Kind::FailedWait) > 0, "{noise:?}");
        assert_eq!(reactor.context().counters().errors, 0);
    });
}
