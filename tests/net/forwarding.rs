//! A protocol gets the same calls, whatever stands between the connection and the protocol.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use Call::*;
use support::sockets::unix_pair;
use support::*;
use tripoll::net::testing::ProtocolTest;
use tripoll::net::framing::{FrameProtocol, FrameWire, Lines};
use tripoll::net::{self, Connection, Protocol, Stream, Wire};
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
    let expected = [
        Opened, Notified, BelowLowMark, Drained, TimedOut, Received, ShuttingDown, Ended, Closed,
    ];
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
    let expected = [
        Opened, Notified, BelowLowMark, Drained, TimedOut, Received, ShuttingDown, Ended, Closed,
    ];
    assert_eq!(*test.state(), expected);
}
