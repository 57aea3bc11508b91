//! Callbacks that remove their own source: nothing is called afterwards but the last callback. On every
//! backend and trigger.

use std::io::{self, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use support::reactor::drive;
use support::{LONG, on_every_pair_and_noise};
use tripoll::net::framing::{FrameProtocol, FrameWire, Lines};
use tripoll::net::{
    Closed, Connection, DatagramEndpoint, DatagramProtocol, DatagramSocket, DatagramWire, Listener,
    Protocol, ReceivedDatagram, Stream, Wire,
};
use tripoll::reactor::Id;
use tripoll::{Context, Deadline, Reactor, Token};

/// The callbacks that were called.
type Calls = Vec<String>;

/// Removes its own connection in one of its callbacks.
struct Leaves(&'static str);

impl Leaves {
    fn called(
        &self,
        callback: &str,
        wire: &mut Wire<'_>,
        cx: &mut Context<'_, Calls>,
    ) -> io::Result<()> {
        cx.state.push(callback.into());
        if self.0 == callback {
            wire.resume(); // what waits must not be delivered any more
            wire.write(b"bye");
            cx.remove(wire.token())?;
        }
        Ok(())
    }
}

impl Protocol<Calls> for Leaves {
    fn opened(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, Calls>) -> io::Result<()> {
        if !["received", "ended"].contains(&self.0) {
            wire.pause();
        }
        if self.0 == "timed_out" {
            wire.set_deadline(Some(Duration::from_millis(1)));
        }
        self.called("opened", wire, cx)
    }

    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        cx: &mut Context<'_, Calls>,
    ) -> io::Result<usize> {
        self.called("received", wire, cx)?;
        Ok(data.len().min(5)) // half of it
    }

    fn ended(
        &mut self,
        wire: &mut Wire<'_>,
        _: &[u8],
        cx: &mut Context<'_, Calls>,
    ) -> io::Result<()> {
        self.called("ended", wire, cx)
    }

    fn timed_out(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, Calls>) -> io::Result<()> {
        self.called("timed_out", wire, cx)
    }

    fn notified(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, Calls>) -> io::Result<()> {
        self.called("notified", wire, cx)
    }

    fn shutting_down(
        &mut self,
        wire: &mut Wire<'_>,
        cx: &mut Context<'_, Calls>,
    ) -> io::Result<()> {
        self.called("shutting_down", wire, cx)
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<'_, Calls>) {
        cx.state.push(closed.reason.to_string());
    }
}

/// Calls the callback that does not come by itself.
fn provoke(callback: &str, id: Id<Connection<Leaves>>, cx: &mut Context<'_, Calls>) {
    match callback {
        "notified" => cx.notify(id.token()).unwrap(),
        "told" => cx.tell(id, |leaves, wire, cx| leaves.called("told", wire, cx)).unwrap(),
        "shutting_down" => cx.shutdown(LONG),
        _ => {}
    }
}

#[test]
fn a_protocol_that_removes_its_connection_is_called_no_more() {
    let callbacks =
        ["opened", "received", "ended", "timed_out", "notified", "told", "shutting_down"];
    on_every_pair_and_noise(|pair| {
        for callback in callbacks {
            let mut reactor = pair.reactor(Calls::new());
            let (here, mut there) = UnixStream::pair().unwrap();
            there.write_all(b"ten bytes!").unwrap();
            there.shutdown(std::net::Shutdown::Write).unwrap();
            let mut cx = reactor.context();
            let id = Connection::new(Leaves(callback)).serve(here.into(), &mut cx).unwrap();
            provoke(callback, id, &mut cx);
            drive(&mut reactor, 100, |calls| calls.iter().any(|call| call == "removed"));
            reactor.turn(Deadline::Now).unwrap();
            let expected: &[&str] = match callback {
                "opened" => &["opened", "removed"],
                "ended" => &["opened", "received", "received", "ended", "removed"],
                other => &["opened", other, "removed"],
            };
            assert_eq!(reactor.state(), expected, "{callback}");
            // What was written before has arrived.
            let mut last = [0; 3];
            there.set_read_timeout(Some(LONG)).unwrap();
            there.read_exact(&mut last).unwrap();
            assert_eq!(&last, b"bye", "{callback}");
        }
    });
}

/// Removes its source in its first call.
struct OnlyOnce;

impl OnlyOnce {
    fn called(&mut self, token: Token, cx: &mut Context<'_, Calls>) -> io::Result<()> {
        cx.state.push("called".into());
        cx.remove(token)
    }
}

impl FrameProtocol<Calls> for OnlyOnce {
    fn frame(
        &mut self,
        wire: &mut FrameWire<'_, '_>,
        _: &[u8],
        cx: &mut Context<'_, Calls>,
    ) -> io::Result<()> {
        self.called(wire.token(), cx)
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<'_, Calls>) {
        cx.state.push(closed.reason.to_string());
    }
}

impl DatagramProtocol<Calls> for OnlyOnce {
    fn received(
        &mut self,
        wire: &mut DatagramWire<'_>,
        _: ReceivedDatagram<'_>,
        cx: &mut Context<'_, Calls>,
    ) -> io::Result<()> {
        self.called(wire.token(), cx)
    }

    fn closed(&mut self, _: Option<&io::Error>, cx: &mut Context<'_, Calls>) {
        cx.state.push("removed".into());
    }
}

/// Asserts that there is one call, and the last one.
fn assert_called_once(reactor: &mut Reactor<Calls>, last: &[&str]) {
    drive(reactor, 100, |calls| !calls.is_empty());
    reactor.turn(Deadline::Now).unwrap();
    assert_eq!(*reactor.state(), [&["called"], last].concat());
    assert!(reactor.context().is_empty());
}

#[test]
fn a_protocol_that_removes_its_connection_gets_no_further_frame() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Calls::new());
        let (here, mut there) = UnixStream::pair().unwrap();
        there.write_all(b"one\ntwo\nthree\n").unwrap();
        let connection = Connection::new(Lines::new(OnlyOnce));
        connection.serve(Stream::from(here), &mut reactor.context()).unwrap();
        assert_called_once(&mut reactor, &["removed"]);
    });
}

#[test]
fn a_protocol_that_removes_its_socket_gets_no_further_datagram() {
    on_every_pair_and_noise(|pair| {
        let mut reactor = pair.reactor(Calls::new());
        let socket = DatagramSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_address().to_string();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..5 {
            client.send_to(b"hello", &address).unwrap();
        }
        DatagramEndpoint::new(OnlyOnce).serve(socket, &mut reactor.context()).unwrap();
        assert_called_once(&mut reactor, &["removed"]);
    });
}

#[test]
fn a_listener_that_is_removed_by_its_callback_delivers_no_further_connection() {
    on_every_pair_and_noise(|pair| {
        for shuts_down in [false, true] {
            let mut reactor = pair.reactor(Calls::new());
            let listener = Listener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_address().to_string();
            let mut cx = reactor.context();
            let accepted = |_: Stream, cx: &mut Context<'_, Calls>| {
                let listener = cx.sources().next().unwrap().token;
                OnlyOnce.called(listener, cx)
            };
            listener.serve(&mut cx, accepted).unwrap();
            if shuts_down {
                cx.shutdown(LONG);
            }
            let _clients: Vec<_> = (0..5).map(|_| TcpStream::connect(&address).unwrap()).collect();
            assert_called_once(&mut reactor, &[]);
        }
    });
}
