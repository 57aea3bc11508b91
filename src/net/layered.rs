//! How a connection runs its protocol over a filter.

use std::io;

use super::close_reason::CloseReason;
use super::connection::Connection;
use super::link::Facts;
use super::protocol::Protocol;
use super::stream_io::StreamIo;
use crate::reactor::Context;

impl<P> Connection<P> {
    /// Begins the handshake. The protocol is opened when it is over.
    pub(super) fn begin_handshake<S: 'static>(
        &mut self,
        stream: &mut StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) where
        P: Protocol<S>,
    {
        let limit = self.link.options().handshake_timeout;
        self.link.facts |= Facts::HANDSHAKING;
        let Some(layer) = self.link.layer_mut() else { return };
        layer.handshake_until = limit.after(cx.now());
        let started = layer.call(|filter, out| filter.start(out));
        self.after_filter(started, stream, cx);
        self.set_next_deadline(stream, cx);
    }

    /// Passes input through the filter.
    pub(super) fn deliver_layered<S: 'static>(
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
        let mut plain = Vec::new();
        if let Some(reason) = self.link.has_answered_too_much() {
            return self.link.fail(reason);
        }
        let Some(layer) = self.link.layer_mut() else { return };
        let received = layer.receive(|filter, out| filter.received(data, &mut plain, out));
        self.after_filter(received, stream, cx);
        if self.link.handshaking_layer().is_some() {
            self.keep_early(&plain, stream);
        } else if !plain.is_empty() {
            self.deliver(&plain, stream, cx);
        }
    }

    /// Sends what the filter has to say, ends the connection if it has failed, and opens the protocol if
    /// the handshake is over.
    fn after_filter<S: 'static>(
        &mut self,
        result: io::Result<()>,
        stream: &mut StreamIo<'_>,
        cx: &mut Context<'_, S>,
    ) where
        P: Protocol<S>,
    {
        if !self.link.is(Facts::BLOCKED) && self.link.kept() > 0 {
            self.link.flush(stream);
        }
        if let Err(error) = result {
            self.link.fail(CloseReason::Failed(error));
            return;
        }
        let is_handshaking = self.link.is(Facts::HANDSHAKING);
        let Some(layer) = self.link.layer_mut() else { return };
        if !is_handshaking || layer.filter.is_handshaking() {
            return;
        }
        layer.handshake_until = None;
        let (was_notified, has_timed_out) = (layer.was_notified, layer.has_timed_out);
        self.link.facts.remove(Facts::HANDSHAKING);
        self.call(stream, cx, |protocol, wire, cx| protocol.opened(wire, cx));
        self.link.share_options();
        self.link.defer_unread(); // what has passed the filter before
        cx.release(stream.token());
        if was_notified && self.link.is_open() {
            self.call(stream, cx, |protocol, wire, cx| protocol.notified(wire, cx));
        }
        if has_timed_out && self.link.is_open() {
            self.call(stream, cx, |protocol, wire, cx| protocol.timed_out(wire, cx));
        }
    }

    /// Returns whether the peer has ended its side by a message, of which the protocol was not told.
    pub(super) fn has_filter_ended(&self) -> bool {
        let layer = self.link.layer();
        layer.is_some_and(|layer| layer.filter.has_peer_closed()) && self.link.is_open()
    }

    /// Tells the filter that the stream has ended, if the peer has not said so. Returns false if the
    /// connection has failed.
    pub(super) fn end_filter(&mut self) -> bool {
        let (is_open, is_handshaking) = (self.link.is_open(), self.link.is(Facts::HANDSHAKING));
        let Some(layer) = self.link.layer_mut().filter(|_| is_open) else { return true };
        let ended = if layer.filter.has_peer_closed() { Ok(()) } else { layer.filter.ended() };
        let ended = match ended {
            Ok(()) if is_handshaking => {
                let message = "the peer has ended the connection during the handshake";
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, message))
            }
            ended => ended,
        };
        match ended {
            Ok(()) => true,
            Err(error) => {
                self.link.fail(CloseReason::Failed(error));
                false
            }
        }
    }
}
