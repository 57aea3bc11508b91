//! How a connection reads, and offers its input to the protocol.

use std::io::{self, Read};

use super::close_reason::CloseReason;
use super::connection::Connection;
use super::link::Facts;
use super::protocol::Protocol;
use super::stream_io::StreamIo;
use crate::reactor::Context;

impl<P> Connection<P> {
    /// Reads as long as there is input and the connection reads. Returns whether the connection is
    /// [ordinary](super::link::Link::is_ordinary) then.
    #[inline(always)] // into the short way
    pub(super) fn read<S: 'static>(
        &mut self,
        stream: &mut StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) -> bool
    where
        P: Protocol<S>,
    {
        loop {
            let is_ordinary = self.link.is_ordinary();
            if !is_ordinary {
                match self.before_read(stream, cx) {
                    Before::Read => {}
                    Before::Again => continue,
                    Before::Stop => return false,
                }
            }
            // A read is known to be in vain, or the budget is used up.
            if !stream.is_readable() || !self.read_once(is_ordinary, stream, cx) {
                return is_ordinary;
            }
        }
    }

    /// Does what comes before a read, and is rare. Returns whether the connection reads.
    #[inline(never)]
    fn before_read<S: 'static>(
        &mut self,
        stream: &mut StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) -> Before
    where
        P: Protocol<S>,
    {
        if !self.link.wants_to_read() {
            Before::Stop
        } else if self.link.has_deferred_input() && self.link.is_open() {
            self.offer_unread(stream, cx);
            Before::Again
        } else if self.link.is(Facts::LAYERED) && self.has_filter_ended() {
            if self.end_filter() {
                self.end(stream, cx);
            }
            Before::Stop
        } else {
            Before::Read
        }
    }

    /// Reads once, and delivers what was read. Returns false if there was nothing, or the budget is used
    /// up: nothing has changed then.
    #[inline(always)] // into the short way
    fn read_once<S: 'static>(
        &mut self,
        is_ordinary: bool,
        stream: &mut StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) -> bool
    where
        P: Protocol<S>,
    {
        let mut scratch = cx.take_scratch();
        let goes_on = match stream.read(&mut scratch) {
            Ok(count) if is_ordinary && count > 0 => {
                self.deliver_ordinary(&scratch[..count], stream, cx);
                true
            }
            Ok(count) => {
                self.deliver_rare(&scratch[..count], stream, cx);
                true
            }
            Err(error) => self.read_failed(error),
        };
        cx.return_scratch(scratch);
        goes_on
    }

    /// Handles the failure of a read. Returns false after `WouldBlock`.
    #[cold]
    fn read_failed(&mut self, error: io::Error) -> bool {
        match error.kind() {
            io::ErrorKind::WouldBlock => return false,
            io::ErrorKind::Interrupted => {}
            _ => self.link.fail(CloseReason::Failed(error)),
        }
        true
    }

    /// Offers data to the protocol of an ordinary connection, and keeps what it does not use.
    #[inline(always)] // into the short way
    fn deliver_ordinary<S>(
        &mut self,
        data: &[u8],
        stream: &mut StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) where
        P: Protocol<S>,
    {
        let answer = self.offer_once(data, stream, cx);
        if answer != Some(data.len()) {
            let offered = self.offer_on(data, answer, stream, cx);
            self.keep_rest(data, offered, stream);
        }
    }

    /// Delivers what was read: to the filter, or to the protocol. No data is the end.
    #[inline(never)]
    fn deliver_rare<S: 'static>(
        &mut self,
        data: &[u8],
        stream: &mut StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) where
        P: Protocol<S>,
    {
        if data.is_empty() {
            if self.end_filter() {
                self.end(stream, cx);
            }
        } else if self.link.is(Facts::LAYERED) {
            self.deliver_layered(data, stream, cx);
        } else {
            self.deliver(data, stream, cx);
        }
    }

    /// Offers data to the protocol, and keeps what it does not use.
    pub(super) fn deliver<S>(
        &mut self,
        data: &[u8],
        stream: &mut StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) where
        P: Protocol<S>,
    {
        if !self.link.is_open() {
            self.link.discard(data.len());
        } else if self.link.has_unread() {
            self.link.buffers_mut().unread.extend_from_slice(data);
            self.offer_unread(stream, cx);
        } else {
            let offered = self.offer(data, stream, cx);
            self.keep_rest(data, offered, stream);
        }
    }

    fn keep_rest(&mut self, data: &[u8], offered: Offered, stream: &StreamIo<'_>) {
        if offered.used < data.len() && self.link.is_open() {
            self.keep_unread(data[offered.used..].to_vec(), offered, stream);
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
            self.keep_unread(rest, offered, stream);
        }
    }

    fn keep_unread(&mut self, unread: Vec<u8>, offered: Offered, stream: &StreamIo<'_>) {
        if !self.link.is_open() {
            return;
        }
        let buffers = self.link.buffers_mut();
        buffers.unread = unread;
        buffers.has_deferred_input = offered.is_deferred;
        self.link.count_buffered(stream);
        if self.link.is_over_share() {
            self.link.fail(CloseReason::ListenerOverflow);
        }
    }

    /// Keeps input that has passed a filter during its handshake. The protocol is not open yet.
    pub(super) fn keep_early(&mut self, plain: &[u8], stream: &StreamIo<'_>) {
        if plain.is_empty() {
            return;
        }
        let mut unread = self.link.take_unread();
        unread.extend_from_slice(plain);
        if unread.len() > self.link.options().max_unused {
            self.link.fail(CloseReason::InputOverflow);
        }
        self.keep_unread(unread, Offered { used: 0, is_deferred: false }, stream);
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
        // Input that was read before the connection stopped reading waits, too.
        if !self.link.wants_to_read() {
            return Offered { used: 0, is_deferred: true };
        }
        let answer = self.offer_once(data, stream, cx);
        self.offer_on(data, answer, stream, cx)
    }

    /// Calls the protocol. Returns how much of the data it has used, and `None` after a failure.
    #[inline]
    fn offer_once<S>(
        &mut self,
        data: &[u8],
        stream: &mut StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) -> Option<usize>
    where
        P: Protocol<S>,
    {
        self.call(stream, cx, |protocol, wire, cx| protocol.received(wire, data, cx))
    }

    /// Goes on after data was offered once, and this was the answer.
    #[inline(never)]
    fn offer_on<S>(
        &mut self,
        data: &[u8],
        mut answer: Option<usize>,
        stream: &mut StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) -> Offered
    where
        P: Protocol<S>,
    {
        let mut used = 0;
        loop {
            match answer {
                None => return Offered { used, is_deferred: false },
                // Perhaps it uses more when the connection reads again.
                Some(0) if self.link.is_open() && !self.link.wants_to_read() => {
                    return Offered { used, is_deferred: true };
                }
                Some(0) => break,
                Some(count) => used += count.min(data.len() - used),
            }
            if used == data.len() {
                break;
            }
            // What is received after the protocol has closed the connection is discarded.
            if !self.link.is_open() {
                self.link.discard(data.len() - used);
                return Offered { used: data.len(), is_deferred: false };
            }
            if !self.link.wants_to_read() {
                return Offered { used, is_deferred: true };
            }
            answer = self.offer_once(&data[used..], stream, cx);
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
        self.link.facts |= Facts::PEER_ENDED;
        if self.link.is_open() {
            let rest = self.link.take_unread();
            self.call(stream, cx, |protocol, wire, cx| protocol.ended(wire, &rest, cx));
            if self.link.is_open() && self.link.is(Facts::DETACHING) {
                self.link.buffers_mut().unread = rest; // it goes with the stream
            }
        }
    }
}

/// What comes next, before a read.
#[derive(Debug, Clone, Copy)]
enum Before {
    Read,
    /// It must be asked again.
    Again,
    Stop,
}

/// What became of data that was offered to the protocol.
#[derive(Debug, Clone, Copy)]
struct Offered {
    used: usize,
    /// Whether the protocol must be called again for the rest when the connection reads again.
    is_deferred: bool,
}
