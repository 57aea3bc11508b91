//! What a connection's owner writes: callbacks, and what they can do.

use std::io;

use super::close_reason::CloseReason;
use super::wire::Wire;
use crate::reactor::Context;

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

    /// The write buffer has fallen to its [low watermark](super::Watermarks::low), after it was above
    /// the high one. The peer is read from again.
    ///
    /// # Errors
    ///
    /// Any error closes the connection. By default nothing is done.
    #[doc(alias = "resume_writing")]
    fn below_low_mark(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let _ = (wire, cx);
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

    /// The reactor is [winding down](Context::shutdown).
    ///
    /// # Errors
    ///
    /// Any error closes the connection. By default it is closed in good order.
    fn shutting_down(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let _ = cx;
        wire.close();
        Ok(())
    }

    /// The connection is gone: the last call, made exactly once. (When the reactor itself is dropped,
    /// nobody is called any more.) By default nothing is done.
    fn closed(&mut self, why: &CloseReason, cx: &mut Context<'_, S>) {
        let _ = (why, cx);
    }
}
