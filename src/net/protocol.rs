//! The trait `Protocol`: the callbacks of a connection.

use std::io;

use super::closed::Closed;
use super::wire::Wire;
use crate::reactor::Context;

/// Decides what a connection sends and how it uses its input, in a reactor with the shared state `S`.
///
/// The callbacks are those of Python's `asyncio.Protocol`, under Rust's names. None of them is called
/// after [`closed`](Self::closed). A protocol that is chosen at run time is a `Box<dyn Protocol<S>>`.
///
/// ```
/// use std::io;
/// use tripoll::net::{Connection, Protocol, Stream, Wire};
/// use tripoll::{Context, Reactor};
///
/// /// Answers each line with its length, and closes after an empty one.
/// struct Lengths;
///
/// impl Protocol for Lengths {
///     fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
///         let Some(end) = data.iter().position(|&byte| byte == b'\n') else {
///             return Ok(0); // no whole line yet: the data is offered again with what comes next
///         };
///         if end == 0 {
///             wire.close(); // after the output was flushed
///         } else {
///             wire.write(format!("{end}\n").as_bytes());
///         }
///         Ok(end + 1) // the rest is offered again at once
///     }
///
///     fn closed(&mut self, _: &tripoll::net::Closed, cx: &mut Context) {
///         cx.stop();
///     }
/// }
///
/// let (here, mut there) = std::os::unix::net::UnixStream::pair()?;
/// let mut reactor = Reactor::new()?;
/// Connection::new(Lengths).serve(Stream::from(here), &mut reactor.context())?;
/// io::Write::write_all(&mut there, b"four\nfifteen letters\n\n")?;
/// there.shutdown(std::net::Shutdown::Write)?;
/// reactor.run()?;
/// assert_eq!(io::read_to_string(&there)?, "4\n15\n");
/// # io::Result::Ok(())
/// ```
///
/// A test needs no socket: see [`ProtocolTest`](super::testing::ProtocolTest).
///
/// ```
/// # use std::io;
/// # use tripoll::Context;
/// # use tripoll::net::{Protocol, Wire};
/// # struct Lengths;
/// # impl Protocol for Lengths {
/// #     fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
/// #         let Some(end) = data.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
/// #         wire.write(format!("{end}\n").as_bytes());
/// #         Ok(end + 1)
/// #     }
/// # }
/// use tripoll::net::testing::ProtocolTest;
///
/// let mut test = ProtocolTest::new(Lengths, ())?;
/// test.receive(b"four\nfif");
/// assert_eq!(test.written(), b"4\n");
/// test.receive(b"teen letters\n");
/// assert_eq!(test.written(), b"15\n");
/// # io::Result::Ok(())
/// ```
///
/// # Errors
///
/// An error that a callback returns closes the connection at once. What it has written before is sent.
/// [`closed`](Self::closed) gets it as [`CloseReason::Failed`](crate::net::CloseReason::Failed).
#[doc(alias = "callback")]
#[doc(alias = "ChannelHandler")]
#[doc(alias = "ChannelInboundHandler")]
pub trait Protocol<S = ()> {
    /// Called once, before all others. Does nothing by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    #[doc(alias = "connection_made")]
    #[doc(alias = "channelActive")]
    fn opened(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let _ = (wire, cx);
        Ok(())
    }

    /// Called when data was received. `data` is the input that earlier calls left unused, followed by
    /// the new input. Returns how many bytes of `data` the protocol has used.
    ///
    /// There are no message boundaries: data comes in pieces of any size. If the protocol uses some
    /// bytes, it is called again at once with the rest. If it uses none, it is called when more input
    /// has come.
    ///
    /// While the connection is [paused](Wire::pause) or above its high watermark, the protocol is not
    /// called. It is called when the connection reads again, even if no more input has come.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    #[doc(alias = "data_received")]
    #[doc(alias = "channelRead")]
    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        cx: &mut Context<'_, S>,
    ) -> io::Result<usize>;

    /// Called when the peer has finished sending. The peer may still read. `rest` is the input that was
    /// left unused. Closes the connection gracefully by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    #[doc(alias = "eof_received")]
    #[doc(alias = "half-close")]
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

    /// Called when the write buffer has fallen to its [low watermark](super::Watermarks::low), after it
    /// was above the high one. The connection reads again. Does nothing by default.
    ///
    /// This is where a program continues that stopped writing because [`Wire::write`] returned false. It
    /// is called before the buffer is empty, so that the peer does not wait.
    ///
    /// ```
    /// use std::io;
    /// use tripoll::Context;
    /// use tripoll::net::{Protocol, Wire};
    ///
    /// /// Sends a long answer, as fast as the peer reads it.
    /// struct Numbers(std::ops::Range<u32>);
    ///
    /// impl Numbers {
    ///     fn pump(&mut self, wire: &mut Wire) {
    ///         while let Some(number) = self.0.next() {
    ///             if !wire.write(format!("{number}\n").as_bytes()) {
    ///                 return; // until there is room again
    ///             }
    ///         }
    ///         wire.close(); // after all was sent
    ///     }
    /// }
    ///
    /// impl Protocol for Numbers {
    ///     fn opened(&mut self, wire: &mut Wire, _: &mut Context) -> io::Result<()> {
    ///         self.pump(wire);
    ///         Ok(())
    ///     }
    ///
    ///     fn below_low_mark(&mut self, wire: &mut Wire, _: &mut Context) -> io::Result<()> {
    ///         self.pump(wire);
    ///         Ok(())
    ///     }
    ///
    ///     fn received(&mut self, _: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
    ///         Ok(data.len())
    ///     }
    /// }
    ///
    /// let mut test = tripoll::net::testing::ProtocolTest::new(Numbers(0..100_000), ())?;
    /// assert!(test.written().ends_with(b"\n99998\n99999\n"));
    /// assert!(test.is_closing());
    /// # io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    #[doc(alias = "resume_writing")]
    fn below_low_mark(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let _ = (wire, cx);
        Ok(())
    }

    /// Called when the write buffer has become empty after having held data. Does nothing by default.
    ///
    /// What the kernel takes at once is never in the write buffer: then this is not called. A long
    /// answer continues earlier in [`below_low_mark`](Self::below_low_mark).
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn drained(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let _ = (wire, cx);
        Ok(())
    }

    /// Called when the deadline has come that was set with [`Context::set_deadline`]. Returns an error
    /// of kind `TimedOut` by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    #[doc(alias = "timeout")]
    fn timed_out(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let _ = (wire, cx);
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Called after the connection was [notified](Context::notify), for example because another handler
    /// left something for it in the state. This is how output from outside is written to a connection.
    /// Does nothing by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn notified(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let _ = (wire, cx);
        Ok(())
    }

    /// Called once when the reactor [shuts down](Context::shutdown). Closes the connection gracefully
    /// by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn shutting_down(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let _ = cx;
        wire.close();
        Ok(())
    }

    /// Called exactly once, as the last callback, when the connection is closed. There is no wire any
    /// more: `closed` has the token, the reason, and for an access log the figures of a connection that is
    /// [measured](super::Connection::measured). When the reactor itself is dropped, it is not called. Does
    /// nothing by default.
    #[doc(alias = "connection_lost")]
    #[doc(alias = "channelInactive")]
    #[doc(alias = "disconnect")]
    fn closed(&mut self, closed: &Closed, cx: &mut Context<'_, S>) {
        let _ = (closed, cx);
    }
}

impl<S, P: Protocol<S> + ?Sized> Protocol<S> for Box<P> {
    fn opened(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        (**self).opened(wire, cx)
    }

    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        cx: &mut Context<'_, S>,
    ) -> io::Result<usize> {
        (**self).received(wire, data, cx)
    }

    fn ended(
        &mut self,
        wire: &mut Wire<'_>,
        rest: &[u8],
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        (**self).ended(wire, rest, cx)
    }

    fn below_low_mark(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        (**self).below_low_mark(wire, cx)
    }

    fn drained(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        (**self).drained(wire, cx)
    }

    fn timed_out(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        (**self).timed_out(wire, cx)
    }

    fn notified(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        (**self).notified(wire, cx)
    }

    fn shutting_down(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        (**self).shutting_down(wire, cx)
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<'_, S>) {
        (**self).closed(closed, cx);
    }
}
