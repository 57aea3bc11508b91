//! A connection: the handler between a socket and a [`Protocol`].
//!
//! ```text
//!              Wire::close, or the peer ended         all is sent:
//!   ┌──────┐        and so did we     ┌─────────┐    our side is shut    ┌───────────┐
//!   │ OPEN │ ───────────────────────► │ CLOSING │ ─────────────────────► │ LINGERING │ ─► removed
//!   └──────┘                          └─────────┘   (the peer ended too? └───────────┘
//!   reads, writes                     writes,         removed at once)    reads and discards,
//!                                     reads and discards                  until EOF or a second
//! ```
//!
//! The interest follows from the state and is set nowhere else: WRITE exactly while something is
//! kept to be sent; READ while the connection is open, not paused, and not above its watermark, and
//! when it is not open any more: a peer that is not done with its question does not read the answer.

use std::borrow::Borrow;
use std::io::{self, Read};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use super::close_reason::{CloseReason, clone_error};
use super::protocol::Protocol;
use super::stream::Stream;
use super::wire::{Link, MAX_DISCARDED, State, StreamIo, Watermarks, Wire};
use super::write_buffer::WriteBuffer;
use crate::reactor::{Context, Handler, Next, Source};
use crate::selector::{Interest, Token};

/// A handler that drives a [`Protocol`] on a [`Stream`].
#[derive(Debug)]
pub struct Connection<P> {
    protocol: P,
    link: Link,
    /// What the protocol has not used up.
    unread: Vec<u8>,
    /// Whether the protocol could use more of it, and is not asked because it is paused or choked.
    has_deferred_input: bool,
    max_unused: usize,
    /// Why it is to be removed, once that is so.
    end: Option<CloseReason>,
}

impl<P> Connection<P> {
    /// A connection that speaks `protocol`.
    pub fn new(protocol: P) -> Self {
        Connection {
            protocol,
            link: Link {
                state: State::Open,
                write_buffer: WriteBuffer::default(),
                marks: Watermarks::default(),
                is_paused: false,
                is_over_high_mark: false,
                has_peer_ended: false,
                has_backlog: false,
                discarded: 0,
                close_within: Duration::from_secs(30),
                linger: Duration::from_secs(1),
            },
            unread: Vec::new(),
            has_deferred_input: false,
            max_unused: 1 << 20,
            end: None,
        }
    }

    /// How much may be kept for a peer that does not read.
    pub fn watermarks(mut self, marks: Watermarks) -> Self {
        self.link.marks = marks;
        self
    }

    /// How many received bytes the protocol may leave unused before the connection is closed, with
    /// an error of kind `InvalidData`. 1 MiB if not said.
    pub fn max_unused(mut self, most: usize) -> Self {
        self.max_unused = most;
        self
    }

    /// How long a peer that is owed something may read nothing of it once the connection is being
    /// closed. 30 s if not said. Then it is reset.
    pub fn close_within(mut self, time: Duration) -> Self {
        self.link.close_within = time;
        self
    }

    /// How long a closed connection that owes nothing waits for the peer to finish too; see
    /// [`Wire::close`]. A second if not said.
    pub fn linger(mut self, time: Duration) -> Self {
        self.link.linger = time;
        self
    }

    /// Speaks on `stream` from now on.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to watch it.
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

    /// Reads as long as there is something and it is wanted.
    fn read<S: 'static>(&mut self, stream: &mut StreamIo<'_>, cx: &mut Context<'_, S>)
    where
        P: Protocol<S>,
    {
        while self.link.wants_to_read() {
            if self.has_deferred_input && self.link.is_open() {
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

    /// Hands data to the protocol, and keeps what it leaves.
    fn deliver<S>(&mut self, data: &[u8], stream: &mut StreamIo<'_>, cx: &mut Context<'_, S>)
    where
        P: Protocol<S>,
    {
        if !self.link.is_open() {
            self.link.discarded += data.len();
            return;
        }
        if self.unread.is_empty() {
            let used = self.offer(data, stream, cx);
            self.unread = data[used..].to_vec();
        } else {
            self.unread.extend_from_slice(data);
            self.offer_unread(stream, cx);
        }
    }

    /// Offers what was kept.
    fn offer_unread<S>(&mut self, stream: &mut StreamIo<'_>, cx: &mut Context<'_, S>)
    where
        P: Protocol<S>,
    {
        let unread = std::mem::take(&mut self.unread);
        let used = self.offer(&unread, stream, cx);
        // A long message comes in many pieces, and is not copied for each of them.
        self.unread = if used == 0 { unread } else { unread[used..].to_vec() };
    }

    /// Offers data as long as some of it is used up, and the protocol may be asked. Returns how much
    /// was used up.
    fn offer<S>(&mut self, data: &[u8], stream: &mut StreamIo<'_>, cx: &mut Context<'_, S>) -> usize
    where
        P: Protocol<S>,
    {
        let mut used = 0;
        self.has_deferred_input = false;
        while used < data.len() {
            // What comes after the protocol has closed is nobody's any more.
            if !self.link.is_open() {
                self.link.discarded += data.len() - used;
                return data.len();
            }
            // What was read before it was paused, or had too much to send, waits as what was not.
            if !self.link.wants_to_read() {
                self.has_deferred_input = true;
                return used;
            }
            let rest = &data[used..];
            match self.call(stream, cx, |protocol, wire, cx| protocol.received(wire, rest, cx)) {
                None | Some(0) => break,
                Some(count) => used += count.min(rest.len()),
            }
        }
        if self.link.is_open() && data.len() - used > self.max_unused {
            self.link.fail(CloseReason::InputOverflow);
        }
        used
    }

    /// The peer has finished.
    fn end<S>(&mut self, stream: &mut StreamIo<'_>, cx: &mut Context<'_, S>)
    where
        P: Protocol<S>,
    {
        self.link.has_peer_ended = true;
        if self.link.is_open() {
            let rest = std::mem::take(&mut self.unread);
            self.call(stream, cx, |protocol, wire, cx| protocol.ended(wire, &rest, cx));
        }
    }

    /// Writes what is kept.
    fn flush<S>(&mut self, stream: &mut StreamIo<'_>, cx: &mut Context<'_, S>)
    where
        P: Protocol<S>,
    {
        if self.link.write_buffer.is_empty() || !stream.is_writable() {
            return;
        }
        let was_over_high_mark = self.link.is_over_high_mark;
        self.link.flush(stream);
        if self.link.is_open() && was_over_high_mark && !self.link.is_over_high_mark {
            self.call(stream, cx, |protocol, wire, cx| protocol.below_low_mark(wire, cx));
        }
        if self.link.is_open() && self.link.write_buffer.is_empty() && self.link.has_backlog {
            self.link.has_backlog = false;
            self.call(stream, cx, |protocol, wire, cx| protocol.drained(wire, cx));
        }
    }

    /// After whatever has happened: reads if that is wanted (again), and says what comes next, and
    /// what is wanted for it.
    fn advance<S>(&mut self, stream: &mut StreamIo<'_>, cx: &mut Context<'_, S>) -> io::Result<Next>
    where
        S: 'static,
        P: Protocol<S>,
    {
        self.read(stream, cx);
        if let State::Closing { unsent } = &mut self.link.state {
            if self.link.write_buffer.is_empty() {
                // The peer may be gone; then there is nobody to tell.
                let _ = stream.get_ref().shutdown(Shutdown::Write);
                if unsent.is_some() {
                    stream.get_ref().deliver_on_close();
                }
                self.link.state = State::Lingering;
                cx.set_deadline(stream.token(), Some(Instant::now() + self.link.linger))?;
            } else if unsent.is_none() {
                *unsent = Some(self.link.write_buffer.len());
                // Should the reactor go away meanwhile: a plain close would look as if this were all.
                stream.get_ref().reset_on_close();
                cx.set_deadline(stream.token(), Some(Instant::now() + self.link.close_within))?;
            }
        }
        match std::mem::replace(&mut self.link.state, State::Open) {
            State::Failed(reason) => {
                if self.link.has_backlog {
                    // A plain close would look as if what was sent were all.
                    stream.get_ref().reset_on_close();
                }
                return Ok(self.finish(reason));
            }
            State::Aborted => {
                stream.get_ref().reset_on_close();
                return Ok(self.finish(CloseReason::Aborted));
            }
            State::Lingering if self.link.has_peer_ended || self.link.discarded > MAX_DISCARDED => {
                return Ok(self.finish(CloseReason::Finished));
            }
            state => self.link.state = state,
        }
        let mut interest = Interest::NONE;
        interest.set(Interest::READ, self.link.wants_to_read());
        interest.set(Interest::WRITE, !self.link.write_buffer.is_empty());
        stream.set_interest(interest);
        Ok(Next::Keep)
    }

    fn finish(&mut self, why: CloseReason) -> Next {
        self.end = Some(why);
        Next::Remove
    }
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
        match self.link.state {
            State::Lingering => return Ok(self.finish(CloseReason::Finished)),
            // Slow is not dead.
            State::Closing { unsent: Some(before) } if self.link.unsent() < before => {
                self.link.state = State::Closing { unsent: None };
            }
            State::Closing { .. } => self.link.fail(CloseReason::CloseTimedOut),
            _ => {
                self.call(stream, cx, |protocol, wire, cx| protocol.timed_out(wire, cx));
            }
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
        let why = match (self.end.take(), error) {
            (Some(why), _) => why,
            (None, Some(error)) => CloseReason::Failed(clone_error(error)),
            (None, None) => CloseReason::Removed,
        };
        self.protocol.closed(&why, cx);
    }
}
