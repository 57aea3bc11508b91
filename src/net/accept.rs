//! What a listening source does in a reactor: the one accept loop of the crate.
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

use crate::reactor::{Context, Handler, Next, Source};
use crate::selector::{Interest, Token};
use crate::sync::Call;

/// Who comes in through a source of type `F`, and what becomes of them. The accept loop is the same
/// for all doors.
pub(crate) trait Door<F, S> {
    /// One who came in.
    type Guest;

    /// Whether one more may come in: asked *before* accepting, so that who is over a limit stays in
    /// the kernel's queue. Who says no sees to it that `call` is made when there is room: it arms the
    /// source again.
    fn has_room(&mut self, call: &Call) -> bool;

    /// The next who waits.
    fn accept(&mut self, listener: &F) -> io::Result<Self::Guest>;

    /// Sees to a guest, and says what becomes of the listener.
    fn let_in(&mut self, guest: Self::Guest, listener: Token, cx: &mut Context<'_, S>) -> Next;

    /// Nothing more is to come in: answers whoever waits by closing. Whether anybody did; `F` may have
    /// no queue.
    fn turn_away(&mut self, listener: &F) -> bool;

    /// What the log calls the listener.
    fn name(&self, listener: &F) -> String;
}

/// The handler of a listening source.
pub(crate) struct Acceptor<D> {
    door: D,
    per_turn: u32,
    reserve: Option<File>,
    shortage: Option<Shortage>,
    /// Made when it is first needed, for it knows the listener's token.
    call: Option<Call>,
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

impl<D> Acceptor<D> {
    pub(crate) fn new(per_turn: u32, door: D) -> io::Result<Self> {
        Ok(Acceptor { door, per_turn, reserve: Some(open_reserve()?), shortage: None, call: None })
    }

    /// Pauses, and in a long shortage turns away who waits.
    fn pause<F, S: 'static>(
        &mut self,
        error: &io::Error,
        listener: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next>
    where
        D: Door<F, S>,
    {
        let now = Instant::now();
        let name = self.door.name(listener.get_ref());
        let shortage = self.shortage.get_or_insert_with(|| {
            log::warn!(target: "tripoll", "{name}: accepting pauses: {error}");
            Shortage { since: now, pause: FIRST_PAUSE }
        });
        let pause = shortage.pause;
        shortage.pause = (pause * 2).min(LONGEST_PAUSE);
        if now.duration_since(shortage.since) >= PATIENCE {
            // In the room that the reserve gives up.
            self.reserve = None;
            let anybody = self.door.turn_away(listener.get_ref());
            // Another thread may have been quicker. Then there is nothing to give up until there is.
            self.reserve = open_reserve().ok();
            if !anybody {
                // The kernel refuses the descriptor before it looks at the queue. Nobody waits, so
                // there is nothing to look at again until somebody comes.
                let _ = listener.try_io(Interest::READ, |_| -> io::Result<()> {
                    Err(io::ErrorKind::WouldBlock.into())
                });
                return Ok(Next::Keep);
            }
        }
        rest(pause, listener, cx)?;
        Ok(Next::Keep)
    }
}

/// The listener wants nothing for a while.
fn rest<F, S: 'static>(
    pause: Duration,
    listener: &mut Source<'_, F>,
    cx: &mut Context<'_, S>,
) -> io::Result<()> {
    listener.set_interest(Interest::NONE);
    cx.set_deadline(listener.token(), Some(Instant::now() + pause))
}

impl<F, S, D> Handler<F, S> for Acceptor<D>
where
    S: 'static,
    D: Door<F, S>,
{
    fn ready(&mut self, listener: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next> {
        let arming = || {
            let (token, handle) = (listener.token(), cx.handle());
            Call::new(move || drop(handle.arm(token)))
        };
        let call = self.call.get_or_insert_with(arming).clone();
        let mut lost = 0;
        for _ in 0..self.per_turn {
            if !self.door.has_room(&call) {
                return Ok(Next::Disarm);
            }
            match listener.try_io(Interest::READ, |listener| self.door.accept(listener)) {
                Ok(guest) => {
                    if let Some(shortage) = &mut self.shortage {
                        *shortage = Shortage { since: Instant::now(), pause: FIRST_PAUSE };
                    }
                    let next = self.door.let_in(guest, listener.token(), cx);
                    if next != Next::Keep {
                        return Ok(next);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Linux asks for the descriptor first, so there would have been one.
                    if self.shortage.take().is_some() {
                        let name = self.door.name(listener.get_ref());
                        log::info!(target: "tripoll", "{name}: accepting again");
                    }
                    return Ok(Next::Keep);
                }
                Err(error) if concerns_one_client(&error) => {
                    log::debug!(target: "tripoll", "nobody came in: {error}");
                    lost += 1;
                }
                Err(error) if is_shortage(&error) => return self.pause(&error, listener, cx),
                Err(error) => {
                    let name = self.door.name(listener.get_ref());
                    log::error!(target: "tripoll", "{name}: accepting has ended: {error}");
                    return Err(error);
                }
            }
        }
        // A door that turns everybody back may be one that never lets anybody in.
        if lost == self.per_turn {
            rest(FIRST_PAUSE, listener, cx)?;
        }
        Ok(Next::Keep)
    }

    /// The pause is over.
    fn timed_out(
        &mut self,
        listener: &mut Source<'_, F>,
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

/// The client is gone, or its network is: `accept(2)` says to treat these as if nothing had come. An
/// error that is not the kernel's is one of a door that looks at its guests.
fn concerns_one_client(error: &io::Error) -> bool {
    let Some(code) = error.raw_os_error() else {
        return error.kind() != io::ErrorKind::WouldBlock;
    };
    matches!(
        code,
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
}

fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}
