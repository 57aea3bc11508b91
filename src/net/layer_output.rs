//! How a connection writes through a filter.

use std::io;

use super::close_reason::CloseReason;
use super::layer::Layer;
use super::link::{Facts, Link, State};
use super::stream_io::StreamIo;

/// So much output is made ahead of the kernel.
const AHEAD: usize = 64 << 10;

impl Link {
    /// Returns the filter while its handshake is not over.
    pub(super) fn handshaking_layer(&mut self) -> Option<&mut Layer> {
        let is_handshaking = self.is_open() && self.is(Facts::HANDSHAKING);
        self.layer_mut().filter(|_| is_handshaking)
    }

    /// As [`flush`](Link::flush), through the filter.
    pub(super) fn flush_layered(&mut self, stream: &mut StreamIo<'_>) {
        let result = self.write_layered(stream, &[]);
        self.flushed(stream, result);
    }

    /// Writes what was gathered, what is kept and `data`, until the kernel takes no more. The rest is
    /// kept.
    pub(super) fn write_layered(
        &mut self,
        stream: &mut StreamIo<'_>,
        data: &[u8],
    ) -> io::Result<()> {
        let gathered = stream.take_gathered();
        let kept = &mut self.buffers_mut().write_buffer;
        if kept.is_empty() {
            kept.push(&gathered);
        } else {
            kept.push_front(&gathered);
        }
        kept.push(data);
        stream.return_gathered(gathered);
        let Link { rare: Some(rare), buffers: Some(buffers), send_queue, .. } = self else {
            return Ok(());
        };
        let Some(layer) = &mut rare.layer else { return Ok(()) };
        loop {
            while layer.output.len() < AHEAD && !buffers.write_buffer.is_empty() {
                buffers
                    .write_buffer
                    .take_piece(|bytes| layer.call(|filter, out| filter.send(bytes, out)))?;
            }
            let (has_written, result) = layer.output.flush(stream);
            if has_written {
                *send_queue = u32::MAX;
            }
            result?;
            if !layer.output.is_empty() || buffers.write_buffer.is_empty() {
                return Ok(());
            }
        }
    }

    /// Returns why the connection must end before the filter gets more input: its answers are not read.
    /// They come without a write of the protocol, which has the same limits.
    pub(super) fn has_answered_too_much(&self) -> Option<CloseReason> {
        let unsent = self.layer().map_or(0, |layer| layer.unsent_answers());
        if unsent > self.options().marks.limit {
            Some(CloseReason::OutputOverflow)
        } else if unsent > 0 && self.is_over_share() {
            Some(CloseReason::ListenerOverflow)
        } else {
            None
        }
    }

    /// Lets the filter end our side, when the protocol has ended it and all is sent.
    pub(super) fn close_layer(&mut self, stream: &mut StreamIo<'_>) {
        let is_ending = self.state() == State::Closing || self.is(Facts::FINISHING);
        let has_sent = self.kept() == 0;
        let Some(layer) = self.layer_mut() else { return };
        if !is_ending || !has_sent || layer.is_closed {
            return;
        }
        layer.is_closed = true;
        match layer.call(|filter, out| filter.close(out)) {
            Ok(()) => self.flush(stream),
            Err(error) => self.fail(CloseReason::Failed(error)),
        }
    }
}
