//! Tests of protocols without a network.
//!
//! [`ProtocolTest`] runs a protocol and plays its peer. The test says what the peer sends, how time
//! passes, and whether the peer reads. It uses no address, starts no thread, and does not sleep.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::closed::Closed;
use super::connection::Connection;
use super::protocol::Protocol;
use super::stream::Stream;
use super::wire::Wire;
use crate::reactor::{Context, ManualClock, Reactor};
use crate::selector::{Backend, Deadline, Interest, Token};
use crate::sync::lock;

/// A protocol, and its peer in the hands of a test.
///
/// The protocol runs in a [`Connection`], in a reactor of the test's own thread. Each method of this type
/// returns when nothing more happens by itself. So the result does not depend on timing. The two ends are
/// joined by a pair of Unix sockets inside the process, which delivers at once and in order. The
/// reactor's clock is a [`ManualClock`].
///
/// See [testing](crate::guide::testing) in the guide.
///
/// ```
/// use std::io;
/// use std::time::Duration;
/// use tripoll::Context;
/// use tripoll::net::testing::ProtocolTest;
/// use tripoll::net::{Protocol, Wire};
///
/// /// Counts lines, and hangs up after ten seconds.
/// struct Counter;
///
/// impl Protocol<usize> for Counter {
///     fn opened(&mut self, wire: &mut Wire, _: &mut Context<usize>) -> io::Result<()> {
///         wire.set_deadline(Some(Duration::from_secs(10)));
///         Ok(())
///     }
///
///     fn received(
///         &mut self,
///         wire: &mut Wire,
///         data: &[u8],
///         cx: &mut Context<usize>,
///     ) -> io::Result<usize> {
///         let Some(end) = data.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
///         *cx.state += 1;
///         wire.write(format!("{}\n", cx.state).as_bytes());
///         Ok(end + 1)
///     }
///
///     fn timed_out(&mut self, wire: &mut Wire, _: &mut Context<usize>) -> io::Result<()> {
///         wire.write(b"bye\n");
///         wire.close();
///         Ok(())
///     }
/// }
///
/// let mut test = ProtocolTest::new(Counter, 0)?;
/// test.receive(b"one\ntwo\nthr");
/// assert_eq!(test.written(), b"1\n2\n");
/// test.receive(b"ee\n");
/// assert_eq!(test.written(), b"3\n");
/// assert_eq!(*test.state(), 3);
///
/// test.advance(Duration::from_secs(9));
/// assert!(!test.is_closing());
/// test.advance(Duration::from_secs(1));
/// assert_eq!(test.written(), b"bye\n");
/// assert!(test.is_closing());
/// test.end();
/// assert_eq!(test.closed().as_deref(), Some("closed"));
/// # io::Result::Ok(())
/// ```
#[doc(alias = "mock")]
#[doc(alias = "test")]
pub struct ProtocolTest<S: 'static = ()> {
    reactor: Reactor<S>,
    clock: ManualClock,
    token: Token,
    peer: UnixStream,
    /// What the peer has to send, and the connection did not read.
    unsent: Vec<u8>,
    must_end: bool,
    reads: bool,
    written: Vec<u8>,
    has_read_end: bool,
    closed: Arc<Mutex<Option<String>>>,
}

impl<S: 'static> ProtocolTest<S> {
    /// Opens `protocol` in a reactor with this state.
    ///
    /// # Errors
    ///
    /// Fails when the process has no descriptors left.
    pub fn new(protocol: impl Protocol<S> + 'static, state: S) -> io::Result<Self> {
        ProtocolTest::with(protocol, state, |connection| connection)
    }

    /// As [`new`](Self::new), for a connection with options. `set_up` sets them.
    ///
    /// ```
    /// # use std::io;
    /// # use tripoll::Context;
    /// # use tripoll::net::{Protocol, Wire};
    /// # struct Silent;
    /// # impl Protocol for Silent {
    /// #     fn received(&mut self, _: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
    /// #         Ok(data.len())
    /// #     }
    /// # }
    /// use std::time::Duration;
    /// use tripoll::net::testing::ProtocolTest;
    ///
    /// let minute = Duration::from_secs(60);
    /// let mut test = ProtocolTest::with(Silent, (), |connection| connection.idle_timeout(minute))?;
    /// test.advance(minute);
    /// assert_eq!(test.closed().as_deref(), Some("no data passed for idle_timeout"));
    /// # io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with<P: Protocol<S> + 'static>(
        protocol: P,
        state: S,
        set_up: impl FnOnce(Connection<Watched<P>>) -> Connection<Watched<P>>,
    ) -> io::Result<Self> {
        let clock = ManualClock::new();
        let builder = Reactor::<()>::builder().backend(Backend::Poll).clock(clock.clone());
        let mut reactor = builder.build_with(state)?;
        let (here, peer) = UnixStream::pair()?;
        peer.set_nonblocking(true)?;
        let closed = Arc::default();
        let watched = Watched { protocol, closed: Arc::clone(&closed) };
        let connection = set_up(Connection::new(watched));
        let token = connection.serve(Stream::from(here), &mut reactor.context())?.token();
        let mut test = ProtocolTest {
            reactor,
            clock,
            token,
            peer,
            unsent: Vec::new(),
            must_end: false,
            reads: true,
            written: Vec::new(),
            has_read_end: false,
            closed,
        };
        test.settle();
        Ok(test)
    }

    /// Lets the peer send `data`. While the connection does not read, some of it may wait.
    pub fn receive(&mut self, data: &[u8]) {
        self.unsent.extend_from_slice(data);
        self.settle();
    }

    /// Lets the peer finish sending: [`Protocol::ended`] is called.
    pub fn end(&mut self) {
        self.must_end = true;
        self.settle();
    }

    /// Takes what the peer has read since the last call.
    pub fn written(&mut self) -> Vec<u8> {
        self.settle();
        std::mem::take(&mut self.written)
    }

    /// Lets the peer read, or not: a peer that does not read fills the write buffer. Default: true.
    pub fn set_reads(&mut self, yes: bool) {
        self.reads = yes;
        self.settle();
    }

    /// Lets time pass on the reactor's clock.
    pub fn advance(&mut self, time: Duration) {
        self.clock.advance(time);
        self.settle();
    }

    /// Notifies the protocol: [`Protocol::notified`] is called. Does nothing after it was closed.
    pub fn notify(&mut self) {
        let _ = self.reactor.context().notify(self.token);
        self.settle();
    }

    /// Returns the state that the reactor's handlers share.
    pub fn state(&mut self) -> &mut S {
        self.reactor.context().state
    }

    /// Returns the context of the reactor: to shut it down, for example. What it causes happens in the
    /// next call of another method.
    pub fn context(&mut self) -> Context<'_, S> {
        self.reactor.context()
    }

    /// Returns the token of the connection.
    pub fn token(&self) -> Token {
        self.token
    }

    /// Returns what the connection waits for. `None` after it was closed. Without
    /// [`READ`](Interest::READ) it is paused, or its write buffer is above the high watermark. With
    /// [`WRITE`](Interest::WRITE) the write buffer holds data.
    pub fn interest(&mut self) -> Option<Interest> {
        self.reactor.context().interest(self.token)
    }

    /// Returns whether the peer has read the end: the protocol has closed, finished or failed, and all
    /// output was read.
    pub fn is_closing(&self) -> bool {
        self.has_read_end
    }

    /// Returns the text of [`Closed`] after [`Protocol::closed`] was called.
    pub fn closed(&self) -> Option<String> {
        lock(&self.closed).clone()
    }

    /// Runs until nothing more happens by itself.
    fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < 3 {
            let has_moved = self.move_bytes();
            // The waits of a reactor of one source and no signals do not fail.
            let calls = self.reactor.turn(Deadline::Now).unwrap_or(0);
            quiet = if has_moved || calls > 0 { 0 } else { quiet + 1 };
        }
    }

    /// Lets the peer write and read. Returns whether it did.
    fn move_bytes(&mut self) -> bool {
        let sent = if self.unsent.is_empty() { Ok(0) } else { self.peer.write(&self.unsent) };
        let sent = match sent {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => self.unsent.len(), // the connection is closed
        };
        self.unsent.drain(..sent);
        if self.must_end && self.unsent.is_empty() {
            self.must_end = false;
            let _ = self.peer.shutdown(Shutdown::Write); // the connection may be closed
            return true;
        }
        let mut buffer = [0; 16 << 10];
        let read = if self.reads && !self.has_read_end {
            match self.peer.read(&mut buffer) {
                Ok(count) => {
                    self.has_read_end = count == 0;
                    count
                }
                Err(error) => {
                    self.has_read_end = error.kind() != io::ErrorKind::WouldBlock;
                    0
                }
            }
        } else {
            0
        };
        self.written.extend_from_slice(&buffer[..read]);
        sent > 0 || read > 0
    }
}

impl<S: fmt::Debug> fmt::Debug for ProtocolTest<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtocolTest")
            .field("token", &self.token)
            .field("closed", &self.closed())
            .finish_non_exhaustive()
    }
}

/// A protocol that tells its test why it was closed.
#[derive(Debug)]
pub struct Watched<P> {
    protocol: P,
    closed: Arc<Mutex<Option<String>>>,
}

impl<S, P: Protocol<S>> Protocol<S> for Watched<P> {
    fn opened(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        self.protocol.opened(wire, cx)
    }

    fn received(
        &mut self,
        wire: &mut Wire<'_>,
        data: &[u8],
        cx: &mut Context<'_, S>,
    ) -> io::Result<usize> {
        self.protocol.received(wire, data, cx)
    }

    fn ended(
        &mut self,
        wire: &mut Wire<'_>,
        rest: &[u8],
        cx: &mut Context<'_, S>,
    ) -> io::Result<()> {
        self.protocol.ended(wire, rest, cx)
    }

    fn below_low_mark(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        self.protocol.below_low_mark(wire, cx)
    }

    fn drained(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        self.protocol.drained(wire, cx)
    }

    fn timed_out(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        self.protocol.timed_out(wire, cx)
    }

    fn notified(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        self.protocol.notified(wire, cx)
    }

    fn shutting_down(&mut self, wire: &mut Wire<'_>, cx: &mut Context<'_, S>) -> io::Result<()> {
        self.protocol.shutting_down(wire, cx)
    }

    fn closed(&mut self, closed: &Closed, cx: &mut Context<'_, S>) {
        *lock(&self.closed) = Some(closed.to_string());
        self.protocol.closed(closed, cx);
    }
}
