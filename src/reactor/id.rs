//! The typed id of a source, through which its handler can be told something.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::marker::PhantomData;

use super::context::Context;
use super::handler::{Handler, Next};
use super::io_state::IoState;
use super::source::Source;
use super::source_entry::Types;
use crate::selector::Token;

/// Identifies a source, as a [`Token`] does, and the type of its handler. So the handler can be
/// [told](Context::tell) something.
///
/// [`Connection::serve`](crate::net::Connection::serve) returns it, and [`Context::id`] makes it of a token.
/// `T` says what the source is:
///
/// | `T` | the source |
/// |---|---|
/// | `(F, H)` | a source of type `F` with a handler of type `H` |
/// | [`Connection<P>`](crate::net::Connection) | a connection with a protocol of type `P` |
/// | [`DatagramEndpoint<P>`](crate::net::DatagramEndpoint) | a datagram socket with a protocol of type `P` |
///
/// ```
/// use std::io::{self, Read};
/// use tripoll::net::{Connection, Protocol, Stream, Wire};
/// use tripoll::reactor::Id;
/// use tripoll::{Context, Deadline, Reactor};
///
/// struct Quiet;
///
/// impl Protocol for Quiet {
///     fn received(&mut self, _: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
///         Ok(data.len())
///     }
/// }
///
/// let (here, mut there) = Stream::pair()?;
/// let mut reactor = Reactor::new()?;
/// let mut cx = reactor.context();
/// let id: Id<Connection<Quiet>> = Connection::new(Quiet).serve(here, &mut cx)?;
/// cx.tell(id, |_quiet, wire, _| {
///     wire.write(b"hello");
///     Ok(())
/// })?;
/// reactor.turn(Deadline::Now)?;
/// let mut text = [0; 5];
/// there.read_exact(&mut text)?;
/// assert_eq!(&text, b"hello");
/// # io::Result::Ok(())
/// ```
pub struct Id<T> {
    token: Token,
    recipient: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    pub(crate) fn new(token: Token) -> Self {
        Id { token, recipient: PhantomData }
    }

    /// Returns the token of the source.
    pub fn token(self) -> Token {
        self.token
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.token == other.token
    }
}

impl<T> Eq for Id<T> {}

impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.token.hash(state);
    }
}

impl<T> From<Id<T>> for Token {
    fn from(id: Id<T>) -> Self {
        id.token
    }
}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Id").field(&self.token).finish()
    }
}

/// What an [`Id`] can stand for, in a reactor with the shared state `S`. This crate implements it for
/// all types for which it makes sense: see [`Id`].
pub trait Recipient<S>: Sized + 'static {
    /// What is told something.
    type Handler;
    /// The source, as the handler sees it.
    type Io<'a>;

    /// Returns whether a source of these types is such a recipient.
    #[doc(hidden)]
    fn is_one(types: &Types) -> bool;

    /// Delivers a message.
    #[doc(hidden)]
    fn deliver(
        parts: Parts<'_>,
        cx: &mut Context<'_, S>,
        message: impl FnOnce(
            &mut Self::Handler,
            &mut Self::Io<'_>,
            &mut Context<'_, S>,
        ) -> io::Result<()>
        + 'static,
    ) -> io::Result<Next>;
}

/// A source and its handler, without their types, and the state of the call.
#[derive(Debug)]
pub struct Parts<'a> {
    pub(super) source: &'a mut dyn Any,
    pub(super) handler: &'a mut dyn Any,
    pub(super) io: &'a mut IoState,
}

impl<'a> Parts<'a> {
    /// Returns the parts with their types, which are those of the id.
    pub(crate) fn downcast<F: 'static, H: 'static>(
        self,
    ) -> (&'a mut F, &'a mut H, &'a mut IoState) {
        let (source, handler) = (self.source.downcast_mut(), self.handler.downcast_mut());
        let (source, handler) = source.zip(handler).expect("the types of an id were checked");
        (source, handler, self.io)
    }
}

/// A message, which knows the types of its recipient.
pub(super) type Message<S> = Box<dyn FnOnce(Parts<'_>, &mut Context<'_, S>) -> io::Result<Next>>;

impl<S, F: 'static, H: Handler<F, S> + 'static> Recipient<S> for (F, H) {
    type Handler = H;
    type Io<'a> = Source<'a, F>;

    fn is_one(types: &Types) -> bool {
        *types == Types::of::<F, H>()
    }

    fn deliver(
        parts: Parts<'_>,
        cx: &mut Context<'_, S>,
        message: impl FnOnce(&mut H, &mut Source<'_, F>, &mut Context<'_, S>) -> io::Result<()>
        + 'static,
    ) -> io::Result<Next> {
        let (source, handler, io) = parts.downcast::<F, H>();
        message(handler, &mut Source::new(source, io), cx)?;
        Ok(Next::Keep)
    }
}
