//! What is called when a source is ready, and what it answers.

use std::io;

use super::context::Context;
use super::io_state::IoState;
use super::source::Source;
use crate::selector::Token;

/// What becomes of a source after its handler was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Next {
    /// Call me again: as long as I have not met `WouldBlock`, or when there is something new.
    Keep,
    /// I have used up what I was told of, though I have not met `WouldBlock`: call me when the
    /// kernel tells anew. By level that is always safe. On edge it must be **true**: what is left
    /// is not told again.
    Done,
    /// Call me no more until [`Context::arm`] or [`ReactorHandle::arm`](super::ReactorHandle::arm): somebody else,
    /// a worker thread say, has the work now.
    Disarm,
    /// Remove me. The source is closed.
    Remove,
}

/// What is to be done with a source of type `F` in a reactor with state `S`.
///
/// A closure or function of the shape of [`ready`](Self::ready) is a handler. A type that
/// implements the trait can have state of its own, and answer timeouts and failures.
///
/// The state that handlers share is the reactor's, [`Context::state`]: a plain `&mut S`, because
/// one handler runs at a time.
pub trait Handler<F, S = ()> {
    /// The source is ready for something that is wanted of it.
    ///
    /// Returning an error of kind `WouldBlock` or `Interrupted` is the same as [`Next::Keep`].
    ///
    /// # Errors
    ///
    /// Any other error ends the source: it is removed, [told why](Self::removed), and closed.
    fn ready(&mut self, source: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next>;

    /// The source has been added: called once, in the turn in which it came, before anything else.
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready). By default nothing is done.
    fn added(&mut self, source: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next> {
        let _ = (source, cx);
        Ok(Next::Keep)
    }

    /// The deadline that was set for the source with [`Context::set_deadline`] has come.
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready). By default this *is* an error, `TimedOut`, and ends the source.
    fn timed_out(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        let _ = (source, cx);
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Somebody has [notified](Context::notify) this source: there is something for it in the state,
    /// or from a worker thread.
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready). By default nothing is done.
    fn notified(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        let _ = (source, cx);
        Ok(Next::Keep)
    }

    /// The reactor is [winding down](Context::shutdown): finish what is owed and answer
    /// [`Next::Remove`], now or when it is done. (An operation that says `WouldBlock` here may have
    /// met the budget's end and not the peer's; [`Source::is_readable`] tells.)
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready). By default the source is removed at once.
    fn shutting_down(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        let _ = (source, cx);
        Ok(Next::Remove)
    }

    /// The source has been removed: the last call, and the place to tidy up what the state knows of
    /// `token`. The source is closed when this returns. By default nothing is done.
    ///
    /// `error` is why, if it was for an error: one that a method of this handler returned, or made
    /// out of its panic, or the kernel's refusal to watch the source any longer. There is none after
    /// [`Next::Remove`] and [`Context::remove`]. (When the reactor itself is dropped, nobody is
    /// called any more.)
    fn removed(&mut self, token: Token, error: Option<&io::Error>, cx: &mut Context<'_, S>) {
        let _ = (token, error, cx);
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

/// A source and its handler, whatever their types are.
pub(super) trait AnyHandler<S> {
    fn ready(&mut self, io: &mut IoState, cx: &mut Context<'_, S>) -> Returned;
    fn added(&mut self, io: &mut IoState, cx: &mut Context<'_, S>) -> Returned;
    fn timed_out(&mut self, io: &mut IoState, cx: &mut Context<'_, S>) -> Returned;
    fn notified(&mut self, io: &mut IoState, cx: &mut Context<'_, S>) -> Returned;
    fn shutting_down(&mut self, io: &mut IoState, cx: &mut Context<'_, S>) -> Returned;
    fn removed(&mut self, token: Token, error: Option<&io::Error>, cx: &mut Context<'_, S>);
}

/// What a handler has answered. An error is put aside in the [`IoState`]: the ordinary answer is then one
/// byte, in a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returned {
    Next(Next),
    Failed,
}

/// A source and its handler. The reactor owns both.
pub(super) struct Registered<F, H> {
    pub(super) source: F,
    pub(super) handler: H,
}

#[inline(always)] // into each of the five, and there into the handler's own end
fn returned(result: io::Result<Next>, io: &mut IoState) -> Returned {
    match result {
        Ok(next) => Returned::Next(next),
        Err(error) => {
            io.error = Some(error);
            Returned::Failed
        }
    }
}

impl<F, S, H: Handler<F, S>> AnyHandler<S> for Registered<F, H> {
    fn ready(&mut self, io: &mut IoState, cx: &mut Context<'_, S>) -> Returned {
        returned(self.handler.ready(&mut Source::new(&mut self.source, io), cx), io)
    }

    fn added(&mut self, io: &mut IoState, cx: &mut Context<'_, S>) -> Returned {
        returned(self.handler.added(&mut Source::new(&mut self.source, io), cx), io)
    }

    fn timed_out(&mut self, io: &mut IoState, cx: &mut Context<'_, S>) -> Returned {
        returned(self.handler.timed_out(&mut Source::new(&mut self.source, io), cx), io)
    }

    fn notified(&mut self, io: &mut IoState, cx: &mut Context<'_, S>) -> Returned {
        returned(self.handler.notified(&mut Source::new(&mut self.source, io), cx), io)
    }

    fn shutting_down(&mut self, io: &mut IoState, cx: &mut Context<'_, S>) -> Returned {
        returned(self.handler.shutting_down(&mut Source::new(&mut self.source, io), cx), io)
    }

    fn removed(&mut self, token: Token, error: Option<&io::Error>, cx: &mut Context<'_, S>) {
        self.handler.removed(token, error, cx);
    }
}
