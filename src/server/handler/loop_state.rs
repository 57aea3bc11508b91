//! What a client in the loop has received, what is to be sent to it, and how far its conversation is.

use std::mem;
use std::time::Duration;

/// Why a handler in the loop is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Input was received.
    Input,
    /// The client sends no more, and a part of the input is not used up. This is the last call.
    Ended,
    /// The [timeout](crate::server::LoopExchange::set_timeout) has expired.
    Timeout,
}

/// How far a conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    New,
    /// `setup` was called, or is being called.
    Open,
    /// The handler has called `close`, and may still be running.
    Closing,
    /// `finish` was called, or `setup` has failed. The handler is not called any more.
    Finished,
    /// A part of the last output is still to be sent.
    Flushing,
    /// The connection is closed, and the request shut down.
    Closed,
}

/// The state of a client in the loop. There may be very many clients, so it is small.
#[doc(hidden)]
#[derive(Debug)]
pub struct LoopState {
    /// What was received. The first `used` bytes are used up.
    input: Vec<u8>,
    used: u32,
    is_input_deferred: bool,
    /// Whether the handler has failed.
    pub(super) has_failed: bool,
    pub(super) cause: Cause,
    pub(super) phase: Phase,
    /// `None` while there is nothing to do.
    pending: Option<Box<PendingActions>>,
}

/// What is left to do after a call of the handler.
#[derive(Debug, Default)]
pub(in crate::server) struct PendingActions {
    /// What is to be sent.
    pub(in crate::server) output: Vec<u8>,
    /// The timeout that the handler has set. `Some(None)` if it has removed the timeout.
    pub(in crate::server) timeout: Option<Option<Duration>>,
}

impl LoopState {
    pub(super) fn new() -> Self {
        LoopState {
            input: Vec::new(),
            used: 0,
            is_input_deferred: false,
            has_failed: false,
            cause: Cause::Input,
            phase: Phase::New,
            pending: None,
        }
    }

    pub(in crate::server) fn input(&self) -> &[u8] {
        &self.input[self.used as usize..]
    }

    pub(in crate::server) fn add_input(&mut self, data: &[u8]) {
        self.input.extend_from_slice(data);
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.used += count.min(self.input().len()) as u32; // the input is limited
    }

    /// Uses up at most `size` bytes of the input, and returns them. All of it is returned in its own
    /// buffer, without a copy.
    pub(super) fn take_input(&mut self, size: usize) -> Vec<u8> {
        if self.used == 0 && size >= self.input.len() {
            return mem::take(&mut self.input);
        }
        let data = self.input()[..size.min(self.input().len())].to_vec();
        self.consume(data.len());
        data
    }

    /// Frees what was used up. It moves fewer bytes than it frees, and a short rest does not keep the
    /// memory of a long input.
    pub(super) fn free_used(&mut self) {
        let used = self.used as usize;
        if used == self.input.len() {
            self.free_input();
        } else if used > self.input.len() / 2 {
            self.input.drain(..used);
            self.input.shrink_to_fit();
            self.used = 0;
        }
    }

    pub(super) fn free_input(&mut self) {
        (self.input, self.used) = (Vec::new(), 0);
    }

    /// Returns whether the handler must be called again for the input when the peer is read from
    /// again.
    pub(in crate::server) fn is_input_deferred(&self) -> bool {
        self.is_input_deferred
    }

    pub(in crate::server) fn set_input_deferred(&mut self, is_deferred: bool) {
        self.is_input_deferred = is_deferred;
    }

    /// Adds to the output.
    pub(super) fn send(&mut self, data: &[u8]) {
        if !data.is_empty() {
            self.pending.get_or_insert_default().output.extend_from_slice(data);
        }
    }

    pub(super) fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.pending.get_or_insert_default().timeout = Some(timeout);
    }

    pub(in crate::server) fn take_pending(&mut self) -> PendingActions {
        self.pending.take().map(|pending| *pending).unwrap_or_default()
    }

    /// Returns whether the conversation is over. What is left to send is the last then.
    pub(in crate::server) fn is_finished(&self) -> bool {
        self.phase >= Phase::Finished
    }

    /// Returns whether a part of the last output is still to be sent.
    pub(in crate::server) fn is_flushing(&self) -> bool {
        self.phase == Phase::Flushing
    }

    /// Notes that a part of the last output is still to be sent. Returns whether that is new.
    pub(in crate::server) fn begin_flush(&mut self) -> bool {
        mem::replace(&mut self.phase, Phase::Flushing) != Phase::Flushing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_rest_does_not_keep_the_memory_of_a_long_input() {
        let mut state = LoopState::new();
        state.add_input(&[1; 65_536]);
        state.consume(65_526);
        state.add_input(&[2; 10]);
        state.free_used();
        assert_eq!(state.input(), [[1; 10], [2; 10]].concat());
        assert!(state.input.capacity() < 1_024, "{} bytes", state.input.capacity());
        state.consume(usize::MAX);
        state.free_used();
        assert_eq!((state.input(), state.input.capacity()), (&[][..], 0));
    }

    #[test]
    fn all_input_is_taken_in_its_own_buffer_and_a_part_is_copied() {
        let mut state = LoopState::new();
        state.add_input(b"abcdef");
        assert_eq!(state.take_input(2), b"ab");
        assert_eq!(state.take_input(usize::MAX), b"cdef");
        assert_eq!(state.take_input(usize::MAX), b"");
        state.free_used();
        state.add_input(b"ghi");
        let place = state.input().as_ptr();
        let data = state.take_input(3);
        assert_eq!((data.as_slice(), data.as_ptr()), (&b"ghi"[..], place));
        assert_eq!(state.input(), b"");
    }
}
