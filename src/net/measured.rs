//! Connections that are measured.

use std::time::Instant;

use super::connection::Connection;
use super::figures::{ConnectionFigures, ConnectionState, Measured};
use super::link::{Facts, Link, State};
use super::stream_io::StreamIo;
use super::wire::Wire;
use crate::selector::Token;

impl<P> Connection<P> {
    /// Counts the bytes of the connection, and notes its age. [`Wire::figures`] returns them, and
    /// [`Protocol::closed`](super::Protocol::closed) gets them, too. Default: not measured, which costs
    /// nothing.
    ///
    /// An access log:
    ///
    /// ```
    /// use std::io::{self, Read, Write};
    /// use tripoll::net::{Closed, Connection, Protocol, Stream, Wire};
    /// use tripoll::{Context, Reactor};
    ///
    /// struct Upper;
    ///
    /// impl Protocol<Vec<String>> for Upper {
    ///     fn received(
    ///         &mut self,
    ///         wire: &mut Wire,
    ///         data: &[u8],
    ///         _: &mut Context<Vec<String>>,
    ///     ) -> io::Result<usize> {
    ///         wire.write(&data.to_ascii_uppercase());
    ///         Ok(data.len())
    ///     }
    ///
    ///     fn closed(&mut self, closed: &Closed, cx: &mut Context<Vec<String>>) {
    ///         let figures = closed.figures.as_ref().expect("it is measured");
    ///         assert!(figures.age(cx.now()).as_secs() < 60);
    ///         cx.state.push(closed.to_string()); // or a line of a log
    ///         cx.stop();
    ///     }
    /// }
    ///
    /// let (here, mut there) = std::os::unix::net::UnixStream::pair()?;
    /// let mut reactor = Reactor::builder().build_with(Vec::new())?;
    /// Connection::new(Upper).measured().serve(Stream::from(here), &mut reactor.context())?;
    /// there.write_all(b"hello")?;
    /// there.shutdown(std::net::Shutdown::Write)?;
    /// reactor.run()?;
    /// assert_eq!(*reactor.state(), ["(unnamed) received 5 bytes, sent 5: closed"]);
    /// # io::Result::Ok(())
    /// ```
    #[doc(alias = "access log")]
    #[doc(alias = "metrics")]
    pub fn measured(mut self) -> Self {
        self.link.facts |= Facts::MEASURED;
        self
    }

    /// Begins to measure a connection that is served from now on.
    pub(super) fn begin_figures(&mut self, stream: &StreamIo<'_>, now: Instant) {
        if self.link.is(Facts::MEASURED) {
            let peer = stream.get_ref().peer().clone();
            let measured = Measured { peer, opened_at: now, received: 0, sent: 0 };
            self.link.rare_mut().measured = Some(Box::new(measured));
        }
    }
}

impl Link {
    /// Adds the bytes of a call that ends.
    pub(super) fn measure(&mut self, stream: &StreamIo<'_>) {
        if self.is(Facts::MEASURED)
            && let Some(measured) = &mut self.rare_mut().measured
        {
            let (received, sent) = stream.bytes_of_call();
            measured.received += received;
            measured.sent += sent;
        }
    }

    /// Returns the figures without those of the call that is under way.
    pub(super) fn figures(&self, token: Token) -> Option<ConnectionFigures> {
        let Measured { peer, opened_at, received, sent } =
            self.rare.as_ref()?.measured.as_deref()?;
        let (peer, opened_at) = (peer.clone(), *opened_at);
        let state = match self.state() {
            State::Open if self.is(Facts::HANDSHAKING) => ConnectionState::Handshaking,
            State::Open if self.wants_to_read() => ConnectionState::Open,
            State::Open => ConnectionState::NotReading,
            State::Closing | State::Lingering => ConnectionState::Closing,
            State::Ended => ConnectionState::Closed,
        };
        Some(ConnectionFigures { token, peer, opened_at, received: *received, sent: *sent, state })
    }
}

impl Wire<'_> {
    /// Returns what the connection has done, the call that is under way included. Returns `None` if it is
    /// not [measured](Connection::measured).
    pub fn figures(&self) -> Option<ConnectionFigures> {
        let mut figures = self.link.figures(self.token())?;
        let (received, sent) = self.stream.bytes_of_call();
        figures.received += received;
        figures.sent += sent;
        Some(figures)
    }
}
