//! What a listener does in a reactor: the one accept loop of the crate.
//!
//! `accept(2)` fails in three ways, and only one of them concerns the listener.
//!
//! * **This client** is lost before it was accepted (ECONNABORTED and the network errors that Linux
//!   hands on): go on with the next.
//! * **All clients**: the process or the system is out of descriptors or memory (EMFILE, ENFILE,
//!   ENOBUFS, ENOMEM). The client stays in the queue, so by level the listener is ready at once
//!   again, for ever; on edge nobody tells of it again. Both are mended by a pause: the listener
//!   wants nothing for a while, which grows from 10 ms to 1 s. Who waits is served when there is
//!   room again. When there has been none for a second, the queue is turned away, with the help of
//!   a descriptor kept in reserve: a closed connection is an answer, silence is none.
//! * **The listener** itself is broken: it ends, with the error.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use super::gate::Gate;
use super::{Listener, Stream};
use crate::{Context, Handler, Interest, Next, Source};

/// The handler of a [`Listener`].
pub(super) struct Acceptor<A> {
    accepted: A,
    gate: Option<Gate>,
    per_turn: u32,
    reserve: Option<File>,
    shortage: Option<Shortage>,
}

/// The process is out of something. It ends when nobody waits any more: while one connection after
/// the other takes the last descriptor, it is one shortage, and said once.
struct Shortage {
    /// When somebody could last be accepted, or when it began.
    since: Instant,
    pause: Duration,
}

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long who waits is left waiting before it is turned away.
const PATIENCE: Duration = Duration::from_secs(1);

impl<A> Acceptor<A> {
    pub(super) fn new(most: Option<usize>, per_turn: u32, accepted: A) -> io::Result<Self> {
        Ok(Acceptor {
            accepted,
            gate: most.map(Gate::new),
            per_turn,
            reserve: Some(open_reserve()?),
            shortage: None,
        })
    }

    /// Pauses, and in a long shortage turns away who waits.
    fn pause<S: 'static>(
        &mut self,
        error: &io::Error,
        listener: &mut Source<'_, Listener>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        let now = Instant::now();
        let address = listener.get_ref().local_address();
        let shortage = self.shortage.get_or_insert_with(|| {
            log::warn!(target: "tripoll", "{address}: accepting pauses: {error}");
            Shortage { since: now, pause: FIRST_PAUSE }
        });
        let pause = shortage.pause;
        shortage.pause = (pause * 2).min(LONGEST_PAUSE);
        if now.duration_since(shortage.since) >= PATIENCE {
            self.turn_away(listener.get_ref());
        }
        listener.set_interest(Interest::NONE);
        cx.set_deadline(listener.token(), Some(now + pause))?;
        Ok(Next::Keep)
    }

    /// Accepts and closes, in the room that the reserve gives up.
    fn turn_away(&mut self, listener: &Listener) {
        self.reserve = None;
        for _ in 0..listener.backlog() {
            if listener.accept().is_err() {
                break;
            }
        }
        // Another thread may have been quicker. Then there is nothing to give up until there is.
        self.reserve = open_reserve().ok();
    }
}

impl<S, A> Handler<Listener, S> for Acceptor<A>
where
    S: 'static,
    A: FnMut(Stream, &mut Context<'_, S>) -> io::Result<()>,
{
    fn ready(
        &mut self,
        listener: &mut Source<'_, Listener>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        for _ in 0..self.per_turn {
            let permit = match &self.gate {
                None => None,
                // Reserved before accepting: who is over the limit stays in the backlog. Whoever
                // leaves, on whichever thread, arms the listener again.
                Some(gate) => {
                    let (handle, token) = (cx.handle(), listener.token());
                    match gate.enter(move || drop(handle.arm(token))) {
                        None => return Ok(Next::Disarm),
                        permit => permit,
                    }
                }
            };
            match listener.try_io(Interest::READ, |listener| listener.accept()) {
                Ok(mut stream) => {
                    if let Some(shortage) = &mut self.shortage {
                        *shortage = Shortage { since: Instant::now(), pause: FIRST_PAUSE };
                    }
                    if let Some(permit) = permit {
                        stream.hold(permit);
                    }
                    if let Err(error) = (self.accepted)(stream, cx) {
                        log::debug!(target: "tripoll", "a new connection ended: {error}");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Linux asks for the descriptor first, so there would have been one.
                    if self.shortage.take().is_some() {
                        let address = listener.get_ref().local_address();
                        log::info!(target: "tripoll", "{address}: accepting again");
                    }
                    return Ok(Next::Keep);
                }
                Err(error) if concerns_one_client(&error) => {}
                Err(error) if is_shortage(&error) => return self.pause(&error, listener, cx),
                Err(error) => return Err(error),
            }
        }
        Ok(Next::Keep)
    }

    /// The pause is over.
    fn timed_out(
        &mut self,
        listener: &mut Source<'_, Listener>,
        _: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        listener.set_interest(Interest::READ);
        Ok(Next::Keep)
    }
}

/// A descriptor to give up when there are no others.
fn open_reserve() -> io::Result<File> {
    File::open("/dev/null")
}

/// The client is gone, or its network is: `accept(2)` says to treat these as if nothing had come.
fn concerns_one_client(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::EINTR
                | libc::EPERM
                | libc::EPROTO
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENONET
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::ETIMEDOUT
        )
    )
}

fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}
