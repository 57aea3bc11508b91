//! A connection as its protocol sees it.

use std::any::Any;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use super::address::Address;
use super::chunk::Chunk;
use super::file_range::FileRange;
use super::filter::Filter;
use super::link::{Facts, Link};
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
///         wire.close(); // after it was sent
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
#[doc(alias = "transport")]
#[doc(alias = "ChannelHandlerContext")]
pub struct Wire<'a> {
    pub(super) stream: StreamIo<'a>,
    pub(super) link: &'a mut Link,
}

impl Wire<'_> {
    /// Sends `data`. Returns whether there is room for more: false while the write buffer is above its
    /// [high watermark](super::Watermarks::high), and after [`close`](Self::close) or
    /// [`finish`](Self::finish). Never blocks.
    ///
    /// What one call of the connection's handler writes is gathered, and sent at once when the protocol
    /// has returned: the answers to all requests of one packet are one system call. From 64 KiB on, or
    /// above the high watermark, it is sent earlier. What the kernel does not take goes to the write
    /// buffer, and is written when there is room.
    ///
    /// While the write buffer is above the high watermark, the connection
    /// does not read, unless it [reads above the mark](super::Connection::read_above_mark). A peer that
    /// reads nothing of it for [`write_timeout`](super::Connection::write_timeout) is reset. A write to a buffer that is already above the
    /// [limit](super::Watermarks::limit) closes the connection with
    /// [`CloseReason::OutputOverflow`](super::CloseReason::OutputOverflow). The write itself does not
    /// count, because the peer had no chance to read it: a single write may be of
    /// any size. After `close` or `finish`, or when the connection has failed, data is discarded.
    ///
    /// `Wire` is an [`io::Write`], too, for [`write!`] and for encoders. There a write never fails, and
    /// [`flush`](io::Write::flush) sends what was gathered.
    #[doc(alias = "backpressure")]
    #[inline]
    pub fn write(&mut self, data: &[u8]) -> bool {
        self.link.write(&mut self.stream, data)
    }

    /// Sends bytes without a copy: owned ones, such as a `Vec<u8>`; static ones; or shared ones, such
    /// as an `Arc<[u8]>` that many connections are sent. Bytes below 512 are copied, which costs less.
    /// Otherwise it does what [`write`](Self::write) does.
    ///
    /// ```
    /// use std::io;
    /// use std::sync::Arc;
    /// use tripoll::Context;
    /// use tripoll::net::{Protocol, Wire};
    ///
    /// /// What all connections share.
    /// struct Room {
    ///     news: Arc<[u8]>,
    /// }
    ///
    /// struct Reader;
    ///
    /// impl Protocol<Room> for Reader {
    ///     fn notified(&mut self, wire: &mut Wire, cx: &mut Context<Room>) -> io::Result<()> {
    ///         wire.send(Arc::clone(&cx.state.news));
    ///         Ok(())
    ///     }
    /// #   fn received(&mut self, _: &mut Wire, data: &[u8], _: &mut Context<Room>) -> io::Result<usize> {
    /// #       Ok(data.len())
    /// #   }
    /// }
    /// ```
    #[doc(alias = "write_owned")]
    pub fn send(&mut self, chunk: impl Into<Chunk>) -> bool {
        self.link.send(&mut self.stream, chunk.into())
    }

    /// Sends bytes of a file by `sendfile(2)`: the kernel takes them from its page cache, without a copy
    /// in the program. The file is opened by the caller, and closed when its bytes are sent. It keeps
    /// its place among what is written before and after it.
    ///
    /// The bytes of the file count as those of the write buffer for its watermarks, but not for its
    /// [limit](super::Watermarks::limit), because they are not in memory. A large file is sent in parts
    /// of 1 MiB at most, and in each turn no further than to the reactor's
    /// [`Budget`](crate::reactor::Budget), so that other sources get their turn. The
    /// kernel waits for the disk if the bytes are not in its page cache. Where it cannot send the file
    /// by itself, the connection reads and writes it.
    ///
    /// If the file has fewer bytes than `range` when they are sent, the connection is closed with an
    /// error of kind `UnexpectedEof`, which names both, and the peer gets a reset.
    ///
    /// See [long answers](crate::guide::long_answers) in the guide.
    ///
    /// ```
    /// use std::fs::File;
    /// use std::io;
    /// use tripoll::Context;
    /// use tripoll::net::{Protocol, Wire};
    ///
    /// struct Download;
    ///
    /// impl Protocol for Download {
    ///     fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
    ///         let file = File::open("picture.jpg")?;
    ///         let size = file.metadata()?.len();
    ///         wire.write(format!("{size}\n").as_bytes());
    ///         wire.send_file(file, 0..size);
    ///         wire.close(); // after all was sent
    ///         Ok(data.len())
    ///     }
    /// }
    /// ```
    #[doc(alias = "sendfile")]
    pub fn send_file(&mut self, file: impl Into<Arc<File>>, range: Range<u64>) -> bool {
        self.link.send_file(&mut self.stream, FileRange::new(file.into(), range))
    }

    /// Finishes our side: after what was written so far, the connection is half-closed, and the peer
    /// reads the end. What is written later is discarded. The connection still receives.
    ///
    /// When the peer has finished, too, the connection is closed as
    /// [`CloseReason::Finished`](super::CloseReason::Finished). There is no time limit for that: set a
    /// deadline for a peer that is not trusted. [`close`](Self::close) has limits of its own.
    ///
    /// See [a proxy](crate::guide::proxy) in the guide.
    ///
    /// ```
    /// use std::io::{self, Read, Write};
    /// use tripoll::net::{Connection, Protocol, Stream, Wire};
    /// use tripoll::{Context, Reactor};
    ///
    /// /// Sends a question, finishes, and receives the whole answer.
    /// #[derive(Default)]
    /// struct Ask(Vec<u8>);
    ///
    /// impl Protocol for Ask {
    ///     fn opened(&mut self, wire: &mut Wire, _: &mut Context) -> io::Result<()> {
    ///         wire.write(b"what is the time?");
    ///         wire.finish();
    ///         Ok(())
    ///     }
    ///
    ///     fn received(&mut self, _: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
    ///         self.0.extend_from_slice(data);
    ///         Ok(data.len())
    ///     }
    ///
    ///     fn closed(&mut self, _: &tripoll::net::Closed, cx: &mut Context) {
    ///         assert_eq!(self.0, b"noon");
    ///         cx.stop();
    ///     }
    /// }
    ///
    /// let (here, mut there) = std::os::unix::net::UnixStream::pair()?;
    /// # let server = std::thread::spawn(move || {
    /// let mut question = String::new();
    /// there.read_to_string(&mut question)?; // up to the half-close
    /// assert_eq!(question, "what is the time?");
    /// there.write_all(b"noon")?;
    /// # io::Result::Ok(())
    /// # });
    /// let mut reactor = Reactor::new()?;
    /// Connection::new(Ask::default()).serve(Stream::from(here), &mut reactor.context())?;
    /// reactor.run()?;
    /// # server.join().unwrap()?;
    /// # io::Result::Ok(())
    /// ```
    #[doc(alias = "half-close")]
    #[doc(alias = "shutdown")]
    #[doc(alias = "write_eof")]
    pub fn finish(&mut self) {
        self.link.finish();
    }

    /// Returns the number of bytes that the kernel has not taken: the write buffer with the rest of its
    /// files, and what was gathered in this call of the handler.
    pub fn unsent(&self) -> usize {
        self.link.unsent(&self.stream)
    }

    /// Sends what was gathered now, and not when the protocol has returned.
    pub(crate) fn flush_now(&mut self) {
        self.link.flush_early(&mut self.stream);
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

    /// Closes at once with a reset, and discards the write buffer, with what was gathered in this
    /// call of the handler.
    #[doc(alias = "reset")]
    #[doc(alias = "RST")]
    pub fn abort(&mut self) {
        self.stream.gathered_mut().clear();
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
    #[doc(alias = "pause_reading")]
    #[doc(alias = "setAutoRead")]
    pub fn pause(&mut self) {
        self.link.facts |= Facts::PAUSED;
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
    #[doc(alias = "resume_reading")]
    pub fn resume(&mut self) {
        self.link.facts.remove(Facts::PAUSED);
        self.link.defer_unread();
    }

    /// Returns the stream itself, for its options and addresses. What is read from it or written to it
    /// directly bypasses the buffers of the connection.
    pub fn stream(&self) -> &Stream {
        self.stream.get_ref()
    }

    /// Sets the deadline of the connection, measured from the end of this callback.
    /// [`timed_out`](super::Protocol::timed_out) is called when it has come. `None` removes it. It is the
    /// deadline of [`Context::set_deadline`](crate::Context::set_deadline), of which a connection has one.
    ///
    /// ```
    /// use std::io;
    /// use std::time::Duration;
    /// use tripoll::Context;
    /// use tripoll::net::{Protocol, Wire};
    ///
    /// /// Its peer has five seconds for each line, however it sends it.
    /// struct Lines;
    ///
    /// impl Protocol for Lines {
    ///     fn opened(&mut self, wire: &mut Wire, _: &mut Context) -> io::Result<()> {
    ///         wire.set_deadline(Some(Duration::from_secs(5)));
    ///         Ok(())
    ///     }
    ///
    ///     fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
    ///         let Some(end) = data.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
    ///         wire.set_deadline(Some(Duration::from_secs(5)));
    ///         Ok(end + 1)
    ///     }
    /// }
    /// ```
    #[doc(alias = "timeout")]
    pub fn set_deadline(&mut self, after: Option<Duration>) {
        self.stream.request_deadline(after);
    }

    /// Returns the [filter](super::Connection::over) under the protocol, if it is an `F`: to ask it for the
    /// peer's certificate, for example.
    pub fn filter<F: Filter>(&self) -> Option<&F> {
        let filter: &dyn Any = &*self.link.layer()?.filter;
        filter.downcast_ref()
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

impl io::Write for Wire<'_> {
    /// Sends all of `data`, as [`Wire::write`] does.
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        Wire::write(self, data);
        Ok(data.len())
    }

    /// Sends what was gathered in this call of the handler, as far as the kernel takes it. Never blocks.
    fn flush(&mut self) -> io::Result<()> {
        self.flush_now();
        Ok(())
    }
}

impl fmt::Debug for Wire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("token", &self.token()).field("link", &self.link).finish()
    }
}
