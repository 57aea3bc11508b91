//! The callbacks of a protocol: each comes, whatever stands between the connection and the protocol,
//! and what each does by default.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use Call::*;
use support::sockets::unix_pair;
use support::*;
use tripoll::net::framing::{FrameProtocol, FrameWire, Lines};
use tripoll::net::testing::ProtocolTest;
use tripoll::net::{
    self, Connection, DatagramEndpoint, DatagramProtocol, DatagramSocket, DatagramWire, Protocol,
    ReceivedDatagram, Stream, Wire,
};
use tripoll::{Context, Deadline, Reactor, Token};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Call {
    Opened,
    Received,
    Ended,
    BelowLowMark,
    Drained,
    TimedOut,
    Notified,
    ShuttingDown,
    Closed,
}

type Calls = Vec<Call>;
type Cx<'a> = Context<'a, Calls>;

/// More than the kernel takes, and more than the high mark.
const MUCH: usize = 1 << 20;

/// Notes each call, and does nothing of what a callback does by default.
struct Notes;

impl Protocol<Calls> for Notes {
    fn opened(&mut self, _: &mut Wire, cx: &mut Cx) -> io::Result<()> {
        cx.state.push(Opened);
        Ok(())
    }

    fn received(&mut self, _: &mut Wire, data: &[u8], cx: &mut Cx) -> io::Result<usize> {
        cx.state.push(Received);
        Ok(data.len())
    }

    fn ended(&mut self, wire: &mut Wire, _: &[u8], cx: &mut Cx) -> io::Result<()> {
        cx.state.push(Ended);
        wire.close();
        Ok(())
    }

    fn below_low_mark(&mut self, _: &mut Wire, cx: &mut Cx) -> io::Result<()> {
        cx.state.push(BelowLowMark);
        Ok(())
    }

    fn drained(&mut self, _: &mut Wire, cx: &mut Cx) -> io::Result<()> {
        cx.state.push(Drained);
        Ok(())
    }

    fn timed_out(&mut self, _: &mut Wire, cx: &mut Cx) -> io::Result<()> {
        cx.state.push(TimedOut);
        Ok(())
    }

    fn notified(&mut self, wire: &mut Wire, cx: &mut Cx) -> io::Result<()> {
        cx.state.push(Notified);
        wire.write(&vec![b'.'; MUCH]);
        Ok(())
    }

    fn shutting_down(&mut self, _: &mut Wire, cx: &mut Cx) -> io::Result<()> {
        cx.state.push(ShuttingDown);
        Ok(())
    }

    fn closed(&mut self, _: &net::Closed, cx: &mut Cx) {
        cx.state.push(Closed);
    }
}

/// The same with frames.
struct FrameNotes;

impl FrameProtocol<Calls> for FrameNotes {
    fn opened(&mut self, _: &mut FrameWire, cx: &mut Cx) -> io::Result<()> {
        cx.state.push(Opened);
        Ok(())
    }

    fn frame(&mut self, _: &mut FrameWire, _: &[u8], cx: &mut Cx) -> io::Result<()> {
        cx.state.push(Received);
        Ok(())
    }

    fn ended(&mut self, wire: &mut FrameWire, cx: &mut Cx) -> io::Result<()> {
        cx.state.push(Ended);
        wire.close();
        Ok(())
    }

    fn below_low_mark(&mut self, _: &mut FrameWire, cx: &mut Cx) -> io::Result<()> {
        cx.state.push(BelowLowMark);
        Ok(())
    }

    fn drained(&mut self, _: &mut FrameWire, cx: &mut Cx) -> io::Result<()> {
        cx.state.push(Drained);
        Ok(())
    }

    fn timed_out(&mut self, _: &mut FrameWire, cx: &mut Cx) -> io::Result<()> {
        cx.state.push(TimedOut);
        Ok(())
    }

    fn notified(&mut self, wire: &mut FrameWire, cx: &mut Cx) -> io::Result<()> {
        cx.state.push(Notified);
        wire.send_frame(&vec![b'.'; MUCH - 1])
    }

    fn shutting_down(&mut self, _: &mut FrameWire, cx: &mut Cx) -> io::Result<()> {
        cx.state.push(ShuttingDown);
        Ok(())
    }

    fn closed(&mut self, _: &net::Closed, cx: &mut Cx) {
        cx.state.push(Closed);
    }
}

/// Turns until the protocol has had this call. The peer reads `unread` bytes meanwhile.
fn turn_until(call: Call, reactor: &mut Reactor<Calls>, peer: &mut UnixStream, unread: &mut usize) {
    let end = Instant::now() + LONG;
    let mut buffer = vec![0; 64 << 10];
    while !reactor.state().contains(&call) {
        assert!(Instant::now() < end, "{call:?} does not come after {:?}", reactor.state());
        if *unread > 0 {
            match peer.read(&mut buffer) {
                Ok(count) => *unread -= count,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        reactor.turn(Deadline::after(Duration::from_millis(1))).unwrap();
    }
}

/// Makes each callback happen once.
fn each_call_comes(pair: Pair, protocol: impl Protocol<Calls> + 'static) {
    let (mine, mut peer) = unix_pair();
    let mut reactor = pair.reactor(Calls::new());
    let connection = Connection::new(protocol);
    let id = connection.serve(Stream::from(mine), &mut reactor.context()).unwrap();
    let token: Token = id.token();
    let mut unread = 0;
    turn_until(Opened, &mut reactor, &mut peer, &mut unread);
    reactor.context().notify(token).unwrap();
    turn_until(Notified, &mut reactor, &mut peer, &mut unread);
    unread = MUCH;
    turn_until(Drained, &mut reactor, &mut peer, &mut unread);
    reactor.context().set_deadline(token, Some(Instant::now())).unwrap();
    turn_until(TimedOut, &mut reactor, &mut peer, &mut unread);
    peer.write_all(b"a\n").unwrap();
    turn_until(Received, &mut reactor, &mut peer, &mut unread);
    reactor.context().shutdown(LONG);
    turn_until(ShuttingDown, &mut reactor, &mut peer, &mut unread);
    peer.shutdown(Shutdown::Write).unwrap();
    turn_until(Closed, &mut reactor, &mut peer, &mut unread);
    let expected =
        [Opened, Notified, BelowLowMark, Drained, TimedOut, Received, ShuttingDown, Ended, Closed];
    assert_eq!(*reactor.state(), expected);
}

#[test]
fn a_protocol_gets_each_call_alone_and_in_a_box() {
    on_every_pair_and_noise(|pair| {
        each_call_comes(pair, Notes);
        let boxed: Box<dyn Protocol<Calls>> = Box::new(Notes);
        each_call_comes(pair, boxed);
    });
}

#[test]
fn a_frame_protocol_gets_each_call_alone_and_in_a_box() {
    on_every_pair_and_noise(|pair| {
        each_call_comes(pair, Lines::new(FrameNotes));
        let boxed: Box<dyn FrameProtocol<Calls>> = Box::new(FrameNotes);
        each_call_comes(pair, Lines::new(boxed));
    });
}

#[test]
fn a_protocol_in_a_test_gets_each_call() {
    let mut test = ProtocolTest::new(Notes, Calls::new()).unwrap();
    test.set_reads(false);
    test.notify();
    test.set_reads(true);
    assert_eq!(test.written().len(), MUCH);
    let (token, now) = (test.token(), test.context().now());
    test.context().set_deadline(token, Some(now + Duration::from_secs(1))).unwrap();
    test.advance(Duration::from_secs(1));
    test.receive(b"a");
    test.context().shutdown(LONG);
    assert_eq!(test.written(), b"");
    assert!(!test.is_closing()); // the protocol goes on
    test.end();
    let expected =
        [Opened, Notified, BelowLowMark, Drained, TimedOut, Received, ShuttingDown, Ended, Closed];
    assert_eq!(*test.state(), expected);
}

/// Has only what it must have, and notes why it was closed.
struct Plain;

type Ends = Vec<String>;

impl Protocol<Ends> for Plain {
    fn received(&mut self, _: &mut Wire, data: &[u8], _: &mut Context<Ends>) -> io::Result<usize> {
        Ok(data.len())
    }

    fn closed(&mut self, closed: &net::Closed, cx: &mut Context<Ends>) {
        cx.state.push(closed.to_string());
    }
}

impl FrameProtocol<Ends> for Plain {
    fn frame(&mut self, _: &mut FrameWire, _: &[u8], _: &mut Context<Ends>) -> io::Result<()> {
        Ok(())
    }

    fn closed(&mut self, closed: &net::Closed, cx: &mut Context<Ends>) {
        cx.state.push(closed.to_string());
    }
}

impl DatagramProtocol<Ends> for Plain {
    fn received(
        &mut self,
        _: &mut DatagramWire,
        _: ReceivedDatagram,
        _: &mut Context<Ends>,
    ) -> io::Result<()> {
        Ok(())
    }

    fn closed(&mut self, error: Option<&io::Error>, cx: &mut Context<Ends>) {
        cx.state.push(error.map_or_else(|| "closed".into(), io::Error::to_string));
    }
}

/// Adds three protocols, which have only defaults.
fn plain(pair: Pair) -> (Reactor<Ends>, [Token; 3], [UnixStream; 2]) {
    let mut reactor = pair.reactor(Ends::new());
    let mut cx = reactor.context();
    let ((one, a), (two, b)) = (unix_pair(), unix_pair());
    let datagrams = DatagramSocket::bind("127.0.0.1:0").unwrap();
    let tokens = [
        Connection::new(Plain).serve(Stream::from(one), &mut cx).unwrap().token(),
        Connection::new(Lines::new(Plain)).serve(Stream::from(two), &mut cx).unwrap().token(),
        DatagramEndpoint::new(Plain).serve(datagrams, &mut cx).unwrap().token(),
    ];
    (reactor, tokens, [a, b])
}

fn turn_until_three_have_ended(reactor: &mut Reactor<Ends>) {
    let end = Instant::now() + LONG;
    while reactor.state().len() < 3 {
        assert!(Instant::now() < end, "only {:?}", reactor.state());
        reactor.turn(Deadline::after(Duration::from_millis(50))).unwrap();
    }
}

#[test]
fn by_default_a_time_of_its_own_that_passes_closes() {
    on_every_pair_and_noise(|pair| {
        let (mut reactor, tokens, _peers) = plain(pair);
        for token in tokens {
            reactor.context().set_deadline(token, Some(Instant::now())).unwrap();
        }
        turn_until_three_have_ended(&mut reactor);
        assert!(reactor.state().iter().all(|why| why == "timed out"), "{:?}", reactor.state());
    });
}

#[test]
fn by_default_a_notification_changes_nothing_and_a_shutdown_closes() {
    on_every_pair_and_noise(|pair| {
        let (mut reactor, tokens, peers) = plain(pair);
        for token in tokens {
            reactor.context().notify(token).unwrap();
        }
        reactor.turn(Deadline::Now).unwrap();
        assert!(reactor.state().is_empty());
        reactor.context().shutdown(LONG);
        reactor.turn(Deadline::Now).unwrap(); // it sends the ends of the streams
        drop(peers); // and they answer with theirs
        turn_until_three_have_ended(&mut reactor);
        assert!(reactor.state().iter().all(|why| why == "closed"), "{:?}", reactor.state());
    });
}
