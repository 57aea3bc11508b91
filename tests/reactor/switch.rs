//! Switching the backend of a living reactor: nothing is lost, nothing comes twice.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::faulty::Faults;
use support::reactor::*;
use support::sleep::*;
use support::sockets::*;
use support::*;
use tripoll::reactor::Budget;
use tripoll::{Backend, Context, Deadline, Interest, Next, Reactor, Source, Trigger};

/// Runs `body` for each pair of two different backends, with every trigger.
fn on_every_two(body: impl Fn(Pair, Pair)) {
    on_every_pair(|pair| {
        for &backend in Backend::ALL {
            if backend != pair.backend {
                let _context = support::Context(format!("switching to {backend}"));
                body(pair, Pair { backend, ..pair });
            }
        }
    });
}

/// Clients of an echo server which send known streams and check what comes back, while a job
/// switches to and fro every few turns. Half of them are TCP, half of them Unix.
#[test]
fn switching_under_load_loses_and_doubles_nothing() {
    const CLIENTS: u64 = 4;
    const LENGTH: usize = 100_000;
    let streams: Vec<_> = (0..CLIENTS).map(|seed| Arc::new(known_bytes(seed, LENGTH))).collect();
    on_every_two(|from, to| {
        // A small budget, so that leftovers are switched, too.
        let mut reactor = from.build(from.builder().budget(Budget::new(3, 8_192)), ());
        let finished = Arc::new(AtomicUsize::new(0));
        let mut clients = Vec::new();
        for (number, stream) in streams.iter().enumerate() {
            let client: Box<dyn Client> = if number % 2 == 0 {
                let (mine, theirs) = tcp_pair();
                add(&mut reactor, mine, Interest::READ, echo());
                theirs.set_nonblocking(false).unwrap();
                Box::new(theirs)
            } else {
                let (mine, theirs) = unix_pair();
                add(&mut reactor, mine, Interest::READ, echo());
                theirs.set_nonblocking(false).unwrap();
                Box::new(theirs)
            };
            let (stream, handle) = (Arc::clone(stream), reactor.handle());
            let finished = Arc::clone(&finished);
            clients.push(thread::spawn(move || {
                client.converse(&stream);
                if finished.fetch_add(1, Ordering::Relaxed) + 1 == CLIENTS as usize {
                    handle.stop();
                }
            }));
        }
        let (mut turns, mut is_switched) = (0, false);
        reactor.before_wait(move |cx| {
            turns += 1;
            if turns % 3 == 0 {
                is_switched = !is_switched;
                cx.switch_to(if is_switched { to.backend } else { from.backend }).unwrap();
                let expected = if is_switched { to } else { from };
                assert_eq!(cx.backend(), expected.backend.name());
                assert_eq!(cx.effective_trigger(), expected.effective_trigger());
            }
        });
        let give_up = Instant::now() + 2 * LONG;
        while !reactor.handle().is_stopped() {
            reactor.turn(Deadline::after(LONG)).unwrap();
            assert!(Instant::now() < give_up, "stalled: {:?}", reactor.context().counters());
        }
        for client in clients {
            client.join().unwrap();
        }
        let counters = reactor.context().counters();
        assert!(counters.switches >= 5, "{counters:?}");
        assert_eq!((counters.errors, counters.panics, counters.stale), (0, 0, 0));
    });
}

/// Sends a stream and checks that it comes back, byte for byte and no byte more.
trait Client: Send {
    fn converse(&self, stream: &[u8]);
}

fn converse<C>(client: &C, stream: &[u8], finish: impl FnOnce(&C) + Send)
where
    C: Sync,
    for<'a> &'a C: Read + Write,
{
    thread::scope(|scope| {
        scope.spawn(|| {
            for piece in stream.chunks(1_777) {
                let mut client = client;
                client.write_all(piece).unwrap();
            }
            finish(client);
        });
        let (mut client, mut echoed) = (client, Vec::new());
        client.read_to_end(&mut echoed).unwrap();
        assert!(echoed == stream, "{} bytes of {} came back", echoed.len(), stream.len());
    });
}

impl Client for TcpStream {
    fn converse(&self, stream: &[u8]) {
        converse(self, stream, |client| client.shutdown(std::net::Shutdown::Write).unwrap());
    }
}

impl Client for UnixStream {
    fn converse(&self, stream: &[u8]) {
        converse(self, stream, |client| client.shutdown(std::net::Shutdown::Write).unwrap());
    }
}

/// Everything that can be pending, is: unread data, data read in part, a full pipe, a paused source,
/// a disarmed one, a timer, a job, and a change of interest that was not applied yet.
#[test]
fn whatever_is_pending_moves_with_the_switch() {
    on_every_two(|from, to| {
        let mut reactor = from.reactor(Vec::new());
        let one_byte = |source: &mut Source<UnixStream>, cx: &mut Context<Vec<u8>>| {
            let mut byte = [0];
            if source.read(&mut byte)? > 0 {
                cx.state.push(byte[0]);
            }
            Ok(Next::Keep)
        };
        let mut peers = Vec::new();
        let mut source = |bytes: &[u8]| {
            let (mine, mut theirs) = unix_pair();
            theirs.write_all(bytes).unwrap();
            peers.push(theirs);
            mine
        };
        add(&mut reactor, source(b"ab"), Interest::READ, one_byte);
        let disarmed = add(&mut reactor, source(b"cd"), Interest::READ, move |source, cx| {
            one_byte(source, cx).map(|_| Next::Disarm)
        });
        reactor.turn(Deadline::after(LONG)).unwrap();
        reactor.state_mut().sort_unstable();
        assert_eq!(*reactor.state(), b"ac");

        let unread = add(&mut reactor, source(b"e"), Interest::READ, one_byte);
        let paused = add(&mut reactor, source(b"f"), Interest::NONE, one_byte);
        let resumed = add(&mut reactor, source(b"g"), Interest::NONE, one_byte);
        reactor.context().set_interest(resumed, Interest::READ).unwrap();
        reactor
            .context()
            .set_timer(Instant::now(), |cx: &mut Context<Vec<u8>>| cx.state.push(b't'));
        reactor.handle().post(|cx| cx.state.push(b'j')).unwrap();

        reactor.context().switch_to(to.backend).unwrap();
        to.check(&mut reactor);
        assert_eq!(reactor.context().interest(unread), Some(Interest::READ));
        drive(&mut reactor, 5, |got| got.len() == 7);
        reactor.state_mut().sort_unstable();
        assert_eq!(*reactor.state(), b"abcegjt");
        reactor.turn(Deadline::Now).unwrap();
        assert_quiet(&mut reactor);

        reactor.context().switch_to(from.backend).unwrap();
        from.check(&mut reactor);
        reactor.turn(Deadline::Now).unwrap(); // on edge all is told anew, and called is nobody
        assert_eq!(reactor.state().len(), 7);
        reactor.context().arm(disarmed).unwrap();
        reactor.context().set_interest(paused, Interest::READ).unwrap();
        drive(&mut reactor, 5, |got| got.len() == 9);
        reactor.state_mut().sort_unstable();
        assert_eq!(*reactor.state(), b"abcdefgjt");
        assert_eq!(reactor.context().counters().switches, 2);
        assert_eq!(reactor.context().counters().stale, 0);
    });
}

#[test]
fn a_handler_can_switch_in_the_middle_of_a_batch() {
    on_every_two(|from, to| {
        let mut reactor = from.reactor(0_u32);
        let mut peers = Vec::new();
        for _ in 0..6 {
            let (mine, mut theirs) = unix_pair();
            theirs.write_all(b"xyz").unwrap();
            peers.push(theirs);
            add(&mut reactor, mine, Interest::READ, move |source, cx: &mut Context<u32>| {
                // In the middle of its reading.
                *cx.state += source.read(&mut [0; 2])? as u32;
                let next = if cx.backend() == from.backend.name() { to } else { from };
                cx.switch_to(next.backend)?;
                *cx.state += source.read(&mut [0; 2])? as u32;
                Ok(Next::Keep)
            });
        }
        drive(&mut reactor, 5, |read| *read == 18);
        // One call each may follow that finds nothing.
        reactor.turn(Deadline::Now).unwrap();
        assert_quiet(&mut reactor);
        assert_eq!(reactor.context().counters().errors, 0);
    });
}

#[test]
fn a_switch_that_fails_changes_nothing() {
    on_every_two(|from, to| {
        let mut reactor = from.reactor(Vec::new());
        let (mine, mut theirs) = tcp_pair();
        let (other, mut others_peer) = tcp_pair();
        let token = add(&mut reactor, mine, Interest::READ, collect);
        add(&mut reactor, other, Interest::READ, collect);
        let_settle(&mut reactor);
        // The reactor's own two and one of the sources are taken, and then no more.
        for taken in 0..4 {
            let faults = Faults::default();
            faults.plan().refuse_add_after = Some(taken);
            let refusing = Box::new(faults.of(to.backend));
            let error = reactor.context().switch_to_selector(refusing).unwrap_err();
            assert_eq!(error.to_string(), "no watches left");
            from.check(&mut reactor);
        }
        assert_eq!(reactor.context().counters().switches, 0);
        assert_quiet(&mut reactor);
        theirs.write_all(b"one ").unwrap();
        drive(&mut reactor, 3, |read| read.len() == 4);
        others_peer.write_all(b"two").unwrap();
        drive(&mut reactor, 3, |read| read == b"one two");
        // What a change of interest costs is as before, too: nothing on edge.
        let before = reactor.context().counters();
        let cx = &mut reactor.context();
        cx.set_interest(token, Interest::READ | Interest::WRITE).unwrap();
        reactor.turn(Deadline::Now).unwrap();
        let controls = grown(reactor.context().counters(), before, |counters| counters.controls);
        let expected = from.changes_cost() && from.effective_trigger() == Trigger::Level;
        assert_eq!(controls, u64::from(expected));
    });
}

/// A timer that is set, and a bell that can ring, on the new backend.
#[test]
fn timers_and_wakes_work_after_a_switch() {
    on_every_two(|from, to| {
        let mut reactor: Reactor<u32> = from.reactor(0);
        let soon = Instant::now() + Duration::from_millis(5);
        reactor.context().set_timer(soon, |cx: &mut Context<u32>| *cx.state += 1);
        reactor.turn(Deadline::Now).unwrap();
        reactor.context().switch_to(to.backend).unwrap();
        drive(&mut reactor, 3, |state| *state == 1);
        assert!(Instant::now() >= soon);
        let (handle, sleeper) = (reactor.handle(), rustix::thread::gettid());
        let waker = thread::spawn(move || {
            await_sleep(sleeper);
            handle.post(|cx| *cx.state += 1)
        });
        drive(&mut reactor, 3, |state| *state == 2);
        waker.join().unwrap().unwrap();
        assert_eq!(reactor.context().counters().wakes, 1);
        to.check(&mut reactor);
    });
}
