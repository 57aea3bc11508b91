//! How a stream leaves its connection, with what was received and not used.

use std::any::Any;
use std::io;

use super::close_reason::CloseReason;
use super::connection::Connection;
use super::link::{Facts, Link};
use super::stream::Stream;
use super::stream_io::StreamIo;
use super::wire::Wire;
use crate::reactor::{Context, Next};

/// What is called with the stream and the unread input.
struct Then<S>(Box<Callback<S>>);

type Callback<S> = dyn FnOnce(Stream, Vec<u8>, &mut Context<'_, S>) + Send;

impl<P> Connection<P> {
    /// Sets input that was received before, by an earlier owner of the stream: see [`Wire::detach`]. It is
    /// offered to the protocol after [`opened`](super::Protocol::opened), before new input. It passes
    /// through the [filter](Self::over), if there is one.
    pub fn unread(mut self, input: Vec<u8>) -> Self {
        if !input.is_empty() {
            self.link.buffers_mut().unread = input;
            self.link.defer_unread();
        }
        self
    }

    /// Hands the stream over: all is sent.
    pub(super) fn hand_over<S: 'static>(
        &mut self,
        stream: &StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        let unread = self.link.take_unread();
        let then = self.link.take_then::<S>().expect("a detaching connection has it");
        cx.take(stream.token(), move |stream, cx: &mut Context<'_, S>| {
            (then.0)(stream, unread, cx)
        })?;
        self.link.end(CloseReason::Detached);
        Ok(Next::Keep) // it is not the reactor's any more
    }
}

impl Link {
    fn take_then<S: 'static>(&mut self) -> Option<Box<Then<S>>> {
        let then: Box<dyn Any> = self.buffers_mut().then.take()?;
        then.downcast().ok()
    }
}

impl Wire<'_> {
    /// Takes the stream out of the connection, for another protocol (an upgrade, a proxy) or for a
    /// thread. From now on the connection does not read, and what is written is discarded. What was
    /// written before is flushed, within the usual limits. Then
    /// [`closed`](super::Protocol::closed) is called with
    /// [`CloseReason::Detached`](super::CloseReason::Detached), and after it `then`, with the stream and
    /// with the input that the protocol has not used.
    ///
    /// The stream still counts toward the limit of its listener. It is still non-blocking: a thread
    /// [changes](Stream::set_nonblocking) that. If the connection fails or is closed before, `then` is
    /// dropped.
    ///
    /// See [leaving for a thread](crate::guide::threads) in the guide.
    ///
    /// ```
    /// use std::io::{self, Read, Write};
    /// use tripoll::net::{Connection, Protocol, Stream, Wire};
    /// use tripoll::{Context, Reactor};
    ///
    /// /// Understands one word.
    /// struct Plain;
    ///
    /// impl Protocol for Plain {
    ///     fn received(&mut self, wire: &mut Wire, data: &[u8], cx: &mut Context) -> io::Result<usize> {
    ///         let Some(end) = data.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
    ///         wire.write(b"ok\n");
    ///         wire.detach(cx, |stream, unread, cx| {
    ///             // If it fails, the stream is closed.
    ///             let _ = Connection::new(Upper).unread(unread).serve(stream, cx);
    ///         })?;
    ///         Ok(end + 1)
    ///     }
    /// }
    ///
    /// /// The protocol after the upgrade.
    /// struct Upper;
    ///
    /// impl Protocol for Upper {
    ///     fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
    ///         wire.write(&data.to_ascii_uppercase());
    ///         Ok(data.len())
    ///     }
    ///
    ///     fn closed(&mut self, _: &tripoll::net::Closed, cx: &mut Context) {
    ///         cx.stop();
    ///     }
    /// }
    ///
    /// let (here, mut there) = std::os::unix::net::UnixStream::pair()?;
    /// let mut reactor = Reactor::new()?;
    /// Connection::new(Plain).serve(Stream::from(here), &mut reactor.context())?;
    /// there.write_all(b"upgrade\nhello")?;
    /// there.shutdown(std::net::Shutdown::Write)?;
    /// reactor.run()?;
    /// assert_eq!(io::read_to_string(&there)?, "ok\nHELLO");
    /// # io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// `NotConnected` when the connection is closed, finishing or detached already. `Unsupported` over a
    /// [filter](Connection::over), which has a state of its own. If the source of the
    /// reactor is not a [`Stream`] itself but shares one, such as an `Arc<Stream>`, the connection fails
    /// later, with `InvalidInput`.
    #[doc(alias = "upgrade")]
    #[doc(alias = "STARTTLS")]
    #[doc(alias = "hijack")]
    pub fn detach<S: 'static>(
        &mut self,
        cx: &mut Context<'_, S>,
        then: impl FnOnce(Stream, Vec<u8>, &mut Context<'_, S>) + Send + 'static,
    ) -> io::Result<()> {
        let _ = cx; // it says which state `then` is called with
        let leaving = Facts::FINISHING | Facts::DETACHING;
        if !self.link.is_open() || self.link.facts.intersects(leaving) {
            let message = "a connection that is closed or finishing cannot be detached";
            return Err(io::Error::new(io::ErrorKind::NotConnected, message));
        }
        if self.link.is(Facts::LAYERED) {
            let message = "a connection over a filter cannot be detached";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        self.link.facts |= Facts::DETACHING;
        self.link.buffers_mut().then = Some(Box::new(Then(Box::new(then))));
        Ok(())
    }
}
