//! What a connection and a listener have done, seen from outside. On every backend and trigger.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use support::reactor::drive;
use support::sockets::{reset, tcp_pair, unix_pair};
use support::{LONG, Pair, expect_panic, on_every_pair, on_every_pair_and_noise};
use tripoll::net::framing::{FrameProtocol, FrameWire, Lines};
use tripoll::net::{
    Closed, Connection, ConnectionFigures, ConnectionState, Listener, Protocol, Stream, Wire,
};
use tripoll::pool::{Pool, WhenFull};
use tripoll::reactor::ManualClock;
use tripoll::{Context, Deadline, Reactor, Token};

/// What the tests see.
#[derive(Debug)]
enum Seen {
    During(Option<ConnectionFigures>),
    After(ConnectionFigures, String, Duration),
    Closed,
}

/// Sends back so many times as much as it receives.
struct Echo(usize);

impl Protocol<Vec<Seen>> for Echo {
    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        cx: &mut Context<'_, Vec<Seen>>,
    ) -> io::Result<usize> {
        wire.write(&data.repeat(self.0));
        cx.state.push(Seen::During(wire.figures()));
        Ok(data.len())
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<'_, Vec<Seen>>) {
        if let Some(figures) = &closed.figures {
            assert_eq!(closed.token, Some(figures.token));
            let age = figures.age(cx.now());
            cx.state.push(Seen::After(figures.clone(), closed.reason.to_string(), age));
        }
        cx.state.push(Seen::Closed);
    }
}

fn begin(
    pair: Pair,
    connection: Connection<Echo>,
) -> (Reactor<Vec<Seen>>, ManualClock, Token, std::os::unix::net::UnixStream) {
    let clock = ManualClock::new();
    let mut reactor = pair.build(pair.builder().clock(clock.clone()), Vec::new());
    let (here, there) = unix_pair();
    let token = connection.serve(Stream::from(here), &mut reactor.context()).unwrap().token();
    (reactor, clock, token, there)
}

#[test]
fn a_measured_connection_tells_its_bytes_and_its_age_during_a_call_and_at_its_end() {
    on_every_pair_and_noise(|pair| {
        let connection = Connection::new(Echo(2)).measured();
        let (mut reactor, clock, token, mut there) = begin(pair, connection);
        let began = reactor.context().now();
        there.write_all(b"hello").unwrap();
        drive(&mut reactor, 5, |seen| !seen.is_empty());
        let Seen::During(Some(figures)) = &reactor.state()[0] else { panic!() };
        assert_eq!((figures.token, figures.opened_at), (token, began));
        assert_eq!((figures.received, figures.state), (5, ConnectionState::Open));

        clock.advance(Duration::from_secs(90));
        there.read_exact(&mut [0; 10]).unwrap();
        there.write_all(b"abc").unwrap();
        there.shutdown(Shutdown::Write).unwrap();
        drive(&mut reactor, 10, |seen| matches!(seen.last(), Some(Seen::Closed)));
        let [.., Seen::After(figures, why, age), Seen::Closed] = &reactor.state()[..] else {
            panic!("{:?}", reactor.state());
        };
        assert_eq!((figures.received, figures.sent, &**why), (8, 16, "closed"));
        assert_eq!((*age, figures.state), (Duration::from_secs(90), ConnectionState::Closed));
        assert_eq!(figures.to_string(), "(unnamed) received 8 bytes, sent 16");
        let count = reactor.state().iter().filter(|seen| matches!(seen, Seen::After(..))).count();
        assert_eq!(count, 1);
    });
}

#[test]
fn what_a_closed_connection_discards_before_a_reset_counts() {
    on_every_pair(|pair| {
        let (here, mut there) = tcp_pair();
        let mut reactor = pair.reactor(Vec::new());
        let connection = Connection::new(Echo(1)).measured();
        connection.serve(Stream::from(here), &mut reactor.context()).unwrap();
        there.write_all(b"hello").unwrap();
        drive(&mut reactor, 1_000, |seen| !seen.is_empty());
        reactor.context().shutdown(LONG);
        reactor.turn(Deadline::Now).unwrap(); // it is closed, and waits for the end of the peer
        there.write_all(&[b'.'; 1 << 16]).unwrap();
        reset(there);
        drive(&mut reactor, 1_000, |seen| matches!(seen.last(), Some(Seen::Closed)));
        let [.., Seen::After(figures, why, _), Seen::Closed] = &reactor.state()[..] else {
            panic!("{:?}", reactor.state());
        };
        assert_eq!((figures.received, &**why), (5 + (1 << 16), "closed"));
    });
}

/// What the kernel takes later counts when it takes it, and what it never takes does not count.
#[test]
fn output_counts_when_the_kernel_has_taken_it() {
    on_every_pair(|pair| {
        let connection = Connection::new(Echo(4 << 20)).measured();
        let (mut reactor, _, _, mut there) = begin(pair, connection);
        there.write_all(b"x").unwrap();
        drive(&mut reactor, 5, |seen| !seen.is_empty());
        let mut read = 0;
        while read < 4 << 20 {
            let mut buffer = vec![0; 1 << 20];
            match there.read(&mut buffer) {
                Ok(count) => read += count,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            reactor.turn(Deadline::Now).unwrap();
            there.set_nonblocking(true).unwrap();
        }
        there.set_nonblocking(false).unwrap();
        there.write_all(b"y").unwrap();
        drive(&mut reactor, 20, |seen| seen.len() == 2);
        drop(there); // it has not read the second answer
        drive(&mut reactor, 20, |seen| matches!(seen.last(), Some(Seen::Closed)));
        let [.., Seen::After(figures, ..), Seen::Closed] = &reactor.state()[..] else { panic!() };
        assert_eq!(figures.received, 2);
        assert!((4 << 20..8 << 20).contains(&figures.sent), "{figures:?}");
    });
}

#[test]
fn a_connection_that_is_not_measured_has_no_figures() {
    on_every_pair(|pair| {
        let (mut reactor, _, _, mut there) = begin(pair, Connection::new(Echo(1)));
        there.write_all(b"hello").unwrap();
        there.shutdown(Shutdown::Write).unwrap();
        drive(&mut reactor, 10, |seen| matches!(seen.last(), Some(Seen::Closed)));
        let state = reactor.state();
        assert!(matches!(state[..], [Seen::During(None), Seen::Closed]), "{state:?}");
    });
}

/// A frame protocol is called, too, whatever its box.
#[test]
fn the_figures_reach_a_boxed_frame_protocol() {
    struct Quiet;

    impl FrameProtocol<Vec<u64>> for Quiet {
        fn frame(
            &mut self,
            wire: &mut FrameWire<'_, '_>,
            _: &[u8],
            cx: &mut Context<'_, Vec<u64>>,
        ) -> io::Result<()> {
            cx.state.extend(wire.figures().map(|figures| figures.received));
            Ok(())
        }

        fn closed(&mut self, closed: &Closed, cx: &mut Context<'_, Vec<u64>>) {
            cx.state.extend(closed.figures.as_ref().map(|figures| figures.received));
        }
    }

    on_every_pair(|pair| {
        let mut reactor = pair.reactor(Vec::new());
        let (here, mut there) = unix_pair();
        let quiet: Box<dyn FrameProtocol<Vec<u64>>> = Box::new(Quiet);
        let boxed: Box<dyn Protocol<Vec<u64>>> = Box::new(Lines::new(quiet));
        let connection = Connection::new(boxed).measured();
        connection.serve(Stream::from(here), &mut reactor.context()).unwrap();
        there.write_all(b"line\n").unwrap();
        there.shutdown(Shutdown::Write).unwrap();
        drive(&mut reactor, 10, |seen| seen.len() == 2);
        assert_eq!(*reactor.state(), [5, 5]);
    });
}

fn listener() -> (Listener, String) {
    let listener = Listener::builder().max_connections(2).bind("127.0.0.1:0").unwrap();
    let address = listener.local_address().to_string();
    (listener, address)
}

#[test]
fn a_listeners_meter_counts_what_it_accepts_refuses_and_leaves_waiting() {
    expect_panic("the second client");
    on_every_pair(|pair| {
        let (listener, address) = listener();
        let meter = listener.meter();
        let mut reactor = pair.reactor(Vec::<Stream>::new());
        let mut number = 0;
        let accepted = move |stream, cx: &mut Context<'_, Vec<Stream>>| {
            number += 1;
            if number == 2 {
                panic!("the second client");
            }
            if number == 1 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            cx.state.push(stream);
            Ok(())
        };
        listener.serve(&mut reactor.context(), accepted).unwrap();
        let _clients = [(); 5].map(|()| TcpStream::connect(&address).unwrap());
        let counters = || meter.counters();
        drive(&mut reactor, 20, |_| counters().paused_at_limit > 0);
        let now = counters();
        assert_eq!((now.accepted, now.refused, now.alive, now.shed, now.pauses), (4, 2, 2, 0, 0));
        reactor.state_mut().clear();
        assert_eq!(counters().alive, 0);
        drive(&mut reactor, 20, |_| counters().accepted == 5);
        assert_eq!((counters().alive, counters().refused), (1, 2));
    });
}

#[test]
fn a_pool_that_is_full_refuses_and_the_meter_knows() {
    on_every_pair(|pair| {
        let (listener, address) = listener();
        let meter = listener.meter();
        let mut reactor = pair.reactor(());
        let pool = Arc::new(Pool::new(1, 0).unwrap());
        let read = |mut stream: Stream| stream.read(&mut [0]).map(drop);
        listener.serve_in_pool(&pool, WhenFull::Shed, &mut reactor.context(), read).unwrap();
        let first = TcpStream::connect(&address).unwrap();
        let second = TcpStream::connect(&address).unwrap();
        drive(&mut reactor, 20, |()| meter.counters().accepted == 2);
        assert_eq!((meter.counters().refused, meter.counters().alive), (1, 1));
        reset(second);
        drop(first);
        pool.drain(LONG).unwrap();
        assert_eq!(meter.counters().alive, 0);
    });
}
