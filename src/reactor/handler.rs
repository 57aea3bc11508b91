//! The trait `Handler`, what its methods return, and how the reactor stores handlers.

use std::any::Any;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::context::Context;
use super::id::{Message, Parts};
use super::io_state::IoState;
use super::source::Source;
use crate::selector::Token;
use crate::sync::{LogLimit, Panicked};

/// What a handler returns: what happens with its source next.
///
/// ```
/// use std::io::{self, PipeReader, Read, Write};
/// use tripoll::{Context, Interest, Next, Reactor, Source};
///
/// let (reader, mut writer) = io::pipe()?;
/// let mut reactor = Reactor::builder().build_with(Vec::new())?;
/// let read = |pipe: &mut Source<PipeReader>, cx: &mut Context<Vec<u8>>| {
///     let mut byte = [0];
///     if pipe.read(&mut byte)? == 0 {
///         cx.stop();
///         return Ok(Next::Remove); // the end: the pipe is closed
///     }
///     cx.state.extend(byte);
///     Ok(Next::Keep) // more may be there: the handler is called again
/// };
/// reactor.context().add(reader, Interest::READ, read)?;
/// writer.write_all(b"ok")?;
/// drop(writer);
/// reactor.run()?;
/// assert_eq!(reactor.state(), b"ok");
/// # io::Result::Ok(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Next {
    /// Keeps the source. The handler is called again in the next turn if no operation returned
    /// `WouldBlock`, and otherwise when there is something new.
    Keep,
    /// Keeps the source, and says that its readiness is consumed although no operation returned
    /// `WouldBlock`. The handler is called when the kernel reports a new event.
    ///
    /// Level-triggered, that is always safe: the kernel reports what is left in each turn. So it
    /// does with a state that stays, such as the end of a process in a pidfd, and the handler is
    /// called in each turn until it [removes](Self::Remove) or [disarms](Self::Disarm) the source,
    /// or its interest excludes the state. Edge-triggered, `Done` must be **true**: what is left is
    /// not reported again. Only the end of a stream is never lost. A handler that has read data from
    /// the [`Source`] is called once more if the end was reported with it.
    ///
    /// Returned by another method than [`ready`](Handler::ready), it means [`Keep`](Self::Keep).
    Done,
    /// Disarms the source: the handler is not called until [`Context::arm`] or
    /// [`ReactorHandle::arm`](super::ReactorHandle::arm), while a worker thread does the work, for
    /// example.
    Disarm,
    /// Removes the source, which closes it.
    Remove,
}

/// Handles the events of a source of type `F`, in a reactor with the shared state `S`.
///
/// A closure or function with the signature of [`ready`](Self::ready) is a handler. A type that
/// implements the trait can have a state of its own, and handle timeouts and failures. A handler that
/// is chosen at run time is a `Box<dyn Handler<F, S>>`.
///
/// The state that all handlers share belongs to the reactor: [`Context::state`] is a plain
/// `&mut S`, because one handler runs at a time.
///
/// ```
/// use std::io::{self, PipeReader, Read};
/// use std::time::{Duration, Instant};
/// use tripoll::reactor::Handler;
/// use tripoll::{Context, Interest, Next, Reactor, Source};
///
/// /// Reads, and removes a source that is silent for 5 ms.
/// struct Patient;
///
/// impl Handler<PipeReader, Vec<&'static str>> for Patient {
///     fn ready(
///         &mut self,
///         pipe: &mut Source<PipeReader>,
///         _: &mut Context<'_, Vec<&'static str>>,
///     ) -> io::Result<Next> {
///         pipe.read(&mut [0; 64])?;
///         Ok(Next::Keep)
///     }
///
///     fn timed_out(
///         &mut self,
///         _: &mut Source<PipeReader>,
///         cx: &mut Context<'_, Vec<&'static str>>,
///     ) -> io::Result<Next> {
///         cx.state.push("silent");
///         cx.stop();
///         Ok(Next::Remove)
///     }
/// }
///
/// let mut reactor = Reactor::builder().build_with(Vec::new())?;
/// let (reader, _writer) = io::pipe()?;
/// let token = reactor.context().add(reader, Interest::READ, Patient)?;
/// let deadline = Instant::now() + Duration::from_millis(5);
/// reactor.context().set_deadline(token, Some(deadline))?;
/// reactor.run()?;
/// assert_eq!(*reactor.state(), ["silent"]);
/// # io::Result::Ok(())
/// ```
///
/// # Errors
///
/// All methods that return a result follow one rule. An error of kind `WouldBlock` or `Interrupted`
/// means [`Next::Keep`]. Any other error removes the source: [`removed`](Self::removed) is called
/// with it, and the source is closed.
#[doc(alias = "callback")]
#[doc(alias = "EventHandler")]
pub trait Handler<F, S = ()> {
    /// Called when the source is ready for a direction of its interest.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn ready(&mut self, source: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next>;

    /// Called once after the source was added, before any other method, in the same turn. Does
    /// nothing by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn added(&mut self, source: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next> {
        let _ = (source, cx);
        Ok(Next::Keep)
    }

    /// Called when the deadline has come that was set with [`Context::set_deadline`]. Returns an
    /// error of kind `TimedOut` by default, which removes the source.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn timed_out(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        let _ = (source, cx);
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Called after the source was [notified](Context::notify): there is something for it in the
    /// state, or from a worker thread. Does nothing by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn notified(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        let _ = (source, cx);
        Ok(Next::Keep)
    }

    /// Called once when the reactor [shuts down](Context::shutdown). A handler should flush its output
    /// and return [`Next::Remove`], now or in a later call. Removes the source by default.
    ///
    /// An operation that returns `WouldBlock` here may have met the end of the budget, not of the
    /// data: [`Source::is_readable`] distinguishes them.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn shutting_down(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        let _ = (source, cx);
        Ok(Next::Remove)
    }

    /// Called after the source was removed, as the last method. The source is closed when it returns.
    /// Here a handler can remove what the state knows of `token`. By default, and so for a closure,
    /// the error is logged as a warning, at most one line a second, unless a peer has caused it.
    ///
    /// `error` is the reason, if there is one: an error that a method of this handler returned, its
    /// panic, or the refusal of the kernel to watch the source any longer. It is `None` after
    /// [`Next::Remove`] and [`Context::remove`]. When the reactor itself is dropped, this method is
    /// not called.
    fn removed(&mut self, token: Token, error: Option<&io::Error>, cx: &mut Context<'_, S>) {
        let _ = cx;
        if let Some(error) = error {
            warn(token, error);
        }
    }
}

/// Logs the error of a handler that is not told of it. What a peer does is no warning, and a panic is
/// in the log already.
fn warn(token: Token, error: &io::Error) {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    static LINES: LogLimit = LogLimit::new();
    let peers = [BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof];
    if !peers.contains(&error.kind())
        && !error.get_ref().is_some_and(|error| error.is::<Panicked>())
        && let Some(left_out) = LINES.pass()
    {
        log::warn!("{token:?} was removed: {error}{left_out}");
    }
}

impl<F, S, C> Handler<F, S> for C
where
    C: FnMut(&mut Source<'_, F>, &mut Context<'_, S>) -> io::Result<Next>,
{
    #[inline]
    fn ready(&mut self, source: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next> {
        self(source, cx)
    }
}

impl<F, S> Handler<F, S> for Box<dyn Handler<F, S> + '_> {
    fn ready(&mut self, source: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next> {
        (**self).ready(source, cx)
    }

    fn added(&mut self, source: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next> {
        (**self).added(source, cx)
    }

    fn timed_out(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        (**self).timed_out(source, cx)
    }

    fn notified(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        (**self).notified(source, cx)
    }

    fn shutting_down(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        (**self).shutting_down(source, cx)
    }

    fn removed(&mut self, token: Token, error: Option<&io::Error>, cx: &mut Context<'_, S>) {
        (**self).removed(token, error, cx);
    }
}

/// A source with its handler, without their types. A context is two references, and passed in registers.
pub(super) trait AnyHandler<S> {
    fn ready(&mut self, io: &mut IoState, cx: Context<'_, S>) -> Returned;
    fn added(&mut self, io: &mut IoState, cx: Context<'_, S>) -> Returned;
    fn timed_out(&mut self, io: &mut IoState, cx: Context<'_, S>) -> Returned;
    fn notified(&mut self, io: &mut IoState, cx: Context<'_, S>) -> Returned;
    fn shutting_down(&mut self, io: &mut IoState, cx: Context<'_, S>) -> Returned;
    fn removed(&mut self, token: Token, error: Option<&io::Error>, cx: Context<'_, S>);
    fn told(&mut self, message: Message<S>, io: &mut IoState, cx: Context<'_, S>) -> Returned;
    fn descriptor(&self) -> BorrowedFd<'_>;
    /// Returns the source, and drops the handler.
    fn into_source(self: Box<Self>) -> Box<dyn Any>;
}

/// What a method of a handler returned. An error is stored in the [`IoState`], so that this is one
/// byte, in a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returned {
    Next(Next),
    Failed,
}

/// A source with its handler. The reactor owns both.
pub(super) struct Registered<F, H> {
    pub(super) source: F,
    pub(super) handler: H,
}

#[inline(always)] // into each of the five methods, and there into the handler
fn returned(result: io::Result<Next>, io: &mut IoState) -> Returned {
    match result {
        Ok(next) => Returned::Next(next),
        Err(error) => {
            io.error = Some(error);
            Returned::Failed
        }
    }
}

impl<F: AsFd + 'static, S, H: Handler<F, S> + 'static> AnyHandler<S> for Registered<F, H> {
    fn ready(&mut self, io: &mut IoState, mut cx: Context<'_, S>) -> Returned {
        returned(self.handler.ready(&mut Source::new(&mut self.source, io), &mut cx), io)
    }

    fn added(&mut self, io: &mut IoState, mut cx: Context<'_, S>) -> Returned {
        returned(self.handler.added(&mut Source::new(&mut self.source, io), &mut cx), io)
    }

    fn timed_out(&mut self, io: &mut IoState, mut cx: Context<'_, S>) -> Returned {
        returned(self.handler.timed_out(&mut Source::new(&mut self.source, io), &mut cx), io)
    }

    fn notified(&mut self, io: &mut IoState, mut cx: Context<'_, S>) -> Returned {
        returned(self.handler.notified(&mut Source::new(&mut self.source, io), &mut cx), io)
    }

    fn shutting_down(&mut self, io: &mut IoState, mut cx: Context<'_, S>) -> Returned {
        returned(self.handler.shutting_down(&mut Source::new(&mut self.source, io), &mut cx), io)
    }

    fn removed(&mut self, token: Token, error: Option<&io::Error>, mut cx: Context<'_, S>) {
        self.handler.removed(token, error, &mut cx);
    }

    fn told(&mut self, message: Message<S>, io: &mut IoState, mut cx: Context<'_, S>) -> Returned {
        let Registered { source, handler } = self;
        returned(message(Parts { source, handler, io: &mut *io }, &mut cx), io)
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }

    fn into_source(self: Box<Self>) -> Box<dyn Any> {
        Box::new(self.source)
    }
}
