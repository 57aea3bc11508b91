//! Random sequences on real sockets: streams of three kinds and a datagram socket with an error queue,
//! sources that are paused, disarmed, notified, taken out and added again, and switches, while handlers
//! read as much or as little as they like. Nothing is lost, each end is told once, and nothing spins.
//!
//! `TRIPOLL_SEED=7` makes other sequences.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write, pipe};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{setsockopt, sockopt};
use support::noise::seeds;
use support::reactor::*;
use support::sockets::*;
use support::*;
use tripoll::{Backend, Context, Deadline, Handler, Interest, Next, Reactor, Source, Token};

/// What is known of one source.
#[derive(Debug, Default)]
struct Known {
    token: Option<Token>,
    got: Vec<u8>,
    ends: u32,
    /// The errors that its operations or its removal have told of.
    errors: Vec<ErrorKind>,
    is_disarmed: bool,
    is_paused: bool,
    /// Whether its peer has reset the connection, and with it what was on its way.
    is_reset: bool,
}

#[derive(Debug)]
struct State {
    dice: Dice,
    known: HashMap<usize, Known>,
}

/// A stream or a datagram socket.
enum File {
    Stream(OwnedFd),
    Datagrams(UdpSocket),
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            File::Stream(fd) => fd.as_fd(),
            File::Datagrams(socket) => socket.as_fd(),
        }
    }
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            File::Stream(fd) => Ok(rustix::io::read(fd, buffer)?),
            File::Datagrams(socket) => socket.recv(buffer),
        }
    }
}

/// The other side of a source.
enum Peer {
    Tcp(TcpStream),
    Unix(UnixStream),
    Pipe(io::PipeWriter),
    /// And the socket of the source itself.
    Datagrams(UdpSocket, UdpSocket),
    Gone,
}

struct Actor(usize);

impl Handler<File, State> for Actor {
    fn ready(&mut self, source: &mut Source<File>, cx: &mut Context<State>) -> io::Result<Next> {
        let State { dice, known } = &mut *cx.state;
        let known = known.get_mut(&self.0).expect("it is known");
        assert_eq!(known.token, Some(source.token()), "misdelivered");
        assert!(!known.is_paused && !known.is_disarmed, "called, although it is at rest");
        let mut buffer = [0; 64];
        for _ in 0..dice.below(4) {
            let room = 1 + dice.below(buffer.len());
            match source.read(&mut buffer[..room]) {
                Ok(0) => {
                    known.ends += 1;
                    return Ok(Next::Keep);
                }
                Ok(count) => known.got.extend_from_slice(&buffer[..count]),
                // All is read: each of these is right.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(Next::Keep);
                }
                // An error of an earlier datagram.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    known.errors.push(error.kind());
                }
                Err(error) => return Err(error),
            }
        }
        known.is_disarmed = dice.below(10) == 0;
        Ok(if known.is_disarmed { Next::Disarm } else { Next::Keep })
    }

    fn notified(&mut self, _: &mut Source<File>, _: &mut Context<State>) -> io::Result<Next> {
        Ok(Next::Done) // consumes nothing
    }

    fn removed(&mut self, token: Token, error: Option<&io::Error>, cx: &mut Context<State>) {
        let known = cx.state.known.get_mut(&self.0).expect("it is known");
        if let Some(error) = error {
            assert_eq!(known.token.take(), Some(token));
            known.errors.push(error.kind());
        }
    }
}

/// Adds source `number`. Returns its peer.
fn add_source(reactor: &mut Reactor<State>, number: usize) -> Peer {
    let (file, peer) = match number % 4 {
        0 => {
            let (mine, theirs) = tcp_pair();
            (File::Stream(mine.into()), Peer::Tcp(theirs))
        }
        1 => {
            let (mine, theirs) = unix_pair();
            (File::Stream(mine.into()), Peer::Unix(theirs))
        }
        2 => {
            let (mine, theirs) = pipe().unwrap();
            (File::Stream(mine.into()), Peer::Pipe(theirs))
        }
        _ => {
            let mine = UdpSocket::bind("127.0.0.1:0").unwrap();
            setsockopt(&mine, sockopt::Ipv4RecvErr, &true).unwrap();
            let theirs = UdpSocket::bind("127.0.0.1:0").unwrap();
            theirs.connect(mine.local_addr().unwrap()).unwrap();
            let copy = mine.try_clone().unwrap();
            (File::Datagrams(mine), Peer::Datagrams(theirs, copy))
        }
    };
    watch(&mut reactor.context(), number, file);
    peer
}

fn watch(cx: &mut Context<State>, number: usize, file: File) {
    let token = cx.add(file, Interest::READ, Actor(number)).unwrap();
    let known = cx.state.known.entry(number).or_default();
    (known.token, known.is_disarmed, known.is_paused) = (Some(token), false, false);
    known.ends = 0; // it is told anew
}

/// Does something to source `number`, whose peer has sent `sent`.
fn step(reactor: &mut Reactor<State>, number: usize, peer: &mut Peer, sent: &mut Vec<u8>) {
    let what = reactor.state().dice.below(12);
    let bytes = known_bytes(sent.len() as u64, 1 + reactor.state().dice.below(40));
    let token = reactor.state().known[&number].token;
    match (what, token) {
        (0..6, _) => {
            let count = match peer {
                Peer::Tcp(stream) => stream.write(&bytes),
                Peer::Unix(stream) => stream.write(&bytes),
                Peer::Pipe(writer) => writer.write(&bytes),
                // One byte each, so that no buffer is too small.
                Peer::Datagrams(socket, _) => socket.send(&bytes[..1]),
                Peer::Gone => Ok(0),
            };
            sent.extend_from_slice(&bytes[..count.unwrap_or(0)]);
        }
        (6, Some(token)) => {
            let known = reactor.state().known.get_mut(&number).unwrap();
            known.is_paused = !known.is_paused;
            let interest = if known.is_paused { Interest::NONE } else { Interest::READ };
            reactor.context().set_interest(token, interest).unwrap();
        }
        (7, Some(token)) => {
            reactor.state().known.get_mut(&number).unwrap().is_disarmed = false;
            reactor.context().arm(token).unwrap();
        }
        (8, Some(token)) => reactor.context().notify(token).unwrap(),
        (9, Some(token)) => {
            let again = move |file, cx: &mut Context<State>| watch(cx, number, file);
            reactor.context().take(token, again).unwrap();
            reactor.state().known.get_mut(&number).unwrap().token = None;
            reactor.turn(Deadline::Now).unwrap();
        }
        (10, _) if reactor.state().dice.below(3) == 0 => {
            match std::mem::replace(peer, Peer::Gone) {
                Peer::Tcp(stream) if reactor.state().dice.below(2) == 0 => {
                    reset(stream);
                    reactor.state().known.get_mut(&number).unwrap().is_reset = true;
                }
                Peer::Tcp(stream) => stream.shutdown(Shutdown::Write).unwrap(),
                Peer::Unix(stream) => stream.shutdown(Shutdown::Write).unwrap(),
                Peer::Pipe(_) => {}
                other @ (Peer::Datagrams(..) | Peer::Gone) => *peer = other,
            }
        }
        (11, _) => {
            if let Peer::Datagrams(_, source) = peer {
                // An error for the queue of the source: it has sent to nobody.
                let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
                let _ = source.send_to(b"x", closed);
            } else {
                let backend = Backend::ALL[reactor.state().dice.below(Backend::ALL.len())];
                reactor.context().switch_to(backend).unwrap();
            }
        }
        _ => {}
    }
}

/// Lets each source read all, and checks that it has.
fn finish(reactor: &mut Reactor<State>, peers: &[Peer], sent: &[Vec<u8>]) {
    for (number, _) in peers.iter().enumerate() {
        let known = reactor.state().known.get_mut(&number).unwrap();
        (known.is_paused, known.is_disarmed) = (false, false);
        if let Some(token) = known.token {
            reactor.context().set_interest(token, Interest::READ).unwrap();
            reactor.context().arm(token).unwrap();
        }
    }
    let is_done = |number: usize, known: &Known| {
        let is_over = known.ends > 0 || !matches!(peers[number], Peer::Gone);
        known.token.is_none() || known.got.len() == sent[number].len() && is_over
    };
    // Handlers may disarm their sources until the end.
    let give_up = std::time::Instant::now() + LONG;
    loop {
        let State { known, .. } = reactor.state();
        let rest: Vec<_> =
            known.iter().filter(|(number, known)| !is_done(**number, known)).collect();
        if rest.is_empty() {
            break;
        }
        assert!(std::time::Instant::now() < give_up, "lost: {rest:?}");
        let mut tokens = Vec::new();
        for known in known.values_mut() {
            if std::mem::take(&mut known.is_disarmed) {
                tokens.extend(known.token);
            }
        }
        for token in tokens {
            reactor.context().arm(token).unwrap();
        }
        reactor.turn(Deadline::after(std::time::Duration::from_millis(10))).unwrap();
    }
    for (number, known) in &reactor.state().known {
        let is_gone = matches!(peers[*number], Peer::Gone);
        if known.is_reset {
            assert!(sent[*number].starts_with(&known.got), "{known:?}");
            assert!(known.errors.iter().all(|kind| *kind == ErrorKind::ConnectionReset));
        } else {
            assert!(known.got == sent[*number], "other bytes: {known:?}");
            assert_eq!(
                (known.ends, known.token.is_some()),
                (u32::from(is_gone), true),
                "{known:?}"
            );
            assert!(known.errors.iter().all(|kind| *kind == ErrorKind::ConnectionRefused));
        }
    }
}

#[test]
fn whatever_happens_nothing_is_lost_and_nothing_spins() {
    for seed in seeds() {
        on_every_pair_and_noise(|pair| {
            for round in 0..6 {
                let dice = Dice(seed * 1_000 + round);
                let mut reactor = pair.reactor(State { dice, known: HashMap::new() });
                let mut peers: Vec<_> =
                    (0..8).map(|number| add_source(&mut reactor, number)).collect();
                let mut sent = vec![Vec::new(); peers.len()];
                for _ in 0..200 {
                    let number = reactor.state().dice.below(peers.len());
                    step(&mut reactor, number, &mut peers[number], &mut sent[number]);
                    if reactor.state().dice.below(2) == 0 {
                        reactor.turn(Deadline::Now).unwrap();
                    }
                }
                finish(&mut reactor, &peers, &sent);
                // The handlers still read at random. What is left is what `WouldBlock` says.
                for _ in 0..40 {
                    reactor.turn(Deadline::Now).unwrap();
                }
                let_settle(&mut reactor);
                assert_quiet(&mut reactor);
            }
        });
    }
}
