//! The trait `FrameProtocol`: the callbacks of a connection that receives whole frames.

use std::io;

use super::frame_wire::FrameWire;
use crate::net::closed::Closed;
use crate::reactor::Context;

/// Decides what a connection sends and how it uses the frames that it receives, in a reactor with the
/// shared state `S`.
///
/// The callbacks are those of a [`Protocol`](crate::net::Protocol), with [`frame`](Self::frame) for a
/// whole frame in place of `received` for some bytes.
///
/// ```
/// use std::io::{self, Write};
/// use tripoll::net::framing::{FrameProtocol, FrameWire, Lines};
/// use tripoll::net::{Closed, Connection, Stream};
/// use tripoll::{Context, Reactor};
///
/// /// Answers each line with its length, and closes after an empty one.
/// struct Lengths;
///
/// impl FrameProtocol for Lengths {
///     fn frame(&mut self, wire: &mut FrameWire, line: &[u8], _: &mut Context) -> io::Result<()> {
///         if line.is_empty() {
///             wire.close(); // after the output was flushed
///             return Ok(());
///         }
///         wire.send_frame(line.len().to_string().as_bytes())
///     }
///
///     fn closed(&mut self, _: &Closed, cx: &mut Context) {
///         cx.stop();
///     }
/// }
///
/// let (here, mut there) = std::os::unix::net::UnixStream::pair()?;
/// let mut reactor = Reactor::new()?;
/// let protocol = Lines::new(Lengths).max_frame(1_000);
/// Connection::new(protocol).serve(Stream::from(here), &mut reactor.context())?;
/// there.write_all(b"four\r\nfifteen letters\n\n")?;
/// there.shutdown(std::net::Shutdown::Write)?;
/// reactor.run()?;
/// assert_eq!(io::read_to_string(&there)?, "4\n15\n");
/// # io::Result::Ok(())
/// ```
///
/// # Errors
///
/// An error that a callback returns closes the connection at once. [`closed`](Self::closed) gets it as
/// [`CloseReason::Failed`](crate::net::CloseReason::Failed).
pub trait FrameProtocol<S = ()> {
    /// Called once, before all others. Does nothing by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn opened(&mut self, wire: &mut FrameWire<'_, '_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let _ = (wire, cx);
        Ok(())
    }

    /// Called with the content of each frame, without its prefix or delimiter, in order.
    ///
    /// While the connection is [paused](crate::net::Wire::pause) or above its high watermark, no frame
    /// is passed. Frames that were received already are passed when it reads again.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn frame(
        &mut self,
        wire: &mut FrameWire<'_, '_>,
        frame: &[u8],
        cx: &mut Context<'_, S>,
    ) -> io::Result<()>;

    /// Called when the input is no frame, or a frame over the limit, or when the stream ends inside a
    /// frame. No more frames are received. Returns the error by default, which closes the connection at
    /// once. A protocol that returns `Ok` may have sent an answer: then the connection is closed
    /// gracefully.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn refused(
        &mut self,
        wire: &mut FrameWire<'_, '_>,
        error: io::Error,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        let _ = (wire, cx);
        Err(error)
    }

    /// Called when the peer has finished sending, after the last frame. The peer may still read. Closes
    /// the connection gracefully by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn ended(&mut self, wire: &mut FrameWire<'_, '_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let _ = cx;
        wire.close();
        Ok(())
    }

    /// Called when the write buffer has fallen to its low watermark: see
    /// [`Protocol::below_low_mark`](crate::net::Protocol::below_low_mark). Does nothing by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn below_low_mark(
        &mut self,
        wire: &mut FrameWire<'_, '_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        let _ = (wire, cx);
        Ok(())
    }

    /// Called when the write buffer has become empty after having held data. Does nothing by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn drained(&mut self, wire: &mut FrameWire<'_, '_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let _ = (wire, cx);
        Ok(())
    }

    /// Called when the deadline has come that was set with [`Context::set_deadline`]. Returns an error
    /// of kind `TimedOut` by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn timed_out(
        &mut self,
        wire: &mut FrameWire<'_, '_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        let _ = (wire, cx);
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Called after the connection was [notified](Context::notify). Does nothing by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn notified(
        &mut self,
        wire: &mut FrameWire<'_, '_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        let _ = (wire, cx);
        Ok(())
    }

    /// Called once when the reactor [shuts down](Context::shutdown). Closes the connection gracefully
    /// by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn shutting_down(
        &mut self,
        wire: &mut FrameWire<'_, '_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        let _ = cx;
        wire.close();
        Ok(())
    }

    /// Called exactly once, as the last callback, when the connection is closed. When the reactor itself
    /// is dropped, it is not called. Does nothing by default.
    fn closed(&mut self, closed: &Closed, cx: &mut Context<'_, S>) {
        let _ = (closed, cx);
    }
}

impl<S, P: FrameProtocol<S> + ?Sized> FrameProtocol<S> for Box<P> {
    fn opened(&mut self, wire: &mut FrameWire<'_, '_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        (**self).opened(wire, cx)
    }

    fn frame(
        &mut self,
        wire: &mut FrameWire<'_, '_>,
        frame: &[u8],
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        (**self).frame(wire, frame, cx)
    }

    fn refused(
        &mut self,
        wire: &mut FrameWire<'_, '_>,
        error: io::Error,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        (**self).refused(wire, error, cx)
    }

    fn ended(&mut self, wire: &mut FrameWire<'_, '_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        (**self).ended(wire, cx)
    }

    fn below_low_mark(
        &mut self,
        wire: &mut FrameWire<'_, '_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        (**self).below_low_mark(wire, cx)
    }

    fn drained(&mut self, wire: &mut FrameWire<'_, '_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        (**self).drained(wire, cx)
    }

    fn timed_out(
        &mut self,
        wire: &mut FrameWire<'_, '_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        (**self).timed_out(wire, cx)
    }

    fn notified(
        &mut self,
        wire: &mut FrameWire<'_, '_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        (**self).notified(wire, cx)
    }

    fn shutting_down(
        &mut self,
        wire: &mut FrameWire<'_, '_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        (**self).shutting_down(wire, cx)
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<'_, S>) {
        (**self).closed(closed, cx);
    }
}
