//! A connection as its protocol sees it.

use std::fmt;

use super::address::Address;
use super::link::Link;
use super::stream::Stream;
use super::stream_io::StreamIo;
use crate::selector::Token;

/// A connection as its protocol sees it, during a callback.
///
/// ```
/// use std::io::{self, Read};
/// use tripoll::net::{Connection, Protocol, Stream, Wire};
/// use tripoll::{Context, Deadline, Reactor};
///
/// /// Sends a greeting and closes.
/// struct Greet;
///
/// impl Protocol for Greet {
///     fn opened(&mut self, wire: &mut Wire, _: &mut Context) -> io::Result<()> {
///         wire.write(b"hello");
///         assert_eq!(wire.unsent(), 0); // the kernel has taken it
///         wire.close();
///         Ok(())
///     }
///
///     fn received(&mut self, _: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
///         Ok(data.len())
///     }
/// }
///
/// let (here, mut there) = std::os::unix::net::UnixStream::pair()?;
/// let mut reactor = Reactor::new()?;
/// Connection::new(Greet).serve(Stream::from(here), &mut reactor.context())?;
/// reactor.turn(Deadline::Now)?;
/// let mut text = String::new();
/// there.read_to_string(&mut text)?; // up to the half-close
/// assert_eq!(text, "hello");
/// # io::Result::Ok(())
/// ```
pub struct Wire<'a> {
    pub(super) stream: StreamIo<'a>,
    pub(super) link: &'a mut Link,
}

impl Wire<'_> {
    /// Sends `data`. What the kernel takes is written at once. The rest goes to the write buffer, and
    /// is written when there is room. Never blocks.
    ///
    /// While the write buffer is above the [high watermark](super::Watermarks::high), the connection
    /// does not read, unless it [reads above the mark](super::Connection::read_above_mark). A peer that
    /// reads nothing of it for [`write_timeout`](super::Connection::write_timeout) is reset. A write to a buffer that is already above the
    /// [limit](super::Watermarks::limit) closes the connection with
    /// [`CloseReason::OutputOverflow`](super::CloseReason::OutputOverflow). A single write may be of
    /// any size. After [`close`](Self::close), or when the connection has failed, data is discarded.
    #[doc(alias = "backpressure")]
    pub fn write(&mut self, data: &[u8]) {
        self.link.write(&mut self.stream, data);
    }

    /// Returns the size of the write buffer, in bytes.
    pub fn unsent(&self) -> usize {
        self.link.unsent()
    }

    /// Returns the number of bytes that the kernel has taken and the peer has not: see
    /// [`Stream::send_queue`](super::Stream::send_queue). Together with [`unsent`](Self::unsent) this is what the peer has still
    /// to read. 0 if the kernel cannot tell.
    pub fn send_queue(&self) -> usize {
        self.stream.send_queue()
    }

    /// Returns whether all connections of the listener hold too much, and this one more than its share.
    pub(crate) fn is_over_share(&self) -> bool {
        self.link.is_over_share()
    }

    /// Returns whether the connection is neither closed nor closing.
    pub(super) fn is_open(&self) -> bool {
        self.link.is_open()
    }

    /// Lets the protocol leave at least so many bytes unused: see
    /// [`Connection::max_unused`](super::Connection::max_unused).
    pub(super) fn allow_unused(&mut self, bytes: usize) {
        if self.link.options().max_unused < bytes {
            self.link.options_mut().max_unused = bytes;
        }
    }

    /// Closes gracefully: receives nothing more, flushes the write buffer, and half-closes. Then input
    /// is discarded, up to a megabyte, until the peer has finished, too, or for the
    /// [linger time](super::Connection::linger). So the peer can read the rest of the output: a close
    /// with unread input would be a reset, which may overtake it.
    ///
    /// A peer that reads nothing of the output for
    /// [`close_within`](super::Connection::close_within) is reset. A peer that reads slowly is not,
    /// however long it takes.
    #[doc(alias = "disconnect")]
    #[doc(alias = "half-close")]
    pub fn close(&mut self) {
        self.link.close();
    }

    /// Closes at once with a reset, and discards the write buffer.
    pub fn abort(&mut self) {
        self.link.abort();
    }

    /// Returns whether the peer is read from: the connection is open, not [paused](Self::pause), and
    /// has not stopped reading because its write buffer rose above the
    /// [high watermark](super::Watermarks::high). See also
    /// [`read_above_mark`](super::Connection::read_above_mark).
    pub fn is_reading(&self) -> bool {
        self.link.is_open() && self.link.wants_to_read()
    }

    /// Stops reading until [`resume`](Self::resume). Unused input is kept, and does not count toward
    /// [`max_unused`](super::Connection::max_unused) meanwhile.
    ///
    /// A peer that resets a paused connection ends it, with what was not read yet. A peer that closes
    /// it in good order does not, for its input is still to be read. `select` reports neither while
    /// nothing is read or written, nor does mio for Unix sockets. There the reset is noticed after
    /// `resume`, or by a write.
    pub fn pause(&mut self) {
        self.link.is_paused = true;
    }

    /// Reads again after [`pause`](Self::pause). Unused input is offered again when this callback has
    /// returned, even if nothing new has come. In [`received`](super::Protocol::received) itself, what
    /// it leaves unused waits for more input, as usual.
    ///
    /// ```
    /// use std::io::{self, Write};
    /// use tripoll::net::{Connection, Protocol, Stream, Wire};
    /// use tripoll::{Context, Reactor};
    ///
    /// /// Uses its input when it is notified, and not before.
    /// #[derive(Default)]
    /// struct Later {
    ///     may_use: bool,
    /// }
    ///
    /// impl Protocol for Later {
    ///     fn received(&mut self, wire: &mut Wire, data: &[u8], cx: &mut Context) -> io::Result<usize> {
    ///         if !self.may_use {
    ///             wire.pause();
    ///             cx.notify(wire.token())?;
    ///             return Ok(0);
    ///         }
    ///         assert_eq!(data, b"hello");
    ///         cx.stop();
    ///         Ok(data.len())
    ///     }
    ///
    ///     fn notified(&mut self, wire: &mut Wire, _: &mut Context) -> io::Result<()> {
    ///         self.may_use = true;
    ///         wire.resume();
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let (here, mut there) = std::os::unix::net::UnixStream::pair()?;
    /// let mut reactor = Reactor::new()?;
    /// Connection::new(Later::default()).serve(Stream::from(here), &mut reactor.context())?;
    /// there.write_all(b"hello")?;
    /// reactor.run()?;
    /// # io::Result::Ok(())
    /// ```
    pub fn resume(&mut self) {
        self.link.is_paused = false;
        self.link.defer_unread();
    }

    /// Returns the stream itself, for its options and addresses. What is read from it or written to it
    /// directly bypasses the buffers of the connection.
    pub fn stream(&self) -> &Stream {
        self.stream.get_ref()
    }

    /// Returns the address of the peer.
    pub fn peer(&self) -> &Address {
        self.stream.get_ref().peer()
    }

    /// Returns the token of the connection in the reactor.
    pub fn token(&self) -> Token {
        self.stream.token()
    }
}

impl fmt::Debug for Wire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("token", &self.token()).field("link", &self.link).finish()
    }
}
