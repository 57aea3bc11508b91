//! What a connection's owner writes: callbacks, and what they can do.

use std::fmt;
use std::io;

use super::Address;
use super::connection::Link;
use super::loan::Loan;
use crate::reactor::Context;
use crate::selector::Token;

/// What is to be said on a connection, in a reactor with state `S`.
///
/// The callbacks are those of Python's `asyncio.Protocol`, under Rust's names. None of them is called
/// after [`closed`](Self::closed). An error that one of them returns closes the connection at once,
/// and is the reason that `closed` is told.
pub trait Protocol<S = ()> {
    /// The connection is there.
    ///
    /// # Errors
    ///
    /// Any error closes the connection. By default nothing is done.
    fn opened(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let _ = (wire, cx);
        Ok(())
    }

    /// `data` has come: what was not used up before, and what is new. Returns how many bytes of it
    /// are used up. As long as that is more than none, the rest is offered at once (unless the
    /// connection is paused, or keeps more than its high watermark: then when it may go on); what is
    /// then left is kept until there is more. There are no message boundaries: data comes in pieces
    /// of any size.
    ///
    /// # Errors
    ///
    /// Any error closes the connection.
    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        cx: &mut Context<'_, S>,
    ) -> io::Result<usize>;

    /// The peer will send no more; it may still read. `rest` is what was never used up.
    ///
    /// # Errors
    ///
    /// Any error closes the connection. By default it is closed in good order.
    fn ended(
        &mut self,
        wire: &mut Wire<'_>,
        rest: &[u8],
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        let _ = (rest, cx);
        wire.close();
        Ok(())
    }

    /// All that was written has been taken by the kernel, after some of it was not: the place to
    /// go on with a long answer.
    ///
    /// # Errors
    ///
    /// Any error closes the connection. By default nothing is done.
    fn drained(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let _ = (wire, cx);
        Ok(())
    }

    /// The deadline that was set with [`Context::set_deadline`] has come.
    ///
    /// # Errors
    ///
    /// Any error closes the connection. By default this *is* one, `TimedOut`.
    fn timed_out(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let _ = (wire, cx);
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Somebody has [notified](Context::notify) this connection: there is something for it in the
    /// state. The way to write to a connection from outside its own callbacks.
    ///
    /// # Errors
    ///
    /// Any error closes the connection. By default nothing is done.
    fn notified(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let _ = (wire, cx);
        Ok(())
    }

    /// The reactor is [winding down](Context::wind_down).
    ///
    /// # Errors
    ///
    /// Any error closes the connection. By default it is closed in good order.
    fn winding_down(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let _ = cx;
        wire.close();
        Ok(())
    }

    /// The connection is gone: the last call, made exactly once. (When the reactor itself is dropped,
    /// nobody is called any more.) By default nothing is done.
    fn closed(&mut self, why: &Closed, cx: &mut Context<'_, S>) {
        let _ = (why, cx);
    }
}

/// Why a connection is gone.
#[derive(Debug)]
#[non_exhaustive]
pub enum Closed {
    /// In good order: all that was owed has been delivered to the kernel.
    Finished,
    /// By [`Wire::abort`].
    Aborted,
    /// By [`Context::remove`].
    Removed,
    /// By an error of the connection's, or one that a callback returned.
    Failed(io::Error),
}

/// A connection in its protocol's hands.
pub struct Wire<'a> {
    pub(super) stream: Loan<'a>,
    pub(super) link: &'a mut Link,
}

impl Wire<'_> {
    /// Sends `data`: what the kernel takes at once is written, the rest is kept and written when
    /// there is room. Never blocks, never loses a part.
    ///
    /// While more than the [high watermark](super::Watermarks::high) is kept, nothing is received
    /// from this peer. Above the [limit](super::Watermarks::limit) the connection is closed, with an
    /// error of kind `OutOfMemory`. After [`close`](Self::close), or when the connection is failing
    /// already, data is dropped.
    pub fn write(&mut self, data: &[u8]) {
        self.link.write(&mut self.stream, data);
    }

    /// How many bytes are kept.
    pub fn unsent(&self) -> usize {
        self.link.unsent()
    }

    /// Closes in good order: nothing more is received; what is kept is sent; then our side is
    /// finished. What the peer still sends, up to a megabyte, is thrown away until it finishes too,
    /// or for a [time](super::Connection::linger), so that it can read the end of what we sent. (A
    /// close with unread data is a reset, and a reset overtakes.)
    ///
    /// A peer that reads nothing of what it is owed for [so long](super::Connection::close_within)
    /// is reset.
    pub fn close(&mut self) {
        self.link.close();
    }

    /// Closes at once with a reset, and throws away what is kept.
    pub fn abort(&mut self) {
        self.link.abort();
    }

    /// Receives nothing until [`resume`](Self::resume): what has come already is kept.
    pub fn pause(&mut self) {
        self.link.set_paused(true);
    }

    /// Receives again after [`pause`](Self::pause).
    pub fn resume(&mut self) {
        self.link.set_paused(false);
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Address {
        self.stream.get_ref().peer()
    }

    /// The connection's name in the reactor.
    pub fn token(&self) -> Token {
        self.stream.token()
    }
}

impl fmt::Debug for Wire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("token", &self.token()).field("link", &self.link).finish()
    }
}
