//! Messages to the protocol of a connection.

use std::io;

use super::connection::Connection;
use super::protocol::Protocol;
use super::stream::Stream;
use super::stream_io::StreamIo;
use super::wire::Wire;
use crate::reactor::{Context, Next, Parts, Recipient, Source, Types};

/// A connection that is [served](Connection::serve): its protocol is told something, with its wire. A
/// message to a connection that is closing is dropped. During the handshake of a
/// [filter](super::Filter) messages wait, and are delivered after the protocol was opened.
///
/// ```
/// use std::io::{self, Read};
/// use tripoll::net::{Connection, Protocol, Stream, Wire};
/// use tripoll::reactor::Id;
/// use tripoll::{Context, Deadline, Reactor};
///
/// /// Knows how many messages it was told.
/// #[derive(Default)]
/// struct Guest(u32);
///
/// impl Protocol for Guest {
///     fn received(&mut self, _: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
///         Ok(data.len())
///     }
/// }
///
/// let (here, mut there) = std::os::unix::net::UnixStream::pair()?;
/// let mut reactor = Reactor::new()?;
/// let cx = &mut reactor.context();
/// let guest: Id<Connection<Guest>> =
///     Connection::new(Guest::default()).serve(Stream::from(here), cx)?;
/// cx.tell(guest, |guest, wire, _| {
///     guest.0 += 1;
///     wire.write(format!("message {}", guest.0).as_bytes());
///     wire.close();
///     Ok(())
/// })?;
/// reactor.turn(Deadline::Now)?;
/// let mut text = String::new();
/// there.read_to_string(&mut text)?;
/// assert_eq!(text, "message 1");
/// # io::Result::Ok(())
/// ```
impl<S: 'static, P: Protocol<S> + 'static> Recipient<S> for Connection<P> {
    type Handler = P;
    type Io<'a> = Wire<'a>;

    fn is_one(types: &Types) -> bool {
        *types == Types::of::<Stream, Self>()
    }

    fn deliver(
        parts: Parts<'_>,
        cx: &mut Context<'_, S>,
        message: impl FnOnce(&mut P, &mut Wire<'_>, &mut Context<'_, S>) -> io::Result<()> + 'static,
    ) -> io::Result<Next> {
        let (stream, connection, io) = parts.downcast::<Stream, Self>();
        let source = &mut Source::new(stream, io);
        let stream = &mut StreamIo::begin(source);
        if connection.link.handshaking_layer().is_some() {
            cx.hold::<Self>(stream.token(), message);
        } else if connection.is_open() {
            connection.call(stream, cx, message);
        }
        connection.advance(stream, cx)
    }
}
