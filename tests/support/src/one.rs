//! One connection in a reactor of the test's own thread, and its peer. Nothing happens between two steps
//! of the test.

use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use socket2::Socket;
use tripoll::net::{Connection, Stream};
use tripoll::reactor::{Dispatch, Probe, ReactorBuilder};
use tripoll::{Context, Deadline, Reactor, Token};

use crate::net::{Call, Script, Scripted};
use crate::sockets::{tcp_pair, unix_pair};
use crate::{LONG, Pair};

/// The kinds of sockets over which a connection runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Tcp,
    Unix,
}

impl Over {
    pub const ALL: [Over; 2] = [Over::Tcp, Over::Unix];

    /// Returns the stream of a connection, and its peer, which does not block.
    pub fn pair(self) -> (Stream, Socket) {
        match self {
            Over::Tcp => {
                let (here, there) = tcp_pair();
                here.set_nodelay(true).unwrap();
                (Stream::from(here), there.into())
            }
            Over::Unix => {
                let (here, there) = unix_pair();
                (Stream::from(here), there.into())
            }
        }
    }
}

/// Notes the calls of handlers.
#[derive(Clone, Default)]
pub struct Dispatches(pub Rc<RefCell<Vec<Dispatch>>>);

impl Probe for Dispatches {
    fn dispatched(&mut self, dispatch: &Dispatch) {
        self.0.borrow_mut().push(*dispatch);
    }
}

/// One connection and its peer.
pub struct One {
    pub reactor: Reactor,
    pub token: Token,
    /// `None` after it was closed.
    pub peer: Option<Socket>,
    pub dispatches: Dispatches,
    pub calls: Receiver<Call>,
}

impl One {
    /// Serves with a script.
    pub fn new(pair: Pair, over: Over, script: impl Script + 'static) -> Self {
        One::with(pair, over, |connection| connection, script)
    }

    pub fn with<F: Script + 'static>(
        pair: Pair,
        over: Over,
        set_up: impl FnOnce(Connection<Scripted<F>>) -> Connection<Scripted<F>>,
        script: F,
    ) -> Self {
        One::built(pair, pair.builder(), over, set_up, script)
    }

    pub fn built<F: Script + 'static>(
        pair: Pair,
        builder: ReactorBuilder,
        over: Over,
        set_up: impl FnOnce(Connection<Scripted<F>>) -> Connection<Scripted<F>>,
        script: F,
    ) -> Self {
        let dispatches = Dispatches::default();
        let mut reactor = pair.build(builder.probe(dispatches.clone()), ());
        let (stream, peer) = over.pair();
        let (send, calls) = mpsc::channel();
        let connection = set_up(Connection::new(Scripted::new(script, send)));
        let token = connection.serve(stream, &mut reactor.context()).unwrap().token();
        reactor.turn(Deadline::Now).unwrap(); // it is added
        One { reactor, token, peer: Some(peer), dispatches, calls }
    }

    pub fn peer(&self) -> &Socket {
        self.peer.as_ref().expect("it was closed")
    }

    /// Turns the loop until `is_so` returns true. The peer may act in it.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let give_up = Instant::now() + LONG;
        while !is_so(self) {
            assert!(Instant::now() < give_up, "this never happened: {what}");
            self.reactor.turn(Deadline::Now).unwrap();
        }
    }

    /// Turns until the protocol is called, and returns the call.
    #[track_caller]
    pub fn next_call(&mut self) -> Call {
        let mut call = None;
        self.until("a call of the protocol", |one| {
            call = one.calls.try_recv().ok();
            call.is_some()
        });
        call.unwrap()
    }

    /// Turns until the connection is closed. Returns the calls until then.
    #[track_caller]
    pub fn until_closed(&mut self) -> Vec<Call> {
        let mut all = Vec::new();
        while !matches!(all.last(), Some(Call::Closed(_))) {
            all.push(self.next_call());
        }
        all
    }

    /// Runs a few turns: what can happen by itself has happened.
    pub fn turn_some(&mut self) {
        for _ in 0..5 {
            self.reactor.turn(Deadline::after(std::time::Duration::from_millis(1))).unwrap();
        }
    }

    /// Reads `count` bytes at the peer, and turns meanwhile.
    #[track_caller]
    pub fn read(&mut self, count: usize) -> Vec<u8> {
        let mut all = Vec::new();
        self.until("the peer has read it", |one| {
            read_some(one.peer(), &mut all, count).unwrap();
            all.len() == count
        });
        all
    }

    /// Reads to the end at the peer, and turns meanwhile. Returns the error that ended it, if one did.
    #[track_caller]
    pub fn read_to_end(&mut self) -> (Vec<u8>, Option<io::Error>) {
        let (mut all, mut error) = (Vec::new(), None);
        self.until("the peer has read the end", |one| {
            match read_some(one.peer(), &mut all, usize::MAX) {
                Ok(is_end) => is_end,
                Err(failed) => {
                    error = Some(failed);
                    true
                }
            }
        });
        (all, error)
    }

    /// Runs `job` with the reactor's context.
    pub fn context<T>(&mut self, job: impl FnOnce(&mut Context<'_>) -> T) -> T {
        job(&mut self.reactor.context())
    }
}

/// Reads what there is, up to `most` bytes in all. Returns whether it has read the end.
fn read_some(mut peer: &Socket, all: &mut Vec<u8>, most: usize) -> io::Result<bool> {
    let mut buffer = vec![0; 100_000];
    while all.len() < most {
        let size = buffer.len().min(most - all.len());
        match peer.read(&mut buffer[..size]) {
            Ok(0) => return Ok(true),
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
