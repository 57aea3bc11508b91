//! A filter and its output, as a connection keeps them.

use std::time::Instant;
use std::{fmt, io};

use super::filter::Filter;
use super::write_buffer::WriteBuffer;

/// A filter and its output.
pub(super) struct Layer {
    pub(super) filter: Box<dyn Filter + Send>,
    /// What the filter has made, and the kernel has not taken.
    pub(super) output: WriteBuffer,
    /// How many bytes the filter has answered since the output was last empty.
    answered: usize,
    /// When the handshake must be over.
    pub(super) handshake_until: Option<Instant>,
    /// What the protocol is told when the handshake is over.
    pub(super) was_notified: bool,
    pub(super) has_timed_out: bool,
    /// Whether the filter has ended our side.
    pub(super) is_closed: bool,
}

impl Layer {
    pub(super) fn new(filter: Box<dyn Filter + Send>) -> Self {
        Layer {
            filter,
            output: WriteBuffer::default(),
            answered: 0,
            handshake_until: None,
            was_notified: false,
            has_timed_out: false,
            is_closed: false,
        }
    }

    /// Calls the filter, and keeps what it appends to its output.
    pub(super) fn call(
        &mut self,
        call: impl FnOnce(&mut dyn Filter, &mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut out = Vec::new();
        let result = call(&mut *self.filter, &mut out);
        self.output.push_chunk(out.into());
        result
    }

    /// As [`call`](Self::call), with input of the peer. The output is the filter's own then.
    pub(super) fn receive(
        &mut self,
        call: impl FnOnce(&mut dyn Filter, &mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.answered = self.unsent_answers();
        let before = self.output.len();
        let result = self.call(call);
        self.answered += self.output.len() - before;
        result
    }

    /// Returns how many bytes the filter has answered that the kernel has perhaps not taken.
    pub(super) fn unsent_answers(&self) -> usize {
        if self.output.is_empty() { 0 } else { self.answered }
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("output", &self.output).finish_non_exhaustive()
    }
}
