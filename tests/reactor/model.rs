//! Random histories of real sockets: bytes, ends, resets, errors in the error queue, changes of
//! interest, disarming, sources that are taken out and added again, and switches of the backend. The handlers behave at random, too. Whatever has
//! happened, all that the peers have sent is received in the end, and then nothing is called any more.
//!
//! A failure shows its seeds. `TRIPOLL_HISTORY=7 cargo test --test reactor model` repeats one history
//! alone.

use std::env;
use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr, UdpSocket};
use std::time::Duration;

use nix::libc::MSG_ERRQUEUE;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{SockRef, Socket};
use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::{Backend, Deadline, Handler, Interest, Next, Reactor, Source, Token};

const SOURCES: usize = 4;
const BOTH: Interest = Interest::READ.union(Interest::WRITE);

/// What has been received from one peer.
#[derive(Debug, Default)]
struct Received {
    bytes: Vec<u8>,
    has_ended: bool,
    /// The source was removed because of an error.
    is_gone: bool,
    is_disarmed: bool,
}

struct State {
    received: [Received; SOURCES],
    dice: Dice,
    /// Handlers receive all, and do nothing else.
    is_plain: bool,
    /// The token of a source that was taken out and added again.
    moved: Option<Token>,
}

/// The handler of one source.
struct Actor {
    index: usize,
    is_datagram: bool,
}

impl Actor {
    /// Receives once. Returns false at the end.
    fn receive(
        &self,
        source: &mut Source<Socket>,
        received: &mut Received,
        size: usize,
    ) -> io::Result<bool> {
        let mut buffer = vec![0; size];
        let count = match self.is_datagram {
            true => source.try_io(Interest::READ, |socket| socket.read(&mut buffer))?,
            false => source.read(&mut buffer)?,
        };
        received.bytes.extend_from_slice(&buffer[..count]);
        received.has_ended |= count == 0;
        Ok(count > 0)
    }

    /// Receives until there is nothing left. Errors of earlier datagrams, and of a peer that has
    /// reset, are no reason to stop.
    fn receive_all(
        &self,
        source: &mut Source<Socket>,
        received: &mut Received,
        size: usize,
    ) -> io::Result<()> {
        loop {
            match self.receive(source, received, size) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_expected(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether it is an error that the histories cause.
fn is_expected(error: &io::Error) -> bool {
    [ErrorKind::ConnectionRefused, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe]
        .contains(&error.kind())
}

impl Handler<Socket, State> for Actor {
    fn ready(
        &mut self,
        source: &mut Source<Socket>,
        cx: &mut tripoll::Context<State>,
    ) -> io::Result<Next> {
        let State { received, dice, is_plain, .. } = &mut *cx.state;
        let received = &mut received[self.index];
        assert!(!received.is_disarmed, "it is called although it is disarmed");
        let size = if self.is_datagram { 64 } else { [1, 3, 64, 4_096][dice.below(4)] };
        if source.interest().contains(Interest::WRITE) && !self.is_datagram {
            // What is sent is never read. If the peer is gone, the next read tells.
            let _count = source.write(b"x");
            source.set_interest(Interest::READ);
        }
        match if *is_plain { 9 } else { dice.below(10) } {
            0 => {}
            1 => {
                received.is_disarmed = true;
                return Ok(Next::Disarm);
            }
            2 => source.set_interest(BOTH),
            3 => {
                self.receive_all(source, received, size)?;
                return Ok(Next::Done);
            }
            4 => {
                let token = source.token();
                cx.notify(token)?;
            }
            5 | 6 => match self.receive(source, received, size) {
                Err(error) if is_expected(&error) => {}
                result => return result.map(|_| Next::Keep),
            },
            _ => self.receive_all(source, received, size)?,
        }
        Ok(Next::Keep)
    }

    fn removed(&mut self, _: Token, error: Option<&io::Error>, cx: &mut tripoll::Context<State>) {
        assert!(error.is_none(), "{error:?}");
        cx.state.received[self.index].is_gone = true;
    }
}

/// What sends to a source.
struct Peer {
    token: Token,
    /// A stream to it, until it is closed.
    stream: Option<Socket>,
    /// A datagram socket to it, and the socket of the source itself.
    datagrams: Option<(UdpSocket, UdpSocket)>,
    /// Where nobody receives.
    nowhere: SocketAddr,
    sent: Vec<u8>,
    has_ended: bool,
    /// A reset may overtake what was sent.
    has_reset: bool,
}

impl Peer {
    fn begin(reactor: &mut Reactor<State>, index: usize, dice: &mut Dice) -> Self {
        let (mine, stream, datagrams) = match dice.below(3) {
            0 => {
                let (mine, peer) = unix_pair();
                (Socket::from(mine), Some(Socket::from(peer)), None)
            }
            1 => {
                let (mine, peer) = tcp_pair();
                (Socket::from(mine), Some(Socket::from(peer)), None)
            }
            _ => {
                let mine = UdpSocket::bind("127.0.0.1:0").unwrap();
                setsockopt(&mine, sockopt::Ipv4RecvErr, &true).unwrap();
                let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
                peer.connect(mine.local_addr().unwrap()).unwrap();
                let copy = mine.try_clone().unwrap();
                (Socket::from(mine), None, Some((peer, copy)))
            }
        };
        let handler = Actor { index, is_datagram: datagrams.is_some() };
        let token = reactor.context().add(mine, Interest::READ, handler).unwrap();
        let nowhere = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (sent, has_ended, has_reset) = (Vec::new(), false, false);
        Peer { token, stream, datagrams, nowhere, sent, has_ended, has_reset }
    }

    fn send(&mut self, dice: &mut Dice) {
        let bytes = known_bytes(dice.below(1_000) as u64, 1 + dice.below(20));
        let count = match (&mut self.stream, &self.datagrams) {
            (Some(stream), _) if !self.has_ended => stream.write(&bytes).unwrap_or(0),
            (None, Some((peer, _))) => peer.send(&bytes).unwrap_or(0),
            _ => return,
        };
        self.sent.extend_from_slice(&bytes[..count]);
    }

    /// Sends no more: says so, closes, or resets. Datagrams have an error instead.
    fn end(&mut self, dice: &mut Dice) {
        if let Some((_, mine)) = &self.datagrams {
            match dice.below(2) {
                0 => _ = mine.send_to(b"x", self.nowhere), // or the error of an earlier one
                _ => {
                    let mut buffer = [MaybeUninit::uninit(); 256];
                    let _error = SockRef::from(mine).recv_with_flags(&mut buffer, MSG_ERRQUEUE);
                }
            }
            return;
        }
        let Some(stream) = &self.stream else { return };
        match dice.below(4) {
            0 | 1 => stream.shutdown(Shutdown::Write).unwrap(),
            2 => {
                // What it has not read is a reset.
                self.has_reset = true;
                self.stream = None;
            }
            _ => {
                stream.set_linger(Some(Duration::ZERO)).unwrap();
                self.has_reset = true;
                self.stream = None;
            }
        }
        self.has_ended = true;
    }

    /// Whether all has been received.
    fn is_satisfied(&self, received: &Received) -> bool {
        let has_end = received.has_ended || !self.has_ended;
        let has_all =
            received.bytes == self.sent || self.has_reset && self.sent.starts_with(&received.bytes);
        has_end && has_all
    }
}

/// A history.
fn live(pair: Pair, seed: u64) {
    let mut dice = Dice(seed);
    let (received, dice_of_handlers) = (Default::default(), Dice(seed.wrapping_add(1)));
    let state = State { received, dice: dice_of_handlers, is_plain: false, moved: None };
    let mut reactor = pair.reactor(state);
    let mut peers: Vec<_> =
        (0..SOURCES).map(|index| Peer::begin(&mut reactor, index, &mut dice)).collect();
    for _ in 0..20 + dice.below(60) {
        let index = dice.below(SOURCES);
        let peer = &mut peers[index];
        match dice.below(16) {
            0..=4 => peer.send(&mut dice),
            5 => peer.end(&mut dice),
            6 => {
                let interest = [Interest::NONE, Interest::READ, BOTH][dice.below(3)];
                reactor.context().set_interest(peer.token, interest).unwrap();
            }
            7 => arm(&mut reactor, index, peer.token),
            8 => {
                let backend = Backend::ALL[dice.below(Backend::ALL.len())];
                reactor.context().switch_to(backend).unwrap();
            }
            9 => reactor.context().notify(peer.token).unwrap(),
            10 => peer.token = take_and_add(&mut reactor, index, peer),
            _ => _ = reactor.turn(Deadline::Now).unwrap(),
        }
    }
    reactor.state_mut().is_plain = true;
    for (index, peer) in peers.iter().enumerate() {
        arm(&mut reactor, index, peer.token);
        reactor.context().set_interest(peer.token, Interest::READ).unwrap();
    }
    let is_over = |state: &mut State| {
        assert!(state.received.iter().all(|received| !received.is_gone), "a source is gone");
        peers.iter().zip(&state.received).all(|(peer, received)| peer.is_satisfied(received))
    };
    drive(&mut reactor, 200, is_over);
    if pair.noise.is_none() {
        // An error that stays may be met once more, and no more often.
        for _ in 0..5 {
            reactor.turn(Deadline::Now).unwrap();
        }
        let_settle(&mut reactor);
        let received = &reactor.state().received;
        assert!(peers.iter().zip(received).all(|(peer, seen)| peer.is_satisfied(seen)), "doubled");
    }
}

/// Takes a source out, and adds it again.
fn take_and_add(reactor: &mut Reactor<State>, index: usize, peer: &Peer) -> Token {
    let is_datagram = peer.datagrams.is_some();
    let again = move |socket: Socket, cx: &mut tripoll::Context<State>| {
        let token = cx.add(socket, Interest::READ, Actor { index, is_datagram }).unwrap();
        cx.state.moved = Some(token);
        let received = &mut cx.state.received[index];
        (received.is_gone, received.is_disarmed) = (false, false);
    };
    reactor.context().take(peer.token, again).unwrap();
    reactor.turn(Deadline::Now).unwrap();
    reactor.state_mut().moved.take().expect("it was taken")
}

fn arm(reactor: &mut Reactor<State>, index: usize, token: Token) {
    reactor.state_mut().received[index].is_disarmed = false;
    reactor.context().arm(token).unwrap();
}

#[test]
fn whatever_has_happened_all_is_received_and_then_nothing_is_called() {
    let seeds = match env::var("TRIPOLL_HISTORY") {
        Ok(seed) => {
            let seed = seed.parse().expect("TRIPOLL_HISTORY is a number");
            seed..seed + 1
        }
        Err(_) => 0..60,
    };
    on_every_pair_and_noise(|pair| {
        for seed in seeds.clone() {
            let _context = Context(format!("in a history: TRIPOLL_HISTORY={seed}"));
            live(pair, seed);
        }
    });
}
