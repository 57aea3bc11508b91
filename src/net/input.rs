//! How a connection reads, and offers its input to the protocol.

use std::io::{self, Read};

use super::close_reason::CloseReason;
use super::connection::Connection;
use super::link::Facts;
use super::protocol::Protocol;
use super::stream_io::StreamIo;
use crate::reactor::Context;

impl<P> Connection<P> {
    /// Reads as long as there is input and the connection reads.
    pub(super) fn read<S: 'static>(&mut self, stream: &mut StreamIo<'_>, cx: &mut Context<'_, S>)
    where
        P: Protocol<S>,
    {
        while self.link.wants_to_read() {
            if self.link.has_deferred_input() && self.link.is_open() {
                self.offer_unread(stream, cx);
                continue;
            }
            if self.link.is(Facts::LAYERED) && self.has_filter_ended() {
                if self.end_filter() {
                    self.end(stream, cx);
                }
                return;
            }
            if !stream.is_readable() {
                return; // known in vain
            }
            let mut scratch = cx.take_scratch();
            let result = stream.read(&mut scratch);
            match result {
                Ok(0) if self.end_filter() => self.end(stream, cx),
                Ok(0) => {}
                Ok(count) if self.link.is(Facts::LAYERED) => {
                    self.deliver_layered(&scratch[..count], stream, cx);
                }
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
            return;
        }
        if self.link.has_unread() {
            self.link.buffers_mut().unread.extend_from_slice(data);
            self.offer_unread(stream, cx);
        } else {
            let offered = self.offer(data, stream, cx);
            if offered.used < data.len() {
                self.keep_unread(data[offered.used..].to_vec(), offered, stream);
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

/// What became of data that was offered to the protocol.
#[derive(Debug, Clone, Copy)]
struct Offered {
    used: usize,
    /// Whether the protocol must be called again for the rest when the connection reads again.
    is_deferred: bool,
}
