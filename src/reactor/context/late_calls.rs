//! What a context leaves for the end of the turn: notifications, messages and jobs.

use std::io;

use super::{Context, not_registered};
use crate::reactor::core::LateCall;
use crate::reactor::id::{Id, Message, Parts, Recipient};
use crate::selector::Token;

/// The calls that are left here run in one order, that in which they were made. One that is left by
/// another runs in the next turn.
impl<S: 'static, T> Context<'_, S, T> {
    /// Notifies a source: [`Handler::notified`](super::Handler::notified) is called, in this turn or the
    /// next. It is the way to pass something to another source, left for it in the
    /// [state](Self::state). To pass it to the handler itself, [tell](Self::tell) it.
    ///
    /// # Errors
    ///
    /// `NotFound` if the source was removed.
    pub fn notify(&mut self, token: Token) -> io::Result<()> {
        self.core.registry.get(token).ok_or_else(|| not_registered(token))?;
        self.core.call_late(LateCall::Notified(token));
        Ok(())
    }

    /// Returns the id of a source, through which its handler can be [told](Self::tell) something. The
    /// types must be those of the source.
    ///
    /// # Errors
    ///
    /// `NotFound` if the source was removed. `InvalidInput` if it is of another type than `R`.
    pub fn id<R: Recipient<S>>(&self, token: Token) -> io::Result<Id<R>> {
        let types = self.core.registry.types(token).ok_or_else(|| not_registered(token))?;
        if !R::is_one(&types) {
            let message =
                format!("{token:?} is {types}, and its id cannot be that of another type");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(Id::new(token))
    }

    /// Tells the handler of a source something: at the end of this turn, `message` runs with the handler
    /// and its source. An error that it returns is one of the handler, and removes the source.
    ///
    /// The message may do all that a callback of the handler may do. A connection then goes on as after
    /// each of its callbacks: it sends what was written, and reads if it may. So its protocol can be
    /// called with input that has come meanwhile, in the same turn.
    ///
    /// A message to a source that is removed before the end of the turn is dropped, with all that it
    /// owns. The log says so at level *debug*.
    ///
    /// See [a broadcast](crate::guide::broadcast) in the guide.
    ///
    /// ```
    /// use std::io::{self, PipeWriter, Write};
    /// use tripoll::reactor::Id;
    /// use tripoll::{Context, Deadline, Handler, Interest, Next, Reactor, Source};
    ///
    /// /// Writes what it is told, with a number before it.
    /// struct Numbered(u32);
    ///
    /// impl Handler<PipeWriter> for Numbered {
    ///     fn ready(&mut self, _: &mut Source<PipeWriter>, _: &mut Context) -> io::Result<Next> {
    ///         Ok(Next::Done)
    ///     }
    /// }
    ///
    /// let (reader, writer) = io::pipe()?;
    /// let mut reactor = Reactor::new()?;
    /// let mut cx = reactor.context();
    /// let token = cx.add(writer, Interest::NONE, Numbered(0))?;
    /// let id: Id<(PipeWriter, Numbered)> = cx.id(token)?;
    /// for word in ["one", "two"] {
    ///     cx.tell(id, move |numbered, pipe, _| {
    ///         numbered.0 += 1;
    ///         write!(pipe, "{} {word}\n", numbered.0)
    ///     })?;
    /// }
    /// reactor.turn(Deadline::Now)?;
    /// drop(reactor);
    /// assert_eq!(io::read_to_string(reader)?, "1 one\n2 two\n");
    /// # io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// `NotFound` if the source was removed.
    #[doc(alias = "message")]
    #[doc(alias = "mailbox")]
    #[doc(alias = "actor")]
    pub fn tell<R: Recipient<S>>(
        &mut self,
        id: Id<R>,
        message: impl FnOnce(&mut R::Handler, &mut R::Io<'_>, &mut Context<'_, S>) -> io::Result<()>
        + 'static,
    ) -> io::Result<()> {
        let token = id.token();
        self.core.registry.get(token).ok_or_else(|| not_registered(token))?;
        self.core.call_late(LateCall::Told(token, message_for::<R, S>(message)));
        Ok(())
    }

    /// Runs a job at the end of this turn, after the running handler has returned. Unlike one that a
    /// [handle](Self::handle) posts, it need not be `Send`. A panic of the job is caught and logged.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use tripoll::Reactor;
    ///
    /// let name = Rc::new("a name");
    /// let mut reactor = Reactor::builder().build_with(Vec::new())?;
    /// reactor.context().defer(move |cx| {
    ///     cx.state.push(name);
    ///     cx.stop();
    /// });
    /// reactor.run()?;
    /// assert_eq!(**reactor.state(), [Rc::new("a name")]);
    /// # std::io::Result::Ok(())
    /// ```
    #[doc(alias = "call_soon")]
    pub fn defer(&mut self, job: impl FnOnce(&mut Context<'_, S>) + 'static) {
        self.core.call_late(LateCall::Job(Box::new(job)));
    }

    /// Keeps a message for a recipient that cannot take it yet, until it is [released](Self::release) or
    /// the source is removed.
    pub(crate) fn hold<R: Recipient<S>>(
        &mut self,
        token: Token,
        message: impl FnOnce(&mut R::Handler, &mut R::Io<'_>, &mut Context<'_, S>) -> io::Result<()>
        + 'static,
    ) {
        self.core.held.entry(token).or_default().push(message_for::<R, S>(message));
    }

    /// Delivers what was [held](Self::hold) for a source, before what it is told later.
    pub(crate) fn release(&mut self, token: Token) {
        for message in self.core.held.remove(&token).into_iter().flatten().rev() {
            self.core.attention = true;
            self.core.late_calls.push_front(LateCall::Told(token, message));
        }
    }
}

fn message_for<R: Recipient<S>, S: 'static>(
    message: impl FnOnce(&mut R::Handler, &mut R::Io<'_>, &mut Context<'_, S>) -> io::Result<()>
    + 'static,
) -> Message<S> {
    Box::new(|parts: Parts<'_>, cx: &mut Context<'_, S>| R::deliver(parts, cx, message))
}
