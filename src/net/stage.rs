//! Stages: one wait after another, each with a source of its own and something that goes on when it
//! has ended.
//!
//! A connect waits for a name to be resolved, then for one socket after another, and between two
//! tries for a time to pass. What the stages have in common is here. The state of the connect moves
//! from stage to stage: it is the [`Then`] of the current one, and of no other.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Instant;

use super::close_reason::{CloseReason, clone_error};
use crate::reactor::{Context, Handler, Known, Next, Source};
use crate::selector::{Interest, Token};
use crate::sync::lock;

/// A [`Connect`](super::Connect) that was started: cancels it. It can be cloned, sent to other
/// threads, and dropped: then the connect goes on.
///
/// ```
/// use tripoll::net::{Connect, Listener};
/// use tripoll::{Deadline, Reactor};
///
/// let listener = Listener::bind("127.0.0.1:0")?;
/// let mut reactor = Reactor::builder().build_with(String::new())?;
/// let connect = Connect::to(listener.local_address().clone());
/// let connecting = connect.start(&mut reactor.context(), |stream, cx| {
///     *cx.state = stream.unwrap_err().to_string();
/// });
/// assert!(connecting.cancel(&mut reactor.context()));
/// reactor.turn(Deadline::Now)?;
/// assert_eq!(reactor.state(), "the connect was cancelled");
/// assert!(!connecting.cancel(&mut reactor.context())); // it is over
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug, Clone)]
pub struct Connecting {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// It waits for this source.
    Waiting(Token),
    /// Between two stages.
    Between,
    Cancelled,
    Over,
}

impl Connecting {
    pub(super) fn new() -> Self {
        Connecting { state: Arc::new(Mutex::new(State::Between)) }
    }

    /// Cancels the connect. Its callback is called with an error of kind `ConnectionAborted`, its
    /// protocol with [`CloseReason::Removed`](super::CloseReason::Removed), in this turn or the next.
    /// A connection that is [served again](super::Connect::serve_again) is closed the same way while it
    /// is open, and is not made again.
    ///
    /// Returns false if it is over: connected, failed or cancelled before. `cx` is that of the reactor
    /// in which it was started.
    pub fn cancel<S: 'static>(&self, cx: &mut Context<'_, S>) -> bool {
        let state = std::mem::replace(&mut *lock(&self.state), State::Cancelled);
        match state {
            State::Over => *lock(&self.state) = State::Over,
            State::Waiting(source) => drop(cx.remove(source)),
            State::Between | State::Cancelled => {}
        }
        matches!(state, State::Waiting(_) | State::Between)
    }

    /// Notes that it waits for `source`.
    pub(super) fn wait_for(&self, source: Token) {
        *lock(&self.state) = State::Waiting(source);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        matches!(*lock(&self.state), State::Cancelled)
    }

    pub(super) fn set_over(&self) {
        *lock(&self.state) = State::Over;
    }
}

/// Why a stage, or a whole connect, has ended without a result.
#[derive(Debug)]
pub(super) enum Stop {
    Failed(io::Error),
    /// By [`Connecting::cancel`], or by the removal of the source.
    Cancelled,
    ShuttingDown,
}

impl Stop {
    pub(super) fn into_error(self) -> io::Error {
        let text = match self {
            Stop::Failed(error) => return error,
            Stop::Cancelled => "the connect was cancelled",
            Stop::ShuttingDown => "the reactor shuts down before there is a connection",
        };
        io::Error::new(io::ErrorKind::ConnectionAborted, text)
    }

    /// Returns why a protocol has no connection.
    pub(super) fn into_reason(self) -> CloseReason {
        match self {
            Stop::Cancelled => CloseReason::Removed,
            stop => CloseReason::ConnectFailed(stop.into_error()),
        }
    }
}

/// What goes on when a stage has ended. It is called when no handler runs.
pub(super) trait Then<S, T>: 'static {
    fn then(self, result: Result<T, Stop>, cx: &mut Context<'_, S>);
}

/// What a stage waits for, with a source of type `F`.
pub(super) trait Wait<F>: 'static {
    /// The result of the stage.
    type Output;

    /// Looks whether the wait is over.
    fn poll(
        &mut self,
        cause: Cause,
        source: &mut Source<'_, F>,
        now: Instant,
    ) -> Poll<io::Result<()>>;

    /// Returns when [`poll`](Self::poll) must be called with [`Cause::Deadline`]. Asked after each
    /// call.
    fn deadline(&self) -> Option<Instant>;

    /// Returns the result, after the wait has ended well. The source has left the reactor.
    fn finish(self, source: F) -> io::Result<Self::Output>;
}

/// Why a wait is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Added,
    Ready,
    Deadline,
}

/// Begins a stage.
///
/// # Errors
///
/// Fails when the selector cannot watch the source, which is closed then. `then` comes back.
pub(super) fn begin<F, W, T, S>(
    source: F,
    interest: Interest,
    wait: W,
    then: T,
    cx: &mut Context<'_, S>,
) -> Result<Token, (io::Error, T)>
where
    F: AsFd + 'static,
    W: Wait<F>,
    T: Then<S, W::Output>,
    S: 'static,
{
    let stage = Stage { left: Some((wait, then)) };
    let known = Known { reads_raw: true, ..Known::default() };
    cx.add_known(source, interest, stage, known).map_err(|(refused, stage)| {
        let (_, then) = stage.left.expect("it was not called");
        (refused.error, then)
    })
}

/// The handler of a stage's source.
struct Stage<W, T> {
    /// `None` when the source was taken.
    left: Option<(W, T)>,
}

impl<W, T> Stage<W, T> {
    fn poll<F, S>(
        &mut self,
        cause: Cause,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next>
    where
        F: 'static,
        W: Wait<F>,
        T: Then<S, W::Output>,
        S: 'static,
    {
        let Some((wait, _)) = &mut self.left else { return Ok(Next::Keep) };
        match wait.poll(cause, source, cx.now()) {
            Poll::Pending => {
                let deadline = wait.deadline();
                cx.set_handlers_deadline(source.token(), deadline);
            }
            Poll::Ready(Ok(())) => self.end(Ok(()), source, cx)?,
            Poll::Ready(Err(error)) => self.end(Err(Stop::Failed(error)), source, cx)?,
        }
        Ok(Next::Keep)
    }

    /// Takes the source out of the reactor, and goes on. After a failure the source is closed before:
    /// what comes next may need its address or its descriptor.
    fn end<F, S>(
        &mut self,
        result: Result<(), Stop>,
        source: &Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()>
    where
        F: 'static,
        W: Wait<F>,
        T: Then<S, W::Output>,
        S: 'static,
    {
        let Some((wait, then)) = self.left.take() else { return Ok(()) };
        cx.take(source.token(), move |source: F, cx| {
            let result = match result {
                Ok(()) => wait.finish(source).map_err(Stop::Failed),
                Err(stop) => {
                    drop((wait, source));
                    Err(stop)
                }
            };
            then.then(result, cx);
        })
    }
}

impl<F, S, W, T> Handler<F, S> for Stage<W, T>
where
    F: 'static,
    S: 'static,
    W: Wait<F>,
    T: Then<S, W::Output>,
{
    fn added(&mut self, source: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next> {
        self.poll(Cause::Added, source, cx)
    }

    fn ready(&mut self, source: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next> {
        self.poll(Cause::Ready, source, cx)
    }

    fn timed_out(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        self.poll(Cause::Deadline, source, cx)
    }

    fn notified(&mut self, _: &mut Source<'_, F>, _: &mut Context<'_, S>) -> io::Result<Next> {
        Ok(Next::Keep)
    }

    fn shutting_down(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        self.end(Err(Stop::ShuttingDown), source, cx)?;
        Ok(Next::Keep)
    }

    /// Goes on after [`Connecting::cancel`], or when the kernel refuses to watch the source any
    /// longer. The source is closed after this call.
    fn removed(&mut self, _: Token, error: Option<&io::Error>, cx: &mut Context<'_, S>) {
        let Some((_, then)) = self.left.take() else { return };
        let stop = error.map_or(Stop::Cancelled, |error| Stop::Failed(clone_error(error)));
        then.then(Err(stop), cx);
    }
}
