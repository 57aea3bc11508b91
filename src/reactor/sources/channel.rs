//! A bounded channel into the loop.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{self, SendError, SyncSender, TryRecvError, TrySendError};

use super::ping::{Ping, Pinger};
use crate::reactor::context::Context;
use crate::reactor::handler::{Handler, Next};
use crate::reactor::source::Source;
use crate::selector::{Interest, Token};

/// Creates a channel for messages from any threads to the loop. At most `capacity` messages wait in it.
/// When it is full, [`Sender::try_send`] returns the message, and [`Sender::send`] blocks: so a slow
/// loop slows its senders, and the memory is bounded.
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
    let (queue, messages) = mpsc::sync_channel(capacity);
    let receiver = Receiver { messages, capacity, ping };
    Ok((Sender { queue, pinger: PingOnDrop(pinger) }, receiver))
}

/// Sends messages to the [`Receiver`] of its [`channel()`], from any thread.
pub struct Sender<T> {
    /// Dropped before the pinger, so that the receiver finds the end.
    queue: SyncSender<T>,
    pinger: PingOnDrop,
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
        self.queue.send(message)?;
        self.pinger.0.ping();
        Ok(())
    }

    /// Sends a message if there is room. Never blocks.
    ///
    /// # Errors
    ///
    /// Returns the message: `Full` when the channel is full, `Disconnected` when the receiver has gone.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.queue.try_send(message)?;
        self.pinger.0.ping();
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender { queue: self.queue.clone(), pinger: self.pinger.clone() }
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
    messages: mpsc::Receiver<T>,
    capacity: usize,
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
            match self.messages.try_recv() {
                Ok(message) => return Ok(Some(message)),
                Err(TryRecvError::Disconnected) => return Ok(None),
                // A message may have come just before the ping was taken.
                Err(TryRecvError::Empty) => self.ping.take()?,
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
        // Not more than can be there now: busy senders must not keep the reactor from its end.
        let receiver = source.get_ref();
        let waiting: Vec<T> = receiver.messages.try_iter().take(receiver.capacity).collect();
        for message in waiting {
            (self.0)(Some(message), cx);
        }
        Ok(Next::Remove)
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
