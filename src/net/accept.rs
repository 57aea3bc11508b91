//! The handler of a listening source: the one accept loop of the crate.
//!
//! `accept(2)` fails for three kinds of reasons, and only one of them concerns the listener.
//!
//! * **One client.** The connection was lost before it was accepted: ECONNABORTED, and the network
//!   errors that Linux passes on. The loop continues with the next connection.
//! * **All clients.** The process or the system has no free descriptors or memory: EMFILE, ENFILE,
//!   ENOBUFS, ENOMEM. The connection stays in the queue. So a level-triggered listener would be
//!   ready again at once, forever, and an edge-triggered one would not be reported again. Therefore
//!   the listener pauses: its interest is empty for a while, which grows from 10 ms to 1 s.
//!   Afterwards it accepts the waiting connections. When the shortage has lasted for a second, the
//!   pending connections are rejected, with the help of a descriptor kept in reserve. A closed
//!   connection is an answer; silence is not.
//! * **The listener.** It is broken and ends with the error.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use crate::reactor::{Context, Handler, Next, Source, WeakHandle};
use crate::selector::{Interest, Token};

/// Accepts from a source of type `F`, and delivers what was accepted. The accept loop is the same
/// for all implementations.
pub(crate) trait Incoming<F, S> {
    /// What is accepted: a connection, or a server's request.
    type Accepted;

    /// The room that is reserved for it.
    type Slot;

    /// Reserves a slot for one more. Called *before* `accept(2)`, so that connections over the limit
    /// stay in the backlog. An implementation that returns `None` must wake `waker` when a slot
    /// becomes free.
    fn reserve(&mut self, waker: &Waker) -> Option<Self::Slot>;

    /// Accepts the next one. If it fails, the slot is dropped.
    fn accept(&mut self, listener: &F) -> io::Result<Self::Accepted>;

    /// Delivers what was accepted. Returns what happens with the listener next.
    fn deliver(
        &mut self,
        accepted: Self::Accepted,
        slot: Self::Slot,
        cx: &mut Context<'_, S>,
    ) -> Next;

    /// Accepts and closes the pending connections. Returns whether there were any.
    fn reject_pending(&mut self, listener: &F) -> bool;

    /// Returns the listener's name for the log.
    fn name(&self, listener: &F) -> String;
}

/// The handler of a listening source.
pub(crate) struct Acceptor<I> {
    incoming: I,
    accepts_per_turn: u32,
    /// Closed during a shortage, so that its descriptor can be used to reject a connection.
    reserve: Option<File>,
    shortage: Option<Shortage>,
    /// Arms the listener. Created at the first call, because it needs the listener's token.
    waker: Option<Waker>,
}

/// A shortage of descriptors or memory. It ends when no connection is pending any more. As long as
/// one connection after the other takes the last descriptor, it is one shortage, and logged once.
struct Shortage {
    /// When a connection was last accepted, or when the shortage began.
    since: Instant,
    pause: Duration,
}

/// Arms a listener again that was disarmed because there was no slot.
struct ArmListener<S> {
    handle: WeakHandle<S>,
    listener: Token,
}

impl<S: 'static> Wake for ArmListener<S> {
    fn wake(self: Arc<Self>) {
        if let Some(handle) = self.handle.upgrade() {
            let _ = handle.arm(self.listener); // the reactor may have been dropped meanwhile
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a shortage lasts before pending connections are rejected.
const REJECT_AFTER: Duration = Duration::from_secs(1);

impl<I> Acceptor<I> {
    pub(crate) fn new(accepts_per_turn: u32, incoming: I) -> io::Result<Self> {
        let reserve = Some(open_reserve()?);
        Ok(Acceptor { incoming, accepts_per_turn, reserve, shortage: None, waker: None })
    }

    /// Pauses, and rejects the pending connections if the shortage is long.
    fn pause<F, S: 'static>(
        &mut self,
        error: &io::Error,
        listener: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next>
    where
        I: Incoming<F, S>,
    {
        let now = Instant::now();
        let name = self.incoming.name(listener.get_ref());
        let shortage = self.shortage.get_or_insert_with(|| {
            log::warn!("{name}: accepting pauses: {error}");
            Shortage { since: now, pause: FIRST_PAUSE }
        });
        let pause = shortage.pause;
        shortage.pause = (pause * 2).min(LONGEST_PAUSE);
        if now.duration_since(shortage.since) >= REJECT_AFTER {
            self.reserve = None; // its descriptor is free for the next accept
            let were_pending = self.incoming.reject_pending(listener.get_ref());
            // Another thread may have taken the descriptor. Then there is no reserve until one is
            // free again.
            self.reserve = open_reserve().ok();
            if !were_pending {
                // The kernel refuses the descriptor before it looks at the queue. The queue is empty,
                // so wait for the next connection, not for the end of a pause.
                let _ = listener.try_io(Interest::READ, |_| -> io::Result<()> {
                    Err(io::ErrorKind::WouldBlock.into())
                });
                return Ok(Next::Keep);
            }
        }
        suspend(pause, listener, cx)?;
        Ok(Next::Keep)
    }
}

/// Takes away the listener's interest for a while.
fn suspend<F, S: 'static>(
    pause: Duration,
    listener: &mut Source<'_, F>,
    cx: &mut Context<'_, S>,
) -> io::Result<()> {
    listener.set_interest(Interest::NONE);
    cx.set_deadline(listener.token(), Some(Instant::now() + pause))
}

impl<F, S, I> Handler<F, S> for Acceptor<I>
where
    S: 'static,
    I: Incoming<F, S>,
{
    fn ready(&mut self, listener: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next> {
        let token = listener.token();
        let arm = || {
            let handle = cx.handle().downgrade();
            Waker::from(Arc::new(ArmListener { handle, listener: token }))
        };
        let waker = self.waker.get_or_insert_with(arm);
        let mut lost = 0;
        for _ in 0..self.accepts_per_turn {
            let Some(slot) = self.incoming.reserve(waker) else { return Ok(Next::Disarm) };
            match listener.try_io(Interest::READ, |listener| self.incoming.accept(listener)) {
                Ok(accepted) => {
                    if let Some(shortage) = &mut self.shortage {
                        *shortage = Shortage { since: Instant::now(), pause: FIRST_PAUSE };
                    }
                    let next = self.incoming.deliver(accepted, slot, cx);
                    if next != Next::Keep {
                        return Ok(next);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Linux reserves the descriptor before it looks at the queue, so there was one.
                    if self.shortage.take().is_some() {
                        let name = self.incoming.name(listener.get_ref());
                        log::info!("{name}: accepting continues");
                    }
                    return Ok(Next::Keep);
                }
                Err(error) if concerns_one_client(&error) => {
                    log::debug!("a connection was lost before it was accepted: {error}");
                    lost += 1;
                }
                Err(error) if is_shortage(&error) => return self.pause(&error, listener, cx),
                Err(error) => {
                    let name = self.incoming.name(listener.get_ref());
                    log::error!("{name}: accepting has ended: {error}");
                    return Err(error);
                }
            }
        }
        // If all failed, they may fail forever: do not spin.
        if lost == self.accepts_per_turn {
            suspend(FIRST_PAUSE, listener, cx)?;
        }
        Ok(Next::Keep)
    }

    /// Ends a pause.
    fn timed_out(
        &mut self,
        listener: &mut Source<'_, F>,
        _: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        listener.set_interest(Interest::READ);
        Ok(Next::Keep)
    }
}

/// Opens the descriptor that is given up when there are no others.
fn open_reserve() -> io::Result<File> {
    File::open("/dev/null")
}

/// Returns whether only one client is lost. `accept(2)` advises to treat these errors as if there had
/// been no connection. An error without a number is one of the implementation of [`Incoming`].
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::rc::Rc;

    use super::*;
    use crate::reactor::Reactor;
    use crate::selector::Deadline;

    /// At most one slot; what `accept` returns is scripted, the last one first.
    struct Scripted {
        /// The test has a clone of it.
        slot: Rc<()>,
        results: Vec<io::Result<u32>>,
    }

    /// What has been delivered, with its slot.
    #[derive(Default)]
    struct Delivered {
        accepted: Vec<(u32, Rc<()>)>,
    }

    impl Incoming<UnixStream, Delivered> for Scripted {
        type Accepted = u32;
        type Slot = Rc<()>;

        fn reserve(&mut self, waker: &Waker) -> Option<Rc<()>> {
            if Rc::strong_count(&self.slot) > 2 {
                waker.wake_by_ref(); // arms the listener after it has been disarmed
                return None;
            }
            Some(Rc::clone(&self.slot))
        }

        fn accept(&mut self, _: &UnixStream) -> io::Result<u32> {
            assert_eq!(Rc::strong_count(&self.slot), 3, "reserved before accepting");
            self.results.pop().unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
        }

        fn deliver(
            &mut self,
            accepted: u32,
            slot: Rc<()>,
            cx: &mut Context<'_, Delivered>,
        ) -> Next {
            cx.state.accepted.push((accepted, slot));
            Next::Keep
        }

        fn reject_pending(&mut self, _: &UnixStream) -> bool {
            false
        }

        fn name(&self, _: &UnixStream) -> String {
            "scripted".into()
        }
    }

    #[test]
    fn a_slot_is_dropped_when_accept_fails_and_its_waker_arms_the_listener() {
        let slot = Rc::new(());
        let lost = || Err(io::Error::from_raw_os_error(libc::ECONNABORTED));
        let scripted = Scripted { slot: Rc::clone(&slot), results: vec![Ok(2), Ok(1), lost()] };
        let (listener, mut client) = UnixStream::pair().unwrap();
        client.write_all(b"ready").unwrap();
        let mut reactor = Reactor::builder().build_with(Delivered::default()).unwrap();
        let acceptor = Acceptor::new(10, scripted).unwrap();
        reactor.context().add(listener, Interest::READ, acceptor).unwrap();

        // The lost connection has given its slot back, so the first one has it.
        reactor.turn(Deadline::Never).unwrap();
        let (number, held) = reactor.state().accepted.pop().unwrap();
        assert_eq!((number, Rc::strong_count(&slot)), (1, 3));
        assert!(reactor.state().accepted.is_empty(), "accepted without a slot");

        drop(held);
        while reactor.state().accepted.is_empty() {
            reactor.turn(Deadline::Never).unwrap();
        }
        assert_eq!(reactor.state().accepted.pop().unwrap().0, 2);
    }
}
