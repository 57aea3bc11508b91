//! A protocol is not called before the handshake of its filter is over, and loses nothing. On every
//! backend and trigger.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use support::reactor::{drive, let_settle};
use support::{LONG, Pair, on_every_pair, on_every_pair_and_noise};
use tripoll::net::{CloseReason, Closed, Connection, Filter, Protocol, Stream, Wire};
use tripoll::reactor::{Id, ManualClock};
use tripoll::{Context, Deadline, Reactor, Token};

/// More than a Unix socket's buffers hold.
const MUCH: usize = 1 << 20;

/// Passes on all bytes. Its handshake ends with the first `!`, and `#` is the end of the peer.
#[derive(Default)]
struct Slow {
    says_first: usize,
    says_last: usize,
    has_heard: bool,
    has_ended: bool,
}

impl Filter for Slow {
    fn start(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        out.resize(self.says_first, b'.');
        Ok(())
    }

    fn is_handshaking(&self) -> bool {
        !self.has_heard
    }

    fn received(&mut self, data: &[u8], plain: &mut Vec<u8>, _: &mut Vec<u8>) -> io::Result<()> {
        plain.extend_from_slice(data);
        self.has_heard |= data.contains(&b'!');
        self.has_ended |= data.contains(&b'#');
        Ok(())
    }

    fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        assert!(self.has_heard, "sent before the handshake was over");
        out.extend_from_slice(plain);
        Ok(())
    }

    fn close(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        out.resize(self.says_last, b'.');
        Ok(())
    }

    fn has_peer_closed(&self) -> bool {
        self.has_ended
    }
}

type Notes = Vec<String>;

/// Notes its calls.
struct Noting;

impl Protocol<Notes> for Noting {
    fn opened(&mut self, _: &mut Wire<'_>, cx: &mut Context<'_, Notes>) -> io::Result<()> {
        cx.state.push("opened".into());
        Ok(())
    }

    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        cx: &mut Context<'_, Notes>,
    ) -> io::Result<usize> {
        cx.state.push(format!("received {}", data.escape_ascii()));
        if data.ends_with(b"?") {
            wire.finish();
        }
        Ok(data.len())
    }

    fn ended(
        &mut self,
        wire: &mut Wire<'_>,
        _: &[u8],
        cx: &mut Context<'_, Notes>,
    ) -> io::Result<()> {
        cx.state.push("ended".into());
        wire.close();
        Ok(())
    }

    fn below_low_mark(&mut self, _: &mut Wire<'_>, cx: &mut Context<'_, Notes>) -> io::Result<()> {
        cx.state.push("below the low mark".into());
        Ok(())
    }

    fn drained(&mut self, _: &mut Wire<'_>, cx: &mut Context<'_, Notes>) -> io::Result<()> {
        cx.state.push("drained".into());
        Ok(())
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<'_, Notes>) {
        cx.state.push(format!("closed: {closed}"));
    }
}

struct Filtered {
    reactor: Reactor<Notes>,
    token: Token,
    peer: UnixStream,
}

impl Filtered {
    fn new(
        reactor: Reactor<Notes>,
        filter: Slow,
        set_up: impl FnOnce(Connection<Noting>) -> Connection<Noting>,
    ) -> Self {
        let mut reactor = reactor;
        let (here, peer) = UnixStream::pair().unwrap();
        peer.set_read_timeout(Some(LONG)).unwrap();
        let connection = set_up(Connection::new(Noting).over(filter));
        let token = connection.serve(Stream::from(here), &mut reactor.context()).unwrap().token();
        let mut filtered = Filtered { reactor, token, peer };
        filtered.turn();
        filtered
    }

    fn on(pair: Pair, filter: Slow) -> Self {
        Filtered::new(pair.reactor(Notes::new()), filter, |connection| connection)
    }

    /// Lets happen what can.
    fn turn(&mut self) {
        for _ in 0..10 {
            self.reactor.turn(Deadline::Now).unwrap();
        }
    }

    #[track_caller]
    fn await_notes(&mut self, notes: &[&str]) {
        drive(&mut self.reactor, 1_000, |noted| noted.len() >= notes.len());
        assert_eq!(self.reactor.state(), notes);
    }
}

#[test]
fn a_message_during_the_handshake_is_told_when_the_protocol_is_open() {
    on_every_pair_and_noise(|pair| {
        let mut one = Filtered::on(pair, Slow::default());
        let mut cx = one.reactor.context();
        let id: Id<Connection<Noting>> = cx.id(one.token).unwrap();
        let tell = |number: u32, cx: &mut Context<'_, Notes>| {
            cx.tell(id, move |_, wire, cx| {
                cx.state.push(format!("told {number}"));
                wire.write(b"told");
                Ok(())
            })
        };
        (1..=2).for_each(|number| tell(number, &mut cx).unwrap());
        one.turn();
        assert!(one.reactor.state().is_empty(), "{:?}", one.reactor.state());
        let_settle(&mut one.reactor);
        tell(3, &mut one.reactor.context()).unwrap();
        one.peer.write_all(b"!").unwrap();
        drive(&mut one.reactor, 1_000, |notes| notes.len() == 5);
        let notes = one.reactor.state();
        let told: Vec<&str> =
            notes.iter().map(|note| &**note).filter(|note| note.starts_with("told")).collect();
        assert_eq!((&*notes[0], told), ("opened", vec!["told 1", "told 2", "told 3"]));
        let mut answer = [0; 12];
        one.peer.read_exact(&mut answer).unwrap();

        // One that is removed meanwhile drops what it was to be told.
        let mut one = Filtered::on(pair, Slow::default());
        let shared = std::rc::Rc::new(());
        let weak = std::rc::Rc::downgrade(&shared);
        let mut cx = one.reactor.context();
        let id: Id<Connection<Noting>> = cx.id(one.token).unwrap();
        cx.tell(id, move |_, _, _| {
            drop(shared);
            Ok(())
        })
        .unwrap();
        one.turn();
        assert_eq!(weak.strong_count(), 1);
        one.reactor.context().remove(one.token).unwrap();
        one.await_notes(&["closed: removed"]);
        assert_eq!(weak.strong_count(), 0);
    });
}

#[test]
fn output_of_a_handshake_that_drains_is_none_of_the_protocol() {
    on_every_pair_and_noise(|pair| {
        let mut one = Filtered::on(pair, Slow { says_first: MUCH, ..Slow::default() });
        let mut rest = MUCH;
        let mut buffer = vec![0; 64 << 10];
        one.peer.set_nonblocking(true).unwrap();
        while rest > 0 {
            match one.peer.read(&mut buffer) {
                Ok(count) => rest -= count,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            one.reactor.turn(Deadline::Now).unwrap();
        }
        one.turn();
        assert!(one.reactor.state().is_empty(), "{:?}", one.reactor.state());
        one.peer.write_all(b"!").unwrap();
        one.await_notes(&["opened", "received !"]);
        one.turn();
        assert_eq!(one.reactor.state().len(), 2, "{:?}", one.reactor.state());
    });
}

#[test]
fn input_that_passes_the_filter_during_the_handshake_waits() {
    on_every_pair_and_noise(|pair| {
        let mut one = Filtered::on(pair, Slow::default());
        one.peer.write_all(b"ab").unwrap();
        one.turn();
        assert!(one.reactor.state().is_empty(), "{:?}", one.reactor.state());
        one.peer.write_all(b"c!").unwrap();
        one.await_notes(&["opened", "received abc!"]);
    });
    on_every_pair(|pair| {
        let reactor = pair.reactor(Notes::new());
        let mut one =
            Filtered::new(reactor, Slow::default(), |connection| connection.max_unused(2));
        one.peer.write_all(b"abc").unwrap();
        one.await_notes(&[
            "closed: the peer sent more input than max_unused, and the protocol used none",
        ]);
    });
}

#[test]
fn an_end_by_a_message_during_the_handshake_fails_it() {
    on_every_pair_and_noise(|pair| {
        let mut one = Filtered::on(pair, Slow::default());
        one.peer.write_all(b"#").unwrap();
        one.await_notes(&["closed: the peer has ended the connection during the handshake"]);
        let mut one = Filtered::on(pair, Slow::default());
        one.peer.write_all(b"!#").unwrap();
        drive(&mut one.reactor, 1_000, |notes| notes.len() >= 3);
        assert_eq!(one.reactor.state()[..3], ["opened", "received !#", "ended"]);
    });
}

#[test]
fn a_peer_that_does_not_read_the_last_message_of_a_filter_is_closed() {
    on_every_pair(|pair| {
        let clock = ManualClock::new();
        let reactor = pair.build(pair.builder().clock(clock.clone()), Notes::new());
        let filter = Slow { says_last: MUCH, ..Slow::default() };
        let time = Duration::from_secs(5);
        let mut one = Filtered::new(reactor, filter, |connection| connection.write_timeout(time));
        one.peer.write_all(b"!?").unwrap();
        one.await_notes(&["opened", "received !?"]);
        for _ in 0..5 {
            one.turn();
            clock.advance(time);
        }
        one.await_notes(&[
            "opened",
            "received !?",
            &format!("closed: {}", CloseReason::WriteTimedOut),
        ]);
    });
}
