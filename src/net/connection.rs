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
//! watermark; and after it was closed, because a peer that is still sending does not read the
//! answer.

use std::borrow::Borrow;
use std::io::{self, Read};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use super::close_reason::{CloseReason, clone_error};
use super::link::{Link, Options, State};
use super::protocol::Protocol;
use super::stream::Stream;
use super::watermarks::Watermarks;
use super::wire::{StreamIo, Wire};
use crate::reactor::{Context, Handler, Next, Source};
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
///     fn closed(&mut self, _: &tripoll::net::CloseReason, cx: &mut Context) {
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
#[derive(Debug)]
pub struct Connection<P> {
    protocol: P,
    link: Link,
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
        self.link.options_mut().close_within = time;
        self
    }

    /// Sets how long a closed connection waits for the peer to finish, after its output was
    /// flushed: see [`Wire::close`]. While the kernel still holds some of the output, it waits longer,
    /// for [`close_within`](Self::close_within) at most. Zero does not wait. Default: 1 s.
    pub fn linger(mut self, time: Duration) -> Self {
        self.link.options_mut().linger = time;
        self
    }

    /// Adds the stream to the reactor, with this handler.
    ///
    /// # Errors
    ///
    /// Fails when the selector cannot watch the stream.
    pub fn serve<S: 'static>(self, stream: Stream, cx: &mut Context<'_, S>) -> io::Result<Token>
    where
        P: Protocol<S> + 'static,
    {
        Ok(cx.add_raw(stream, Interest::READ, self)?)
    }

    /// Calls the protocol.
    fn call<S, T>(
        &mut self,
        stream: &mut StreamIo<'_>,
        cx: &mut Context<'_, S>,
        call: impl FnOnce(&mut P, &mut Wire<'_>, &mut Context<'_, S>) -> io::Result<T>,
    ) -> Option<T> {
        let mut wire = Wire { stream: stream.reborrow(), link: &mut self.link };
        match call(&mut self.protocol, &mut wire, cx) {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.link.fail(CloseReason::Failed(error));
                None
            }
        }
    }

    /// Reads as long as there is input and the connection reads.
    fn read<S: 'static>(&mut self, stream: &mut StreamIo<'_>, cx: &mut Context<'_, S>)
    where
        P: Protocol<S>,
    {
        while self.link.wants_to_read() {
            if self.link.has_deferred_input() && self.link.is_open() {
                self.offer_unread(stream, cx);
                continue;
            }
            let mut scratch = cx.take_scratch();
            let result = stream.read(&mut scratch);
            match result {
                Ok(0) => self.end(stream, cx),
                Ok(count) => self.deliver(&scratch[..count], stream, cx),
                Err(_) => {}
            }
            cx.return_scratch(scratch);
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.link.fail(CloseReason::Failed(error)),
                Ok(_) => {}
            }
        }
    }

    /// Offers data to the protocol, and keeps what it does not use.
    fn deliver<S>(&mut self, data: &[u8], stream: &mut StreamIo<'_>, cx: &mut Context<'_, S>)
    where
        P: Protocol<S>,
    {
        if !self.link.is_open() {
            self.link.discard(data.len());
            return;
        }
        if self.link.has_unread() {
            self.link.buffers_mut().unread.extend_from_slice(data);
            self.offer_unread(stream, cx);
        } else {
            let offered = self.offer(data, stream, cx);
            if offered.used < data.len() {
                self.keep_unread(data[offered.used..].to_vec(), offered);
            }
        }
    }

    /// Offers the unread input.
    fn offer_unread<S>(&mut self, stream: &mut StreamIo<'_>, cx: &mut Context<'_, S>)
    where
        P: Protocol<S>,
    {
        let unread = self.link.take_unread();
        let offered = self.offer(&unread, stream, cx);
        // A long message comes in many pieces, and is not copied for each of them.
        let rest = if offered.used == 0 { unread } else { unread[offered.used..].to_vec() };
        if !rest.is_empty() {
            self.keep_unread(rest, offered);
        }
    }

    fn keep_unread(&mut self, unread: Vec<u8>, offered: Offered) {
        let buffers = self.link.buffers_mut();
        buffers.unread = unread;
        buffers.has_deferred_input = offered.is_deferred;
    }

    /// Offers data as long as some of it is used, and the connection reads.
    fn offer<S>(
        &mut self,
        data: &[u8],
        stream: &mut StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) -> Offered
    where
        P: Protocol<S>,
    {
        let mut used = 0;
        while used < data.len() {
            // What is received after the protocol has closed the connection is discarded.
            if !self.link.is_open() {
                self.link.discard(data.len() - used);
                return Offered { used: data.len(), is_deferred: false };
            }
            // Input that was read before the connection stopped reading waits, too.
            if !self.link.wants_to_read() {
                return Offered { used, is_deferred: true };
            }
            let rest = &data[used..];
            match self.call(stream, cx, |protocol, wire, cx| protocol.received(wire, rest, cx)) {
                None => return Offered { used, is_deferred: false },
                // Perhaps it uses more when the connection reads again.
                Some(0) if self.link.is_open() && !self.link.wants_to_read() => {
                    return Offered { used, is_deferred: true };
                }
                Some(0) => break,
                Some(count) => used += count.min(rest.len()),
            }
        }
        if self.link.is_open() && data.len() - used > self.link.options().max_unused {
            self.link.fail(CloseReason::InputOverflow);
        }
        Offered { used, is_deferred: false }
    }

    /// Handles the end of the stream.
    fn end<S>(&mut self, stream: &mut StreamIo<'_>, cx: &mut Context<'_, S>)
    where
        P: Protocol<S>,
    {
        self.link.has_peer_ended = true;
        if self.link.is_open() {
            let rest = self.link.take_unread();
            self.call(stream, cx, |protocol, wire, cx| protocol.ended(wire, &rest, cx));
        }
    }

    /// Flushes the write buffer.
    fn flush<S>(&mut self, stream: &mut StreamIo<'_>, cx: &mut Context<'_, S>)
    where
        P: Protocol<S>,
    {
        if self.link.unsent() == 0 || !stream.is_writable() {
            return;
        }
        let was_over_high_mark = self.link.is_over_high_mark;
        self.link.flush(stream);
        if self.link.is_open() && was_over_high_mark && !self.link.is_over_high_mark {
            self.call(stream, cx, |protocol, wire, cx| protocol.below_low_mark(wire, cx));
        }
        if self.link.is_open() && self.link.unsent() == 0 && self.link.has_backlog {
            self.link.has_backlog = false;
            self.call(stream, cx, |protocol, wire, cx| protocol.drained(wire, cx));
        }
    }

    /// Sets the connection's own deadline.
    fn set_deadline<S: 'static>(
        &self,
        after: Duration,
        stream: &StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) {
        cx.set_handlers_deadline(stream.token(), Instant::now().checked_add(after));
    }

    /// Handles the connection's own deadline.
    fn own_deadline_passed<S: 'static>(&mut self, stream: &StreamIo<'_>, cx: &mut Context<'_, S>) {
        let Options { close_within, linger, .. } = *self.link.options();
        match self.link.state {
            // The peer has finished reading, or has had its time. What is left, the kernel delivers
            // alone, unless the peer sends.
            State::Lingering { until } => {
                let may_wait =
                    !linger.is_zero() && until.is_none_or(|until| Instant::now() < until);
                if may_wait && stream.send_queue() > 0 {
                    self.set_deadline(linger.max(SHORTEST_LINGER), stream, cx);
                } else {
                    self.link.state = State::Ended(CloseReason::Finished);
                }
            }
            State::Closing { .. } => {
                if self.link.has_progressed(stream.send_queue()) {
                    self.set_deadline(close_within, stream, cx); // the peer is slow, but it reads
                } else {
                    self.link.fail(CloseReason::CloseTimedOut);
                }
            }
            State::Open | State::Ended(_) => {}
        }
    }

    /// Called after each event: reads if the connection reads, moves the state on, and sets the
    /// interest.
    fn advance<S>(&mut self, stream: &mut StreamIo<'_>, cx: &mut Context<'_, S>) -> io::Result<Next>
    where
        S: 'static,
        P: Protocol<S>,
    {
        self.read(stream, cx);
        if let State::Closing { is_timed } = self.link.state {
            if self.link.unsent() == 0 {
                // This fails if the peer has reset the connection.
                let _ = stream.get_ref().shutdown(Shutdown::Write);
                if is_timed {
                    stream.get_ref().deliver_on_close();
                }
                let Options { close_within, linger, .. } = *self.link.options();
                let until = Instant::now().checked_add(close_within);
                self.link.state = State::Lingering { until };
                self.set_deadline(linger, stream, cx);
            } else if !is_timed {
                self.link.state = State::Closing { is_timed: true };
                self.link.begin_progress(stream.send_queue());
                // Should the reactor be dropped now, a plain close would hide that data is missing.
                stream.get_ref().reset_on_close();
                self.set_deadline(self.link.options().close_within, stream, cx);
            }
        }
        if let State::Lingering { .. } = self.link.state
            && (self.link.has_peer_ended || self.link.has_discarded_enough())
        {
            self.link.state = State::Ended(CloseReason::Finished);
        }
        if let State::Ended(reason) = &self.link.state {
            let is_incomplete = match reason {
                CloseReason::Finished => false,
                CloseReason::Aborted => true,
                _ => self.link.has_backlog,
            };
            if is_incomplete {
                stream.get_ref().reset_on_close(); // a plain close would hide that data is missing
            }
            return Ok(Next::Remove);
        }
        self.link.free_buffers();
        let mut interest = Interest::NONE;
        interest.set(Interest::READ, self.link.wants_to_read());
        interest.set(Interest::WRITE, self.link.unsent() > 0);
        stream.set_interest(interest);
        Ok(Next::Keep)
    }
}

/// How often a connection that lingers longer looks whether the peer has read its output, at most.
const SHORTEST_LINGER: Duration = Duration::from_millis(100);

/// What became of data that was offered to the protocol.
#[derive(Debug, Clone, Copy)]
struct Offered {
    used: usize,
    /// Whether the protocol must be called again for the rest when the connection reads again.
    is_deferred: bool,
}

impl<F, S, P> Handler<F, S> for Connection<P>
where
    F: Borrow<Stream>,
    S: 'static,
    P: Protocol<S>,
{
    fn added(&mut self, source: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next> {
        let stream = &mut StreamIo::of(source);
        self.call(stream, cx, |protocol, wire, cx| protocol.opened(wire, cx));
        self.advance(stream, cx)
    }

    fn ready(&mut self, source: &mut Source<'_, F>, cx: &mut Context<'_, S>) -> io::Result<Next> {
        let stream = &mut StreamIo::of(source);
        self.flush(stream, cx);
        self.advance(stream, cx)
    }

    fn timed_out(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        let stream = &mut StreamIo::of(source);
        if stream.is_handlers_deadline() {
            self.own_deadline_passed(stream, cx);
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
        let stream = &mut StreamIo::of(source);
        if self.link.is_open() {
            self.call(stream, cx, |protocol, wire, cx| protocol.notified(wire, cx));
        }
        self.advance(stream, cx)
    }

    fn shutting_down(
        &mut self,
        source: &mut Source<'_, F>,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Next> {
        let stream = &mut StreamIo::of(source);
        if self.link.is_open() {
            self.call(stream, cx, |protocol, wire, cx| protocol.shutting_down(wire, cx));
        }
        self.advance(stream, cx)
    }

    fn removed(&mut self, _: Token, error: Option<&io::Error>, cx: &mut Context<'_, S>) {
        let why = match (error, std::mem::replace(&mut self.link.state, State::Open)) {
            (Some(error), _) => CloseReason::Failed(clone_error(error)),
            (None, State::Ended(why)) => why,
            (None, _) => CloseReason::Removed,
        };
        self.protocol.closed(&why, cx);
    }
}
