//! A connection: the handler between a socket and a [`Protocol`].
//!
//! ```text
//!              Wire::close, or the peer ended         all is sent:
//!   ┌──────┐        and so did we     ┌─────────┐    our side is shut    ┌───────────┐
//!   │ OPEN │ ───────────────────────► │ CLOSING │ ─────────────────────► │ LINGERING │ ─► removed
//!   └──────┘                          └─────────┘   (the peer ended too? └───────────┘
//!   reads, writes                     writes,         removed at once)    reads and discards,
//!                                     reads and discards                  until EOF, or a second after
//!                                                                         the peer has read all
//! ```
//!
//! The interest follows from the state, and is set in one place. WRITE is set exactly while the
//! write buffer holds data. READ is set while the connection is open, not paused, and not above its
//! watermark (unless it reads above it); and after it was closed, because a peer that is still sending does not read the
//! answer.

use std::borrow::Borrow;
use std::io;
use std::net::Shutdown;
use std::time::Duration;

use super::close_reason::{CloseReason, clone_error};
use super::closed::Closed;
use super::filter::Filter;
use super::layer::Layer;
use super::link::{Facts, Link, State};
use super::moment::Moment;
use super::options::Options;
use super::protocol::Protocol;
use super::stream::Stream;
use super::stream_io::StreamIo;
use super::timeout::Timeout;
use super::watermarks::Watermarks;
use super::wire::Wire;
use crate::reactor::{Context, Handler, Id, Next, Source};
use crate::selector::{Interest, Token};

/// The handler of a buffered, non-blocking stream connection: drives a [`Protocol`] on a
/// [`Stream`].
///
/// ```
/// use std::io::{self, Read, Write};
/// use std::time::Duration;
/// use tripoll::net::{Connection, Protocol, Stream, Watermarks, Wire};
/// use tripoll::{Context, Reactor};
///
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
/// Connection::new(Upper)
///     .watermarks(Watermarks::new(1_000, 10_000, 100_000))
///     .max_unused(4_096)
///     .close_within(Duration::from_secs(5))
///     .serve(Stream::from(here), &mut reactor.context())?;
/// there.write_all(b"hello")?;
/// there.shutdown(std::net::Shutdown::Write)?;
/// reactor.run()?;
/// let mut answer = String::new();
/// there.read_to_string(&mut answer)?;
/// assert_eq!(answer, "HELLO");
/// # io::Result::Ok(())
/// ```
#[doc(alias = "transport")]
#[doc(alias = "bufferevent")]
#[doc(alias = "Channel")]
#[derive(Debug)]
pub struct Connection<P> {
    protocol: P,
    pub(super) link: Link,
}

impl<P> Connection<P> {
    /// Returns a connection for `protocol`, with the default options.
    pub fn new(protocol: P) -> Self {
        Connection { protocol, link: Link::new() }
    }

    /// Sets the watermarks of the write buffer. Default: [`Watermarks::default`].
    pub fn watermarks(mut self, marks: Watermarks) -> Self {
        self.link.options_mut().marks = marks;
        self
    }

    /// Sets how many received bytes the protocol may leave unused. With more, the connection is
    /// closed with [`CloseReason::InputOverflow`]. Default: 1 MiB.
    pub fn max_unused(mut self, most: usize) -> Self {
        self.link.options_mut().max_unused = most;
        self
    }

    /// Sets how long a peer may read nothing of the output after [`Wire::close`]. Then it is reset,
    /// and the reason is [`CloseReason::CloseTimedOut`]. It may take up to twice as long after the peer
    /// has read something. What the peer takes out of the kernel's [send queue](Stream::send_queue)
    /// counts, too. `Duration::MAX` is no limit. Default: 30 s.
    pub fn close_within(mut self, time: Duration) -> Self {
        self.link.options_mut().close_within = Timeout::new(time);
        self
    }

    /// Sets how long a peer of an open connection may read nothing, while output waits for it in the
    /// write buffer. Then it is reset, and the reason is [`CloseReason::WriteTimedOut`]. It may take up
    /// to twice as long after the peer has read something. What the peer takes out of the kernel's
    /// [send queue](Stream::send_queue) counts, too. `Duration::MAX` is no limit. Default: 60 s.
    #[doc(alias = "write stall")]
    #[doc(alias = "WriteTimeoutHandler")]
    pub fn write_timeout(mut self, time: Duration) -> Self {
        self.link.options_mut().write_timeout = Timeout::new(time);
        self
    }

    /// Sets how long no data may pass in either direction. Then the connection is closed, and the reason
    /// is [`CloseReason::IdleTimedOut`]. Data passes when it is received, when the kernel takes it, and
    /// when the peer takes it out of the kernel's [send queue](Stream::send_queue). While the queue is not
    /// empty, it may take up to twice as long. `Duration::MAX` is no limit. Default: none.
    ///
    /// The limits of a connection are apart from the deadline that its protocol sets with
    /// [`Wire::set_deadline`]. They are measured in milliseconds by the reactor's clock. Data that passes
    /// does not set a timer.
    ///
    /// See [timeouts](crate::guide::timeouts) in the guide.
    ///
    /// ```
    /// use std::io;
    /// use std::time::Duration;
    /// use tripoll::net::{CloseReason, Closed, Connection, Protocol, Stream, Wire};
    /// use tripoll::{Context, Reactor};
    ///
    /// struct Silent;
    ///
    /// impl Protocol for Silent {
    ///     fn received(&mut self, _: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
    ///         Ok(data.len())
    ///     }
    ///
    ///     fn closed(&mut self, closed: &Closed, cx: &mut Context) {
    ///         assert!(matches!(closed.reason, CloseReason::IdleTimedOut));
    ///         cx.stop();
    ///     }
    /// }
    ///
    /// let (here, _there) = std::os::unix::net::UnixStream::pair()?;
    /// let mut reactor = Reactor::new()?;
    /// let connection = Connection::new(Silent).idle_timeout(Duration::from_millis(5));
    /// connection.serve(Stream::from(here), &mut reactor.context())?;
    /// reactor.run()?;
    /// # io::Result::Ok(())
    /// ```
    #[doc(alias = "keepalive")]
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.link.options_mut().idle_timeout = Timeout::new(time);
        self
    }

    /// Sets how long an open connection may receive nothing while it reads. Then it is closed, and the
    /// reason is [`CloseReason::ReadTimedOut`]. Output does not count, and neither does the time in which
    /// the connection is [paused](Wire::pause) or does not read above its
    /// [high watermark](Watermarks::high). `Duration::MAX` is no limit. Default: none.
    #[doc(alias = "ReadTimeoutHandler")]
    pub fn read_timeout(mut self, time: Duration) -> Self {
        self.link.options_mut().read_timeout = Timeout::new(time);
        self
    }

    /// Sets whether the connection reads while its write buffer is above the
    /// [high watermark](Watermarks::high). Default: false, so that a peer that does not read cannot ask
    /// for more.
    ///
    /// Choose true if the peer sends before it has read all that it is sent, as an echo does. Otherwise
    /// two sides that both send much, and both wait until the other one reads, wait for each other until
    /// the [`write_timeout`](Self::write_timeout). With true, only the
    /// [limit](Watermarks::limit) bounds the write buffer. A protocol can then still
    /// [pause](Wire::pause) reading by itself.
    #[doc(alias = "deadlock")]
    pub fn read_above_mark(mut self, yes: bool) -> Self {
        self.link.options_mut().read_above_mark = yes;
        self
    }

    /// Sets how long a closed connection waits for the peer to finish, after its output was
    /// flushed: see [`Wire::close`]. While the kernel still holds some of the output, it waits longer,
    /// for [`close_within`](Self::close_within) at most. Zero does not wait. Default: 1 s.
    #[doc(alias = "SO_LINGER")]
    pub fn linger(mut self, time: Duration) -> Self {
        self.link.options_mut().linger = Timeout::new(time);
        self
    }

    /// Runs the protocol over a filter, such as TLS: see [`Filter`]. The protocol is unchanged. It is called
    /// when the handshake of the filter is over, with [`opened`](Protocol::opened). When the handshake
    /// fails, only [`closed`](Protocol::closed) is called.
    ///
    /// The watermarks, limits and timeouts concern what is sent to the peer. A part of a file is read and
    /// passed through the filter. [`Wire::close`] and [`Wire::finish`] end the filter before the stream.
    #[doc(alias = "tls")]
    #[doc(alias = "ssl")]
    pub fn over(mut self, filter: impl Filter + Send) -> Self {
        self.link.facts |= Facts::LAYERED;
        self.link.rare_mut().layer = Some(Box::new(Layer::new(Box::new(filter))));
        self
    }

    /// Sets how long the handshake of a [filter](Self::over) may last. Then the connection is closed, and
    /// the reason is [`CloseReason::HandshakeTimedOut`]. `Duration::MAX` is no limit. Default: 10 s.
    pub fn handshake_timeout(mut self, time: Duration) -> Self {
        self.link.options_mut().handshake_timeout = Timeout::new(time);
        self
    }

    /// Adds the stream to the reactor, with this handler. Returns its [`Id`], through which others
    /// [tell](Context::tell) its protocol something. Its [token](Id::token) is for everything else.
    ///
    /// # Errors
    ///
    /// Fails when the selector cannot watch the stream.
    pub fn serve<S: 'static>(self, stream: Stream, cx: &mut Context<'_, S>) -> io::Result<Id<Self>>
    where
        P: Protocol<S> + 'static,
    {
        let known = stream.known();
        let added = cx.add_known(stream, Interest::READ, self, known);
        Ok(Id::new(added.map_err(|(refused, _)| refused)?))
    }

    /// Tells the protocol that there will be no connection. The connection was never served.
    pub(super) fn not_connected<S>(mut self, reason: CloseReason, cx: &mut Context<'_, S>)
    where
        P: Protocol<S>,
    {
        self.protocol.closed(&Closed { reason, token: None, figures: None }, cx);
    }

    /// Returns whether the connection has ended by itself: it was neither handed over nor removed.
    pub(super) fn is_lost(&self) -> bool {
        let is_wanted =
            |reason: &CloseReason| matches!(reason, CloseReason::Detached | CloseReason::Removed);
        self.link.reason().is_some_and(|reason| !is_wanted(reason))
    }

    /// Returns whether its protocol may still be called.
    pub(super) fn is_open(&self) -> bool {
        self.link.is_open()
    }

    /// Calls the protocol.
    #[inline]
    pub(super) fn call<S, T>(
        &mut self,
        stream: &mut StreamIo<'_>,
        cx: &mut Context<'_, S>,
        call: impl FnOnce(&mut P, &mut Wire<'_>, &mut Context<'_, S>) -> io::Result<T>,
    ) -> Option<T> {
        let mut wire = Wire { stream: stream.reborrow(), link: &mut self.link };
        let answer = match call(&mut self.protocol, &mut wire, cx) {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.call_failed(error, stream);
                None
            }
        };
        if cx.has_removed(stream.token()) {
            self.removed_itself(stream);
        }
        answer
    }

    /// Ends after a callback that has removed its own connection: the protocol is called no more. What was
    /// written before is sent, if the kernel has room.
    #[cold]
    fn removed_itself(&mut self, stream: &mut StreamIo<'_>) {
        if self.link.state() != State::Ended {
            self.link.flush_early(stream);
            self.link.fail(CloseReason::Removed);
        }
    }

    #[cold]
    fn call_failed(&mut self, error: io::Error, stream: &mut StreamIo<'_>) {
        if self.link.state() != State::Ended {
            self.link.flush_early(stream);
        }
        self.link.fail(CloseReason::Failed(error));
    }

    /// Writes what the kernel had no room for.
    fn flush_backlog<S>(&mut self, stream: &mut StreamIo<'_>, cx: &mut Context<'_, S>)
    where
        P: Protocol<S>,
    {
        if !self.link.is(Facts::BLOCKED) || !stream.is_writable() {
            return;
        }
        self.link.flush(stream);
        self.flush_gathered(stream, cx);
    }

    /// Writes what the callbacks of this call have written, and tells the protocol of the low mark.
    fn flush_gathered<S>(&mut self, stream: &mut StreamIo<'_>, cx: &mut Context<'_, S>)
    where
        P: Protocol<S>,
    {
        loop {
            // A write beyond the limit flushes, too, and may leave nothing to wait for.
            let has_fallen = self.link.fell_to_low_mark();
            if has_fallen && self.link.has_open_protocol() {
                self.call(stream, cx, |protocol, wire, cx| protocol.below_low_mark(wire, cx));
            }
            if !self.link.is(Facts::BLOCKED) {
                self.link.flush(stream);
            }
            let has_drained =
                self.link.is_open() && self.link.unsent(stream) == 0 && self.link.end_backlog();
            if has_drained && self.link.has_open_protocol() {
                self.call(stream, cx, |protocol, wire, cx| protocol.drained(wire, cx));
            }
            // What the protocol has written now is gathered, too.
            if !has_fallen && !has_drained {
                return;
            }
        }
    }

    /// Called after each event: reads if the connection reads, writes what was written meanwhile, moves
    /// the state on, and sets the interest.
    #[inline(never)]
    pub(super) fn advance<S>(
        &mut self,
        stream: &mut StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next>
    where
        S: 'static,
        P: Protocol<S>,
    {
        self.advance_ready(stream, cx)
    }

    /// As [`advance`](Self::advance), for the event that most are: input.
    #[inline(always)] // into `ready`: it is the short way
    fn advance_ready<S>(
        &mut self,
        stream: &mut StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next>
    where
        S: 'static,
        P: Protocol<S>,
    {
        if self.read(stream, cx) {
            self.link.flush_ordinary(stream);
            self.note_passed(stream, cx);
            if self.link.is_ordinary() && !stream.has_requested_deadline() {
                return Ok(stream.wait_for(Interest::READ));
            }
        }
        self.advance_rare(stream, cx)
    }

    /// As [`advance`](Self::advance), for all that is not ordinary.
    #[inline(never)]
    fn advance_rare<S>(
        &mut self,
        stream: &mut StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next>
    where
        S: 'static,
        P: Protocol<S>,
    {
        let next = self.advance_all(stream, cx);
        self.link.measure(stream);
        next
    }

    fn advance_all<S>(
        &mut self,
        stream: &mut StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next>
    where
        S: 'static,
        P: Protocol<S>,
    {
        if self.link.state() != State::Ended {
            self.flush_gathered(stream, cx);
        }
        if self.link.is(Facts::DETACHING) && self.link.is_open() && self.link.kept() == 0 {
            return self.hand_over(stream, cx);
        }
        if let Some(after) = stream.take_requested_deadline() {
            let at = after.and_then(|after| cx.now().checked_add(after));
            let _ = cx.set_deadline(stream.token(), at); // it may have been removed
        }
        self.note_passed(stream, cx);
        self.link.close_layer(stream);
        self.watch_output(stream, cx);
        self.finish_output(stream);
        self.move_on(stream, cx);
        if let Some(reason) = self.link.reason() {
            // With output that was not sent, the close is a reset anyway.
            if matches!(reason, CloseReason::Aborted) {
                stream.get_ref().note_owed(true);
            }
            stream.gathered_mut().clear();
            return Ok(Next::Remove);
        }
        self.link.count_buffered(stream);
        self.link.free_buffers();
        let mut interest = Interest::NONE;
        interest.set(Interest::READ, self.link.wants_to_read());
        interest.set(Interest::WRITE, self.link.kept() > 0);
        let waits_for_hangup = self.waits_for_nothing() && !self.link.is(Facts::HUNG_UP);
        interest.set(Interest::HANGUP, waits_for_hangup);
        Ok(stream.wait_for(interest))
    }

    /// Shuts our side of an open connection when all is sent, if the protocol has finished.
    fn finish_output(&mut self, stream: &StreamIo<'_>) {
        if !self.link.is_open() || !self.link.is(Facts::FINISHING) || self.link.kept() > 0 {
            return;
        }
        if !self.link.is(Facts::SHUT) {
            self.link.facts |= Facts::SHUT;
            // This fails if the peer has reset the connection.
            let _ = stream.get_ref().shutdown(Shutdown::Write);
        }
        if self.link.is(Facts::PEER_ENDED) {
            self.link.end(CloseReason::Finished);
        }
    }

    /// Moves the state of a closing connection on.
    fn move_on<S: 'static>(&mut self, stream: &StreamIo<'_>, cx: &mut Context<'_, S>) {
        let Options { close_within, linger, .. } = *self.link.options();
        if self.link.state() == State::Closing {
            let is_timed = self.link.is(Facts::CLOSE_DEADLINE);
            if self.link.kept() == 0 {
                // This fails if the peer has reset the connection.
                let _ = stream.get_ref().shutdown(Shutdown::Write);
                self.link.set_state(State::Lingering);
                if !self.link.is(Facts::PEER_ENDED) {
                    self.link.time = close_within.after(cx.now()).map(Moment::of);
                    self.set_deadline(linger, stream, cx);
                }
            } else if !is_timed {
                self.link.facts |= Facts::CLOSE_DEADLINE;
                self.link.begin_progress(stream.send_queue());
                self.set_deadline(close_within, stream, cx);
            }
        }
        if self.link.state() == State::Lingering
            && (self.link.is(Facts::PEER_ENDED) || self.link.has_discarded_enough())
        {
            self.link.end(CloseReason::Finished);
        }
    }

    /// Returns whether the connection neither reads nor writes: it is paused, or the peer has ended.
    fn waits_for_nothing(&self) -> bool {
        self.link.is_open() && !self.link.wants_to_read() && self.link.kept() == 0
    }

    /// Notices a reset while the connection neither reads nor writes. What is no error is the end of
    /// the stream, which comes after the data before it.
    fn notice_hangup(&mut self, stream: &StreamIo<'_>) {
        if stream.has_hung_up() && self.waits_for_nothing() {
            self.link.facts |= Facts::HUNG_UP;
            if let Some(error) = stream.get_ref().take_error() {
                self.link.fail(CloseReason::Failed(error));
            }
        }
    }
}

impl<F, S, P> Handler<F, S> for Connection<P>
where
    F: Borrow<Stream>,
    S: 'static,
    P: Protocol<S>,
{
    fn added(&mut self, source: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next> {
        let stream = &mut StreamIo::begin(source);
        self.begin_figures(stream, cx.now());
        self.begin_deadlines(stream, cx);
        if self.link.is(Facts::LAYERED) {
            // Input from before the filter is the peer's, and must not bypass the filter.
            let early = self.link.take_unread();
            self.begin_handshake(stream, cx);
            if !early.is_empty() {
                self.deliver_layered(&early, stream, cx);
            }
        } else {
            self.call(stream, cx, |protocol, wire, cx| protocol.opened(wire, cx));
        }
        self.link.share_options();
        self.advance(stream, cx)
    }

    fn ready(&mut self, source: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next> {
        let stream = &mut StreamIo::begin(source);
        if !self.link.is_ordinary() {
            self.notice_hangup(stream);
            self.flush_backlog(stream, cx);
        }
        self.advance_ready(stream, cx)
    }

    fn timed_out(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        let stream = &mut StreamIo::begin(source);
        if stream.is_handlers_deadline() {
            self.own_deadline_passed(stream, cx);
        } else if let Some(layer) = self.link.handshaking_layer() {
            layer.has_timed_out = true;
        } else if self.link.is_open() {
            self.call(stream, cx, |protocol, wire, cx| protocol.timed_out(wire, cx));
        }
        self.advance(stream, cx)
    }

    fn notified(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        let stream = &mut StreamIo::begin(source);
        if let Some(layer) = self.link.handshaking_layer() {
            layer.was_notified = true;
        } else if self.link.is_open() {
            self.call(stream, cx, |protocol, wire, cx| protocol.notified(wire, cx));
        }
        self.advance(stream, cx)
    }

    fn shutting_down(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        let stream = &mut StreamIo::begin(source);
        if self.link.is(Facts::HANDSHAKING) {
            self.link.close();
        } else if self.link.is_open() {
            self.call(stream, cx, |protocol, wire, cx| protocol.shutting_down(wire, cx));
        }
        self.advance(stream, cx)
    }

    fn removed(&mut self, token: Token, error: Option<&io::Error>, cx: &mut Context<'_, S>) {
        let reason = match error {
            Some(error) => CloseReason::Failed(clone_error(error)),
            None => self.link.take_reason().unwrap_or(CloseReason::Removed),
        };
        let figures = self.link.figures(token);
        self.protocol.closed(&Closed { reason, token: Some(token), figures }, cx);
    }
}
