//! The handler of a listening source: the one accept loop of the crate.
//!
//! It makes the calls. [`AcceptPolicy`] decides what follows from their errors.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use super::accept_policy::{AcceptPolicy, Decision};
use crate::reactor::{Context, Handler, Next, Source, WeakHandle};
use crate::selector::{Interest, Token};
use crate::sync::{LogLimit, catch_panic, hold_panic};
use crate::sys::{self, EventFd, PollFd, PollFlags};

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

    /// Accepts the next one. If there is none, the slot is dropped.
    ///
    /// # Errors
    ///
    /// Those of `accept(2)`, whose numbers decide what the loop does. An error without a number
    /// concerns one client.
    fn accept(&mut self, listener: &F) -> io::Result<Attempt<Self::Accepted>>;

    /// Delivers what was accepted. Returns what happens with the listener next. `reserve`: the
    /// descriptor that the loop keeps for a shortage. A child process must close its copy.
    fn deliver(
        &mut self,
        accepted: Self::Accepted,
        slot: Self::Slot,
        reserve: Option<RawFd>,
        cx: &mut Context<'_, S>,
    ) -> Next;

    /// Returns the length of the accept queue. 0 if what comes in is no connection.
    fn backlog(&self, listener: &F) -> u32;

    /// Accepts and closes the pending connections. Returns their number, and the error that ended it.
    /// `None`: as many were rejected as the backlog has.
    fn reject_pending(&mut self, listener: &F) -> (usize, Option<io::Error>);

    /// Counts a pause of accepting because of a shortage. Does nothing by default.
    fn note_pause(&mut self) {}

    /// Counts a connection that was lost by a panic in [`deliver`](Self::deliver). Does nothing by
    /// default.
    fn note_panic(&mut self) {}
}

/// What became of an attempt to accept.
#[derive(Debug)]
pub(crate) enum Attempt<T> {
    Accepted(T),
    /// A connection was accepted, and lost by the program's own code.
    Lost,
    /// The program's own code has accepted none for now.
    Postponed,
}

/// The handler of a listening source.
pub(crate) struct Acceptor<I> {
    /// The listener's name for the log.
    name: String,
    incoming: I,
    accepts_per_turn: u32,
    policy: AcceptPolicy,
    /// Closed during a shortage, so that its descriptor can be used to reject a connection. Any
    /// descriptor will do. This kind needs no file system, which may be out of reach.
    reserve: Option<EventFd>,
    /// Arms the listener. Created at the first call, because it needs the listener's token.
    waker: Option<Waker>,
    /// The number of connections that were rejected and are not in the log yet.
    rejected: usize,
    lines: Lines,
    /// What is done when the listener ends. `None`: the turn fails.
    on_end: Option<OnEnd>,
}

/// Called with the error with which a listener ends.
pub(super) type OnEnd = Box<dyn FnOnce(io::Error) + Send + Sync>;

/// The kinds of lines in the log.
struct Lines {
    pauses: LogLimit,
    continues: LogLimit,
    rejected: LogLimit,
    panics: LogLimit,
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

impl<I> Acceptor<I> {
    /// `name` is the listener's in the log.
    pub(crate) fn new(name: String, accepts_per_turn: u32, incoming: I) -> Self {
        let reserve = EventFd::new().ok(); // without one, the loop pauses only
        Acceptor {
            name,
            incoming,
            accepts_per_turn: accepts_per_turn.max(1),
            policy: AcceptPolicy::new(reserve.is_some()),
            reserve,
            waker: None,
            rejected: 0,
            lines: Lines {
                pauses: LogLimit::new(),
                continues: LogLimit::new(),
                rejected: LogLimit::new(),
                panics: LogLimit::new(),
            },
            on_end: None,
        }
    }

    /// Calls `on_end` when the listener ends with an error. By default the turn of the reactor fails
    /// with it.
    pub(super) fn on_end(mut self, on_end: Option<OnEnd>) -> Self {
        self.on_end = on_end;
        self
    }

    /// Returns the waker that arms the listener.
    fn waker<S: 'static>(&mut self, listener: Token, cx: &Context<'_, S>) -> Waker {
        let arm = || {
            let handle = cx.handle().downgrade();
            Waker::from(Arc::new(ArmListener { handle, listener }))
        };
        self.waker.get_or_insert_with(arm).clone()
    }

    /// Decides what follows from an error, and logs the beginning and the end of a shortage.
    fn failed(&mut self, error: &io::Error, now: Instant) -> Decision {
        let was_short = self.policy.is_short();
        let decision = self.policy.failed(errno(error), now);
        let name = &self.name;
        match (was_short, self.policy.is_short(), decision) {
            (true, false, _) => {
                if let Some(left_out) = self.lines.continues.pass() {
                    log::info!("{name}: accepting continues{left_out}");
                }
            }
            (false, true, _) | (false, false, Decision::Pause(_)) => {
                if let Some(left_out) = self.lines.pauses.pass() {
                    log::warn!("{name}: accepting pauses: {error}{left_out}");
                }
            }
            (_, _, Decision::Next) => {
                log::debug!("{name}: a connection was lost before it was accepted: {error}");
            }
            _ => {}
        }
        decision
    }

    /// Decides what follows when the kernel has reported a connection, and `accept(2)` finds none.
    /// Another process may have accepted it. But a Unix socket that was shut down looks the same, and
    /// is reported forever. A hook may have returned `WouldBlock` for reasons of its own, and by edge
    /// the pending connections would not be reported again. So the kernel is asked.
    ///
    /// # Errors
    ///
    /// `NotConnected` when the socket was shut down.
    fn denied<F: AsFd>(
        &mut self,
        listener: &mut Source<'_, F>,
        now: Instant,
    ) -> io::Result<Decision> {
        let mut fds = [PollFd::new(listener.as_fd().as_raw_fd(), PollFlags::IN | PollFlags::RDHUP)];
        // Without an answer, a pause is the safe decision.
        let is_asked = sys::poll(&mut fds, Some(Duration::ZERO)).is_ok();
        let state = if is_asked { fds[0].revents() } else { PollFlags::IN };
        if state.intersects(PollFlags::RDHUP | PollFlags::HUP) {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "the socket was shut down"));
        }
        if !state.contains(PollFlags::IN) {
            return Ok(self.failed(&io::ErrorKind::WouldBlock.into(), now));
        }
        listener.split().1.ready |= Interest::READ; // the reactor has seen the `WouldBlock`
        Ok(self.policy.denied())
    }

    /// Follows a decision. Returns `None` if the next connection is tried.
    fn follow<F, S: 'static>(
        &mut self,
        decision: Decision,
        error: io::Error,
        listener: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Option<Next>>
    where
        I: Incoming<F, S>,
    {
        match decision {
            Decision::Next => Ok(None),
            Decision::Wait => {
                if self.policy.wants_reserve() {
                    self.reserve = EventFd::new().ok();
                    self.policy.reserve_opened(self.reserve.is_some());
                }
                // The reactor may not have seen that the queue is empty.
                let _ = listener.try_io(Interest::READ, |_| -> io::Result<()> {
                    Err(io::ErrorKind::WouldBlock.into())
                });
                Ok(Some(Next::Keep))
            }
            Decision::Pause(pause) => {
                self.incoming.note_pause();
                suspend(pause, listener, cx);
                Ok(Some(Next::Keep))
            }
            Decision::Shed => {
                self.reserve = None; // its descriptor is free for the next accept
                let (count, end) = self.incoming.reject_pending(listener.get_ref());
                self.reserve = EventFd::new().ok();
                self.log_rejected(count, &error);
                let decision =
                    self.policy.shed(end.as_ref().and_then(errno), self.reserve.is_some());
                self.follow(decision, end.unwrap_or(error), listener, cx)
            }
            Decision::End => Err(error),
        }
    }

    /// Delivers what was accepted. A panic of the program's code is counted and logged, and only its
    /// connection is lost. That code may remove the listener.
    fn deliver<F, S: 'static>(
        &mut self,
        accepted: I::Accepted,
        slot: I::Slot,
        listener: Token,
        cx: &mut Context<'_, S>,
    ) -> Next
    where
        I: Incoming<F, S>,
    {
        let reserve = self.reserve.as_ref().map(|fd| fd.as_fd().as_raw_fd());
        let delivered = catch_panic(|| self.incoming.deliver(accepted, slot, reserve, cx));
        let next = delivered.unwrap_or_else(|panic| {
            cx.note_panic();
            self.incoming.note_panic();
            if let Some(left_out) = self.lines.panics.pass() {
                log::error!("{}: a new connection was lost: {panic}{left_out}", self.name);
            }
            Next::Keep
        });
        if cx.has_removed(listener) { Next::Remove } else { next }
    }

    fn log_rejected(&mut self, count: usize, error: &io::Error) {
        self.rejected += count;
        if self.rejected > 0 && self.lines.rejected.pass().is_some() {
            let count = std::mem::take(&mut self.rejected);
            log::warn!("{}: pending connections closed: {count}, because: {error}", self.name);
        }
    }
}

/// Takes away the listener's interest for a while.
fn suspend<F, S: 'static>(pause: Duration, listener: &mut Source<'_, F>, cx: &mut Context<'_, S>) {
    listener.set_interest(Interest::NONE);
    cx.set_handlers_deadline(listener.token(), Some(cx.now() + pause));
}

/// Returns the number of an error.
fn errno(error: &io::Error) -> Option<i32> {
    match error.kind() {
        io::ErrorKind::WouldBlock => Some(libc::EAGAIN),
        io::ErrorKind::Interrupted => Some(libc::EINTR),
        _ => error.raw_os_error(),
    }
}

impl<F, S, I> Handler<F, S> for Acceptor<I>
where
    F: AsFd,
    S: 'static,
    I: Incoming<F, S>,
{
    fn ready(&mut self, listener: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next> {
        let waker = self.waker(listener.token(), cx);
        let mut has_accepted = false;
        for _ in 0..self.accepts_per_turn {
            let Some(slot) = self.incoming.reserve(&waker) else { return Ok(Next::Disarm) };
            let mut was_called = false;
            let accepted = listener.try_io(Interest::READ, |listener| {
                was_called = true;
                self.incoming.accept(listener)
            });
            let (decision, error) = match accepted {
                Ok(Attempt::Accepted(accepted)) => {
                    has_accepted = true;
                    self.policy.accepted();
                    match self.deliver(accepted, slot, listener.token(), cx) {
                        Next::Keep => continue,
                        next => return Ok(next),
                    }
                }
                Ok(Attempt::Lost) => {
                    has_accepted = true;
                    self.policy.accepted();
                    continue;
                }
                Ok(Attempt::Postponed) => {
                    (self.denied(listener, cx.now())?, io::ErrorKind::WouldBlock.into())
                }
                Err(_) if !was_called => return Ok(Next::Keep), // the reactor's budget is used up
                Err(error) if !has_accepted && error.kind() == io::ErrorKind::WouldBlock => {
                    (self.denied(listener, cx.now())?, error)
                }
                Err(error) => (self.failed(&error, cx.now()), error),
            };
            if let Some(next) = self.follow(decision, error, listener, cx)? {
                return Ok(next);
            }
        }
        Ok(Next::Keep)
    }

    /// Looks for connections that were not reported: the kernel has told another loop that watches the
    /// same socket, and that one has ended.
    fn notified(
        &mut self,
        listener: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        listener.split().1.ready |= Interest::READ;
        self.ready(listener, cx)
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

    /// Accepts the connections that are pending, as far as there are slots. For their clients they
    /// exist already, and closing the listener would reset them.
    fn shutting_down(
        &mut self,
        listener: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        let waker = self.waker(listener.token(), cx);
        // With a backlog of n, Linux keeps n + 1 connections.
        for _ in 0..=self.incoming.backlog(listener.get_ref()) {
            let Some(slot) = self.incoming.reserve(&waker) else { break };
            match self.incoming.accept(listener.get_ref()) {
                Ok(Attempt::Accepted(accepted)) => {
                    if self.deliver(accepted, slot, listener.token(), cx) != Next::Keep {
                        break;
                    }
                }
                Ok(Attempt::Lost) => {}
                Ok(Attempt::Postponed) => break,
                Err(error) if self.failed(&error, cx.now()) == Decision::Next => {}
                Err(_) => break,
            }
        }
        Ok(Next::Remove)
    }

    /// Tells the program that it no longer accepts, unless it has removed the listener itself.
    fn removed(&mut self, _: Token, error: Option<&io::Error>, cx: &mut Context<'_, S>) {
        let Some(error) = error else { return };
        let text = format!("cannot accept on {} any more: {error}", self.name);
        let error = io::Error::new(error.kind(), text);
        match self.on_end.take() {
            Some(on_end) => {
                let copy = io::Error::new(error.kind(), error.to_string());
                if let Err(panic) = hold_panic(|| on_end(error)) {
                    cx.fail(copy); // the program would live on without knowing
                    resume_unwind(panic);
                }
            }
            None => cx.fail(error),
        }
    }
}

#[cfg(test)]
mod script;
#[cfg(test)]
mod tests;
