//! Protocols of datagrams in a reactor, on every backend and trigger.

use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use support::{LONG, Pair, on_every_pair, on_every_pair_and_noise};
use tripoll::net::{
    Address, DatagramEndpoint, DatagramProtocol, DatagramSocket, DatagramWire, ReceivedDatagram,
    Watermarks,
};
use tripoll::reactor::{Budget, Id, ManualClock};
use tripoll::{Context, Deadline, Reactor};

use crate::listener::{Directory, unix};

/// A call of a protocol's method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    Opened,
    Received { data: Vec<u8>, truncated: bool },
    Error(ErrorKind, Option<Address>),
    BelowLowMark,
    TimedOut,
    Notified,
    Closed(Option<ErrorKind>),
}

pub type Log = Vec<Call>;

/// Reports its calls, and reacts to each.
pub struct Scripted<F>(pub F);

pub trait Script: FnMut(&Call, Option<&Address>, &mut DatagramWire<'_>) -> io::Result<()> {}
impl<T: FnMut(&Call, Option<&Address>, &mut DatagramWire<'_>) -> io::Result<()>> Script for T {}

impl<F: Script> Scripted<F> {
    fn act(
        &mut self,
        call: Call,
        from: Option<&Address>,
        wire: &mut DatagramWire<'_>,
        cx: &mut Context<'_, Log>,
    ) -> io::Result<()> {
        let result = (self.0)(&call, from, wire);
        cx.state.push(call);
        result
    }
}

impl<F: Script> DatagramProtocol<Log> for Scripted<F> {
    fn opened(&mut self, wire: &mut DatagramWire, cx: &mut Context<'_, Log>) -> io::Result<()> {
        self.act(Call::Opened, None, wire, cx)
    }

    fn received(
        &mut self,
        wire: &mut DatagramWire,
        datagram: ReceivedDatagram,
        cx: &mut Context<'_, Log>,
    ) -> io::Result<()> {
        let ReceivedDatagram { data, from, truncated, .. } = datagram;
        self.act(Call::Received { data: data.to_vec(), truncated }, Some(&from), wire, cx)
    }

    fn error_received(
        &mut self,
        wire: &mut DatagramWire,
        error: &io::Error,
        to: Option<&Address>,
        cx: &mut Context<'_, Log>,
    ) -> io::Result<()> {
        self.act(Call::Error(error.kind(), to.cloned()), None, wire, cx)
    }

    fn below_low_mark(
        &mut self,
        wire: &mut DatagramWire,
        cx: &mut Context<'_, Log>,
    ) -> io::Result<()> {
        self.act(Call::BelowLowMark, None, wire, cx)
    }

    fn timed_out(&mut self, wire: &mut DatagramWire, cx: &mut Context<'_, Log>) -> io::Result<()> {
        self.act(Call::TimedOut, None, wire, cx)
    }

    fn notified(&mut self, wire: &mut DatagramWire, cx: &mut Context<'_, Log>) -> io::Result<()> {
        self.act(Call::Notified, None, wire, cx)
    }

    fn closed(&mut self, error: Option<&io::Error>, cx: &mut Context<'_, Log>) {
        cx.state.push(Call::Closed(error.map(io::Error::kind)));
    }
}

/// Turns until `is_done`.
pub fn drive(reactor: &mut Reactor<Log>, mut is_done: impl FnMut(&Log) -> bool) {
    let give_up = Instant::now() + LONG;
    while !is_done(reactor.state_mut()) {
        assert!(Instant::now() < give_up, "{:?}", reactor.state());
        reactor.turn(Deadline::At(Instant::now() + Duration::from_millis(50))).unwrap();
    }
}

pub fn bound() -> DatagramSocket {
    DatagramSocket::bind("127.0.0.1:0").unwrap()
}

pub fn client() -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client
}

fn inet(socket: &DatagramSocket) -> std::net::SocketAddr {
    let Address::Inet(address) = *socket.local_address() else { panic!() };
    address
}

fn received(data: &[u8]) -> Call {
    Call::Received { data: data.to_vec(), truncated: false }
}

fn count(log: &Log, call: &Call) -> usize {
    log.iter().filter(|made| *made == call).count()
}

fn echo(call: &Call, from: Option<&Address>, wire: &mut DatagramWire<'_>) -> io::Result<()> {
    if let (Call::Received { data, .. }, Some(from)) = (call, from) {
        wire.send_to(data, from);
    }
    Ok(())
}

#[test]
fn each_datagram_is_received_once_an_empty_one_too_and_a_long_one_is_told_to_be_truncated() {
    on_every_pair_and_noise(|pair| {
        let socket = bound();
        let address = inet(&socket);
        let mut reactor = pair.reactor(Log::new());
        let endpoint = DatagramEndpoint::new(Scripted(echo)).max_size(4);
        endpoint.serve(socket, &mut reactor.context()).unwrap();
        let client = client();
        for data in [&b"four"[..], b"", b"longer"] {
            client.send_to(data, address).unwrap();
        }
        drive(&mut reactor, |log| log.len() >= 4);
        let long = Call::Received { data: b"long".into(), truncated: true };
        assert_eq!(*reactor.state(), [Call::Opened, received(b"four"), received(b""), long]);
        for data in [&b"four"[..], b"", b"long"] {
            let mut buffer = [0; 8];
            let size = client.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..size], data);
        }
    });
}

#[test]
fn a_flood_is_served_within_the_budget_and_no_call_is_idle() {
    on_every_pair(|pair| {
        let (socket, other) = (bound(), bound());
        let (address, to_other) = (inet(&socket), inet(&other));
        let builder = pair.builder().budget(Budget::new(8, 1 << 20));
        let mut reactor = pair.build(builder, Log::new());
        for socket in [socket, other] {
            let endpoint = DatagramEndpoint::new(Scripted(
                |_: &Call, _: Option<&Address>, _: &mut DatagramWire<'_>| Ok(()),
            ));
            endpoint.serve(socket, &mut reactor.context()).unwrap();
        }
        reactor.turn(Deadline::Now).unwrap();
        let client = client();
        for _ in 0..50 {
            client.send_to(b"flood", address).unwrap();
        }
        client.send_to(b"one", to_other).unwrap();
        drive(&mut reactor, |log| log.contains(&received(b"one")));
        assert!(count(reactor.state(), &received(b"flood")) <= 16, "{:?}", reactor.state());
        drive(&mut reactor, |log| count(log, &received(b"flood")) == 50);
        let counters = reactor.context().counters();
        assert_eq!((counters.idle, counters.panics, counters.errors), (0, 0, 0), "{counters:?}");
    });
}

#[test]
fn a_refusal_and_a_sender_without_an_address_are_errors_that_end_no_socket() {
    on_every_pair_and_noise(|pair| {
        // A connected UDP socket whose peer is not there yet.
        let socket = bound();
        let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        socket.connect(&Address::Inet(gone)).unwrap();
        let own = inet(&socket);
        let mut reactor = pair.reactor(Log::new());
        let protocol = |call: &Call, _: Option<&Address>, wire: &mut DatagramWire<'_>| {
            if matches!(call, Call::Opened | Call::Notified) {
                wire.send(b"hello");
            }
            Ok(())
        };
        let endpoint = DatagramEndpoint::new(Scripted(protocol));
        let token = endpoint.serve(socket, &mut reactor.context()).unwrap().token();
        let refused = Call::Error(ErrorKind::ConnectionRefused, None);
        drive(&mut reactor, |log| log.contains(&refused));
        if let Ok(peer) = UdpSocket::bind(gone) {
            peer.set_read_timeout(Some(LONG)).unwrap();
            reactor.context().notify(token).unwrap();
            drive(&mut reactor, |log| log.contains(&Call::Notified));
            assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 5);
            peer.send_to(b"answer", own).unwrap();
            drive(&mut reactor, |log| log.contains(&received(b"answer")));
        }

        let directory = Directory::new("unnamed");
        let path = directory.at("socket");
        let socket = DatagramSocket::bind(unix(&path)).unwrap();
        DatagramEndpoint::new(Scripted(echo)).serve(socket, &mut reactor.context()).unwrap();
        UnixDatagram::unbound().unwrap().send_to(b"unnamed", &path).unwrap();
        let unsent = Call::Error(ErrorKind::NotConnected, Some(Address::Unnamed));
        drive(&mut reactor, |log| log.contains(&unsent));
        assert_eq!(reactor.context().len(), 2);
    });
}

#[test]
fn what_there_is_no_room_for_waits_in_order_and_the_low_mark_is_told() {
    on_every_pair_and_noise(|pair| {
        let (socket, receiver) = (bound(), client());
        let to = Address::Inet(receiver.local_addr().unwrap());
        let address = inet(&socket);
        // With this budget there is room for three datagrams in each call.
        let mut reactor = pair.build(pair.builder().budget(Budget::new(3, 1 << 20)), Log::new());
        let protocol = move |call: &Call, _: Option<&Address>, wire: &mut DatagramWire<'_>| {
            match call {
                Call::Opened => {
                    for number in 0..20_u8 {
                        wire.send_to(&[number], &to);
                    }
                    assert_eq!(wire.unsent(), 17 * 129);
                }
                Call::BelowLowMark => assert_eq!(wire.unsent(), 2 * 129),
                _ => {}
            }
            Ok(())
        };
        let endpoint = DatagramEndpoint::new(Scripted(protocol)).watermarks(Watermarks::new(
            2 * 129,
            10 * 129 + 1, // it never has exactly this size
            100 * 129,
        ));
        endpoint.serve(socket, &mut reactor.context()).unwrap();
        receiver.send_to(b"meanwhile", address).unwrap();
        drive(&mut reactor, |log| log.contains(&received(b"meanwhile")));
        // Above the high mark it has not received.
        assert_eq!(*reactor.state(), [Call::Opened, Call::BelowLowMark, received(b"meanwhile")],);
        for number in 0..20 {
            let mut buffer = [0; 8];
            assert_eq!((receiver.recv(&mut buffer).unwrap(), buffer[0]), (1, number));
        }
    });
}

/// A receiver that reads nothing yet, with a name in `directory`.
pub fn silent(directory: &Directory, name: &str) -> (UnixDatagram, Address) {
    let path = directory.at(name);
    let receiver = UnixDatagram::bind(&path).unwrap();
    receiver.set_nonblocking(true).unwrap();
    (receiver, unix(&path))
}

#[test]
fn a_unix_receiver_without_room_delays_no_other_and_gets_all_in_order_when_it_reads() {
    on_every_pair_and_noise(|pair| {
        let directory = Directory::new("patient");
        let (silent, to_silent) = silent(&directory, "silent");
        let (slow, to_slow) = self::silent(&directory, "slow");
        let quick = UnixDatagram::bind(directory.at("quick")).unwrap();
        quick.set_read_timeout(Some(LONG)).unwrap();
        let path = directory.at("socket");
        let socket = DatagramSocket::bind(unix(&path)).unwrap();
        let mut reactor = pair.reactor(Log::new());
        let protocol = move |call: &Call, from: Option<&Address>, wire: &mut DatagramWire<'_>| {
            if *call == Call::Opened {
                for to in [&to_silent, &to_slow] {
                    let (before, mut number) = (wire.unsent(), 0_u32);
                    while wire.unsent() == before {
                        wire.send_to(&number.to_be_bytes(), to);
                        number += 1;
                    }
                    wire.send_to(b"last", to);
                }
            }
            echo(call, from, wire)
        };
        let endpoint = DatagramEndpoint::new(Scripted(protocol)).send_timeout(Duration::MAX);
        endpoint.serve(socket, &mut reactor.context()).unwrap();
        quick.send_to(b"quick", &path).unwrap();
        drive(&mut reactor, |log| log.contains(&received(b"quick")));
        assert_eq!(quick.recv(&mut [0; 8]).unwrap(), 5);
        // What waits for the slow one is behind what waits for the silent one.
        for receiver in [slow, silent] {
            let (mut next, mut has_last) = (0_u32, false);
            drive(&mut reactor, |_| {
                let mut buffer = [0; 8];
                while let Ok(size) = receiver.recv(&mut buffer) {
                    has_last = &buffer[..size] == b"last";
                    if !has_last {
                        assert_eq!(buffer[..size], next.to_be_bytes());
                        next += 1;
                    }
                }
                has_last
            });
        }
        assert!(!reactor.state().iter().any(|call| matches!(call, Call::Error(..))));
    });
}

/// What waits is looked at when it can be sent, and not for each datagram that comes.
#[test]
fn a_full_queue_of_a_silent_receiver_costs_the_others_no_time() {
    const WAITING: usize = 20_000;
    on_every_pair(|pair| {
        for time in [Duration::MAX, Duration::from_secs(600)] {
            let directory = Directory::new("crowded");
            let (_silent, to_silent) = silent(&directory, "silent");
            let quick = UnixDatagram::bind(directory.at("quick")).unwrap();
            quick.set_read_timeout(Some(LONG)).unwrap();
            let path = directory.at("socket");
            let socket = DatagramSocket::bind(unix(&path)).unwrap();
            let mut reactor = pair.reactor(Log::new());
            let protocol =
                move |call: &Call, from: Option<&Address>, wire: &mut DatagramWire<'_>| {
                    if *call == Call::Opened {
                        while wire.unsent() < WAITING * 129 {
                            wire.send_to(b"x", &to_silent);
                        }
                    }
                    echo(call, from, wire)
                };
            let endpoint = DatagramEndpoint::new(Scripted(protocol)).send_timeout(time);
            endpoint.serve(socket, &mut reactor.context()).unwrap();
            reactor.turn(Deadline::Now).unwrap();
            let before = thread_time();
            for round in 1..=500 {
                quick.send_to(b"quick", &path).unwrap();
                drive(&mut reactor, |log| count(log, &received(b"quick")) == round);
                assert_eq!(quick.recv(&mut [0; 8]).unwrap(), 5);
            }
            // It is a few hundredths of a second. It was seconds, with each datagram looked at.
            let took = thread_time() - before;
            assert!(took < Duration::from_millis(500), "{took:?} on {pair}");
        }
    });
}

/// Returns how long this thread has been running.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn a_datagram_that_waits_too_long_or_finds_the_queue_full_is_dropped_with_an_error() {
    on_every_pair_and_noise(|pair| {
        let directory = Directory::new("dropped");
        let (_silent, to) = silent(&directory, "silent");
        let receiver = to.clone();
        let socket = DatagramSocket::bind(unix(&directory.at("socket"))).unwrap();
        let mut reactor = pair.reactor(Log::new());
        let protocol = move |call: &Call, _: Option<&Address>, wire: &mut DatagramWire<'_>| {
            if *call == Call::Opened {
                while wire.unsent() == 0 {
                    wire.send_to(b"x", &to);
                }
                // Its share of the queue is a half. Two more are too many.
                for _ in 0..12 {
                    wire.send_to(b"x", &to);
                }
            }
            Ok(())
        };
        let endpoint = DatagramEndpoint::new(Scripted(protocol))
            .watermarks(Watermarks::new(129, 2 * 129, 20 * 129))
            .send_timeout(Duration::from_millis(20));
        endpoint.serve(socket, &mut reactor.context()).unwrap();
        let expired = Call::Error(ErrorKind::TimedOut, Some(receiver.clone()));
        drive(&mut reactor, |log| log.contains(&Call::BelowLowMark));
        drive(&mut reactor, |log| count(log, &expired) == 11);
        let full = Call::Error(ErrorKind::StorageFull, Some(receiver));
        assert_eq!(count(reactor.state(), &full), 2);
        assert_eq!(reactor.context().timers(), 0);
    });
}

/// Serves one endpoint with the script until it is closed.
fn until_closed(pair: Pair, script: impl Script + 'static, shut_down: bool) -> Log {
    let socket = bound();
    let address = inet(&socket);
    let mut reactor = pair.reactor(Log::new());
    DatagramEndpoint::new(Scripted(script)).serve(socket, &mut reactor.context()).unwrap();
    let client = client();
    if shut_down {
        drive(&mut reactor, |log| log.contains(&Call::Opened));
        reactor.context().shutdown(LONG);
    } else {
        client.send_to(b"end", address).unwrap();
    }
    drive(&mut reactor, |log| matches!(log.last(), Some(Call::Closed(_))));
    assert_eq!(reactor.context().len(), 0);
    std::mem::take(reactor.state_mut())
}

#[test]
fn it_is_closed_by_its_protocol_by_an_error_and_by_a_shutdown() {
    on_every_pair_and_noise(|pair| {
        let close = |call: &Call, _: Option<&Address>, wire: &mut DatagramWire<'_>| {
            if let Call::Received { .. } = call {
                wire.close();
            }
            Ok(())
        };
        let log = until_closed(pair, close, false);
        assert_eq!(log, [Call::Opened, received(b"end"), Call::Closed(None)]);

        let fail = |call: &Call, _: Option<&Address>, _: &mut DatagramWire<'_>| match call {
            Call::Received { .. } => Err(io::Error::other("no")),
            _ => Ok(()),
        };
        let log = until_closed(pair, fail, false);
        assert_eq!(log, [Call::Opened, received(b"end"), Call::Closed(Some(ErrorKind::Other))]);

        let nothing = |_: &Call, _: Option<&Address>, _: &mut DatagramWire<'_>| Ok(());
        assert_eq!(until_closed(pair, nothing, true), [Call::Opened, Call::Closed(None)]);
    });
}

#[test]
fn a_paused_one_receives_nothing_until_it_resumes_and_has_a_deadline_of_its_users() {
    on_every_pair_and_noise(|pair| {
        let socket = bound();
        let address = inet(&socket);
        let mut reactor = pair.reactor(Log::new());
        let protocol = |call: &Call, _: Option<&Address>, wire: &mut DatagramWire<'_>| {
            match call {
                Call::Opened => wire.pause(),
                Call::TimedOut => wire.resume(),
                _ => {}
            }
            Ok(())
        };
        let endpoint = DatagramEndpoint::new(Scripted(protocol));
        let token = endpoint.serve(socket, &mut reactor.context()).unwrap().token();
        client().send_to(b"early", address).unwrap();
        for _ in 0..5 {
            reactor.turn(Deadline::Now).unwrap();
        }
        assert_eq!(*reactor.state(), [Call::Opened]);
        reactor.context().set_deadline(token, Some(Instant::now())).unwrap();
        drive(&mut reactor, |log| log.len() == 3);
        assert_eq!(*reactor.state(), [Call::Opened, Call::TimedOut, received(b"early")]);
    });
}

#[test]
fn a_deadline_that_the_wire_sets_comes_and_one_that_it_removes_does_not() {
    on_every_pair(|pair| {
        let clock = ManualClock::new();
        let mut reactor = pair.build(pair.builder().clock(clock.clone()), Log::new());
        let minute = Duration::from_secs(60);
        let protocol = move |call: &Call, _: Option<&Address>, wire: &mut DatagramWire<'_>| {
            match call {
                Call::Opened | Call::TimedOut => wire.set_deadline(Some(minute)),
                Call::Notified => wire.set_deadline(None),
                _ => {}
            }
            Ok(())
        };
        let endpoint = DatagramEndpoint::new(Scripted(protocol));
        let token = endpoint.serve(bound(), &mut reactor.context()).unwrap().token();
        reactor.turn(Deadline::Now).unwrap();
        for expected in [1, 2] {
            clock.advance(minute);
            reactor.turn(Deadline::Now).unwrap();
            assert_eq!(count(reactor.state(), &Call::TimedOut), expected);
        }
        reactor.context().notify(token).unwrap();
        reactor.turn(Deadline::Now).unwrap();
        assert_eq!(count(reactor.state(), &Call::Notified), 1);
        clock.advance(minute);
        reactor.turn(Deadline::Now).unwrap();
        assert_eq!(count(reactor.state(), &Call::TimedOut), 2);
    });
}

/// Counts what it is told.
struct Told(u32);

impl DatagramProtocol<u32> for Told {
    fn received(
        &mut self,
        _: &mut DatagramWire,
        _: ReceivedDatagram,
        _: &mut Context<'_, u32>,
    ) -> io::Result<()> {
        Ok(())
    }
}

/// Another protocol.
struct Other;

impl DatagramProtocol<u32> for Other {
    fn received(
        &mut self,
        _: &mut DatagramWire,
        _: ReceivedDatagram,
        _: &mut Context<'_, u32>,
    ) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_datagram_protocol_is_told_something_with_its_wire_until_it_closes() {
    on_every_pair(|pair| {
        let directory = Directory::new("told");
        let (_receiver, to) = silent(&directory, "silent");
        let socket = DatagramSocket::bind(unix(&directory.at("socket"))).unwrap();
        let mut reactor = pair.reactor(0);
        let token =
            DatagramEndpoint::new(Told(0)).serve(socket, &mut reactor.context()).unwrap().token();
        let id: Id<DatagramEndpoint<Told>> = reactor.context().id(token).unwrap();
        for closes in [false, true, true] {
            let to = to.clone();
            let message = move |told: &mut Told, wire: &mut DatagramWire, cx: &mut Context<u32>| {
                told.0 += 1;
                *cx.state = told.0;
                while closes && wire.unsent() == 0 {
                    wire.send_to(b"the receiver has no room for all", &to);
                }
                if closes {
                    wire.close();
                }
                Ok(())
            };
            reactor.context().tell(id, message).unwrap();
        }
        reactor.turn(Deadline::Now).unwrap();
        assert_eq!(*reactor.state(), 2, "the third came after the close");
        assert_eq!(reactor.context().len(), 1, "it flushes its queue");
        let cx = reactor.context();
        assert!(cx.id::<(DatagramSocket, DatagramEndpoint<Told>)>(token).is_ok());
        let refused = cx.id::<DatagramEndpoint<Other>>(token).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    });
}
