//! The trait `DatagramProtocol`: the callbacks of a datagram socket.

use std::io;

use super::address::Address;
use super::datagram_batch::ReceivedDatagram;
use super::datagram_wire::DatagramWire;
use crate::reactor::Context;

/// Decides what a datagram socket sends and how it uses what it receives, in a reactor with the shared
/// state `S`. It is served by a [`DatagramEndpoint`](super::DatagramEndpoint).
///
/// The callbacks are those of Python's `asyncio.DatagramProtocol`, under Rust's names. None of them is
/// called after [`closed`](Self::closed).
///
/// ```
/// use std::io;
/// use tripoll::net::{
///     Address, DatagramEndpoint, DatagramProtocol, DatagramSocket, DatagramWire, ReceivedDatagram,
/// };
/// use tripoll::{Context, Reactor};
///
/// /// Answers with the number of the datagram. An empty one ends it.
/// struct Count(u32);
///
/// impl DatagramProtocol for Count {
///     fn received(
///         &mut self,
///         wire: &mut DatagramWire,
///         datagram: ReceivedDatagram,
///         _: &mut Context,
///     ) -> io::Result<()> {
///         self.0 += 1;
///         wire.send_to(format!("{}", self.0).as_bytes(), &datagram.from);
///         if datagram.data.is_empty() {
///             wire.close();
///         }
///         Ok(())
///     }
///
///     fn error_received(
///         &mut self,
///         _: &mut DatagramWire,
///         error: &io::Error,
///         to: Option<&Address>,
///         _: &mut Context,
///     ) -> io::Result<()> {
///         eprintln!("{to:?}: {error}"); // one peer's error, and the others go on
///         Ok(())
///     }
///
///     fn closed(&mut self, _: Option<&io::Error>, cx: &mut Context) {
///         cx.stop();
///     }
/// }
///
/// let mut reactor = Reactor::new()?;
/// let socket = DatagramSocket::bind("127.0.0.1:0")?;
/// let address = socket.local_address().clone();
/// DatagramEndpoint::new(Count(0)).serve(socket, &mut reactor.context())?;
/// let client = DatagramSocket::bind("127.0.0.1:0")?;
/// client.send_to(b"hello", &address)?;
/// client.send_to(b"", &address)?;
/// reactor.run()?;
/// let mut answer = [0; 8];
/// assert_eq!(client.recv_from(&mut answer)?.size, 1);
/// assert_eq!(answer[0], b'1');
/// # io::Result::Ok(())
/// ```
///
/// # Errors
///
/// An error that a callback returns closes the socket. [`closed`](Self::closed) gets it. An error of one
/// datagram never does: [`error_received`](Self::error_received) gets it.
pub trait DatagramProtocol<S = ()> {
    /// Called once, before all others. Does nothing by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn opened(&mut self, wire: &mut DatagramWire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let _ = (wire, cx);
        Ok(())
    }

    /// Called with each datagram that was received, an empty one, too.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    #[doc(alias = "datagram_received")]
    fn received(
        &mut self,
        wire: &mut DatagramWire<'_>,
        datagram: ReceivedDatagram<'_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()>;

    /// Called after the callback that sent a datagram, when the datagram was not sent: `to` is its
    /// receiver. Also called when a receive has failed, as when the [connected](super::DatagramSocket::connect)
    /// peer has refused an earlier datagram: then `to` is `None`. The socket goes on. A line of the log
    /// at level debug by default.
    ///
    /// The error is of kind `StorageFull` when the queue had no room for the datagram, and `TimedOut`
    /// when it has waited there too long. An error of a datagram that this callback sends is not
    /// reported.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn error_received(
        &mut self,
        wire: &mut DatagramWire<'_>,
        error: &io::Error,
        to: Option<&Address>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        let _ = cx;
        let to = to.map_or_else(String::new, |to| format!(", to {to}"));
        log::debug!("{}{to}: {error}", wire.socket().local_address());
        Ok(())
    }

    /// Called when the queue has fallen to its [low watermark](super::Watermarks::low), after it was
    /// above the high one. Does nothing by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    #[doc(alias = "resume_writing")]
    fn below_low_mark(
        &mut self,
        wire: &mut DatagramWire<'_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
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
        wire: &mut DatagramWire<'_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        let _ = (wire, cx);
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Called after the socket was [notified](Context::notify). This is how datagrams from outside are
    /// sent. Does nothing by default.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn notified(&mut self, wire: &mut DatagramWire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        let _ = (wire, cx);
        Ok(())
    }

    /// Called once when the reactor [shuts down](Context::shutdown). Closes the socket by default, after
    /// its queue was flushed.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors).
    fn shutting_down(
        &mut self,
        wire: &mut DatagramWire<'_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        let _ = cx;
        wire.close();
        Ok(())
    }

    /// Called exactly once, as the last callback, when the socket is closed. `error` is the reason, if it
    /// is one: an error that a callback returned, or one of the socket itself. When the reactor is
    /// dropped, it is not called. Logs the error as a warning by default.
    #[doc(alias = "connection_lost")]
    fn closed(&mut self, error: Option<&io::Error>, cx: &mut Context<'_, S>) {
        let _ = cx;
        if let Some(error) = error {
            log::warn!("a datagram socket was closed: {error}");
        }
    }
}
