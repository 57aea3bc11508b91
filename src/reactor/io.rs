//! What may be done with a source during one call of its handler, and what came of it.

use std::io;

use super::Budget;
use crate::{Interest, Readiness, Token};

/// The part of a source's readiness that its handler moves, lent to it for one call.
///
/// This is where READY becomes BLOCKED (see the [module's diagram](super)).
#[derive(Debug)]
pub(crate) struct Io {
    pub(super) token: Token,
    /// What the kernel has said since the handler was last called.
    pub(super) told: Readiness,
    /// The directions that are READY.
    pub(super) ready: Interest,
    pub(super) wanted: Interest,
    /// What was wanted when the call began.
    pub(super) wanted_before: Interest,
    /// How often the handler has wanted something else since.
    pub(super) changes: u32,
    /// Whether a short read says as much as `WouldBlock`.
    pub(super) short_read_drains: bool,
    /// Whether a write has met `WouldBlock` in this call.
    write_blocked: bool,
    operations_left: u32,
    bytes_left: usize,
    pub(super) operations: u32,
    pub(super) bytes_read: usize,
    pub(super) bytes_written: usize,
    /// Whether the first thing that was tried met `WouldBlock`.
    pub(super) spurious: bool,
    /// Whether the budget ended an operation.
    pub(super) cut_off: bool,
}

impl Io {
    #[inline]
    pub(super) fn new(
        token: Token,
        told: Readiness,
        ready: Interest,
        wanted: Interest,
        short_read_drains: bool,
        budget: Budget,
    ) -> Self {
        Io {
            token,
            told,
            ready,
            wanted,
            wanted_before: wanted,
            changes: 0,
            short_read_drains,
            write_blocked: false,
            operations_left: budget.operations,
            bytes_left: budget.bytes,
            operations: 0,
            bytes_read: 0,
            bytes_written: 0,
            spurious: false,
            cut_off: false,
        }
    }

    pub(crate) fn token(&self) -> Token {
        self.token
    }

    /// Whether an operation in this direction may be tried. What is known to block is not tried,
    /// and nothing is when the budget is used up.
    ///
    /// A *read* is known to block unless the kernel said otherwise. A *write* is tried even if the
    /// kernel was never asked: it mostly succeeds, and asking first would cost a turn.
    #[inline]
    pub(super) fn admit(&mut self, direction: Interest) -> io::Result<()> {
        let blocked = if direction == Interest::WRITE {
            self.write_blocked
        } else {
            !self.ready.contains(direction)
        };
        if blocked {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.operations_left == 0 || self.bytes_left == 0 {
            self.cut_off = true;
            // It could be done: READY stays, so that the handler is called again.
            self.ready |= direction;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(())
    }

    /// Takes note of what an operation said.
    #[inline]
    pub(super) fn note<T>(&mut self, direction: Interest, result: &io::Result<T>) {
        self.operations += 1;
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.spurious |= self.operations == 1;
                self.block(direction);
            }
            _ => self.operations_left -= 1,
        }
    }

    /// Takes note of a read into a buffer of `room` bytes.
    #[inline]
    pub(super) fn note_read(&mut self, result: &io::Result<usize>, room: usize) {
        self.note(Interest::READ, result);
        if let Ok(count) = *result {
            self.bytes_read += count;
            self.bytes_left = self.bytes_left.saturating_sub(count);
            if count == 0 && room > 0 {
                self.block(Interest::READ);
                self.wanted.remove(Interest::READ);
            } else if count < room && self.short_read_drains {
                self.block(Interest::READ);
            }
        }
    }

    /// Takes note of a write.
    #[inline]
    pub(super) fn note_write(&mut self, result: &io::Result<usize>) {
        self.note(Interest::WRITE, result);
        if let Ok(count) = *result {
            self.bytes_written += count;
            self.bytes_left = self.bytes_left.saturating_sub(count);
        }
    }

    #[inline]
    fn block(&mut self, direction: Interest) {
        self.ready.remove(direction);
        self.write_blocked |= direction.contains(Interest::WRITE);
    }
}
