//! A bounded channel into the loop.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{SendError, TrySendError};

use super::ping::{Ping, Pinger};
use crate::reactor::context::Context;
use crate::reactor::handler::{Handler, Next};
use crate::reactor::source::Source;
use crate::selector::{Interest, Token};
use crate::sync::{Condvar, Mutex, MutexGuard, lock, wait_until};

/// Creates a channel for messages from any threads to the loop. At most `capacity` messages wait in it.
/// When it is full, [`Sender::try_send`] returns the message, and [`Sender::send`] blocks: so a slow
/// loop slows its senders, and the memory is bounded. Memory is allocated for messages that wait, and not
/// in advance. `usize::MAX` is no bound.
///
/// ```
/// use tripoll::Reactor;
/// use tripoll::reactor::sources::channel;
///
/// let mut reactor = Reactor::builder().build_with(0)?;
/// let (sender, receiver) = channel(2)?;
/// receiver.on(&mut reactor.context(), |message, cx| match message {
///     Some(number) => *cx.state += number,
///     None => cx.stop(), // all senders have gone
/// })?;
/// std::thread::spawn(move || (1..=100).try_for_each(|number| sender.send(number)));
/// reactor.run()?;
/// assert_eq!(*reactor.state(), 5_050);
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
///
/// `InvalidInput` if `capacity` is 0. Those of `eventfd(2)` when the process or the system has no
/// descriptors left.
pub fn channel<T>(capacity: usize) -> io::Result<(Sender<T>, Receiver<T>)> {
    if capacity == 0 {
        let message = "the capacity of a channel is 0: no message could be sent";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let (ping, pinger) = Ping::new()?;
    let state = State { messages: VecDeque::new(), senders: 1, has_receiver: true };
    let queue = Queue { capacity, state: Mutex::new(state), has_room: Condvar::new() };
    let queue = Arc::new(queue);
    let receiver = Receiver { queue: Arc::clone(&queue), ping };
    Ok((Sender { end: SendingEnd(queue), pinger: PingOnDrop(pinger) }, receiver))
}

/// What the senders and the receiver share.
struct Queue<T> {
    capacity: usize,
    state: Mutex<State<T>>,
    /// Wakes senders that wait for room.
    has_room: Condvar,
}

struct State<T> {
    messages: VecDeque<T>,
    senders: usize,
    has_receiver: bool,
}

impl<T> Queue<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.state)
    }

    /// Puts a message, or gives it back. Waits for room if `waits`.
    fn put(&self, message: T, waits: bool) -> Result<(), TrySendError<T>> {
        let mut state = self.state();
        while state.has_receiver && state.messages.len() >= self.capacity {
            if !waits {
                return Err(TrySendError::Full(message));
            }
            (state, _) = wait_until(&self.has_room, state, None);
        }
        if !state.has_receiver {
            return Err(TrySendError::Disconnected(message));
        }
        state.messages.push_back(message);
        Ok(())
    }

    /// Takes the next message. `Err(true)` if there is none, and none will come.
    fn take(&self) -> Result<T, bool> {
        let mut state = self.state();
        let message = state.messages.pop_front().ok_or(state.senders == 0);
        drop(state);
        if message.is_ok() {
            self.has_room.notify_one();
        }
        message
    }
}

/// Sends messages to the [`Receiver`] of its [`channel()`], from any thread.
pub struct Sender<T> {
    /// Dropped before the pinger, so that the receiver finds the end.
    end: SendingEnd<T>,
    pinger: PingOnDrop,
}

/// One of the senders.
struct SendingEnd<T>(Arc<Queue<T>>);

impl<T> Clone for SendingEnd<T> {
    fn clone(&self) -> Self {
        self.0.state().senders += 1;
        SendingEnd(Arc::clone(&self.0))
    }
}

impl<T> Drop for SendingEnd<T> {
    fn drop(&mut self) {
        self.0.state().senders -= 1;
    }
}

#[derive(Clone)]
struct PingOnDrop(Pinger);

impl Drop for PingOnDrop {
    fn drop(&mut self) {
        self.0.ping();
    }
}

impl<T> Sender<T> {
    /// Sends a message, and blocks while the channel is full. Must not be called on the thread of the
    /// loop: a full channel would block it for ever.
    ///
    /// # Errors
    ///
    /// Returns the message when the receiver has gone, also while it blocks.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let (TrySendError::Full(message) | TrySendError::Disconnected(message)) =
            match self.end.0.put(message, true) {
                Ok(()) => {
                    self.pinger.0.ping();
                    return Ok(());
                }
                Err(refused) => refused,
            };
        Err(SendError(message))
    }

    /// Sends a message if there is room. Never blocks.
    ///
    /// # Errors
    ///
    /// Returns the message: `Full` when the channel is full, `Disconnected` when the receiver has gone.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.end.0.put(message, false)?;
        self.pinger.0.ping();
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender { end: self.end.clone(), pinger: self.pinger.clone() }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// A source that receives the messages of a [`channel()`].
///
/// A forked child shares the descriptor with its parent, so only one of them may use it.
pub struct Receiver<T> {
    queue: Arc<Queue<T>>,
    ping: Ping,
}

impl<T: 'static> Receiver<T> {
    /// Returns the next message. Returns `None` when all senders have gone and no message is left.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no message now.
    pub fn receive(&mut self) -> io::Result<Option<T>> {
        loop {
            match self.queue.take() {
                Ok(message) => return Ok(Some(message)),
                Err(true) => return Ok(None),
                // A message may have come just before the ping was taken.
                Err(false) => self.ping.take()?,
            }
        }
    }

    /// Adds the receiver to a reactor. `callback` is called with each message, and once with `None`,
    /// after the last message, when all senders have gone. Then the receiver is removed.
    ///
    /// When the reactor [shuts down](Context::shutdown), the messages that wait in the channel are
    /// passed, and the receiver is removed. Then senders are told that it has gone.
    ///
    /// # Errors
    ///
    /// Fails when the selector cannot watch the source.
    pub fn on<S: 'static>(
        self,
        cx: &mut Context<'_, S>,
        callback: impl FnMut(Option<T>, &mut Context<'_, S>) + 'static,
    ) -> io::Result<Token> {
        Ok(cx.add(self, Interest::READ, Messages(callback))?)
    }
}

struct Messages<C>(C);

impl<T, S, C> Handler<Receiver<T>, S> for Messages<C>
where
    T: 'static,
    S: 'static,
    C: FnMut(Option<T>, &mut Context<'_, S>),
{
    fn ready(
        &mut self,
        source: &mut Source<'_, Receiver<T>>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        // The callback may have removed its source.
        while cx.interest(source.token()).is_some() {
            let message = source.try_io(Interest::READ, Receiver::receive)?;
            let is_end = message.is_none();
            (self.0)(message, cx);
            if is_end {
                return Ok(Next::Remove);
            }
        }
        Ok(Next::Keep)
    }

    fn shutting_down(
        &mut self,
        source: &mut Source<'_, Receiver<T>>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        // Not more than are there now: busy senders must not keep the reactor from its end.
        let waiting = std::mem::take(&mut source.get_ref().queue.state().messages);
        for message in waiting {
            if cx.has_removed(source.token()) {
                break; // by the callback
            }
            (self.0)(Some(message), cx);
        }
        Ok(Next::Remove)
    }
}

/// Tells the senders that it has gone, those that wait for room, too.
impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.has_receiver = false;
        let messages = std::mem::take(&mut state.messages);
        drop(state);
        self.queue.has_room.notify_all();
        drop(messages); // without the lock: a message may own anything, such as a sender
    }
}

impl<T> AsFd for Receiver<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ping.as_fd()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("ping", &self.ping).finish_non_exhaustive()
    }
}
