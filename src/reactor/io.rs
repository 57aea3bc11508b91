//! What may be done with a source during one call of its handler, and what came of it.

use std::io;

use super::Budget;
use crate::{Interest, Readiness, Token};

/// The part of a source's readiness that its handler moves, lent to it for one call.
///
/// This is where READY becomes BLOCKED (see the [module's diagram](super)). One such value serves
/// all calls, one after another: making it costs more than using it.
#[derive(Debug)]
pub(crate) struct Io {
    pub(crate) token: Token,
    /// What the kernel has said since the handler was last called.
    pub(super) told: Readiness,
    /// The directions that are READY.
    pub(crate) ready: Interest,
    pub(super) wanted: Interest,
    /// What was wanted when the call began.
    pub(super) wanted_before: Interest,
    pub(super) facts: Facts,
    operations_left: u32,
    bytes_left: usize,
    pub(super) bytes_written: usize,
    budget: Budget,
    /// How often the handler has wanted something else.
    pub(super) changes: u64,
}

bitflags::bitflags! {
    /// What is true of a call. None of it in the ordinary case, but for the first.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) struct Facts: u8 {
        /// A short read says as much as `WouldBlock`.
        const SHORT_READS_DRAIN = 1;
        /// The first thing that was tried met `WouldBlock`.
        const SPURIOUS = 2;
        /// The budget has ended an operation.
        const CUT_OFF = 4;
        /// A write has met `WouldBlock`.
        const WRITE_BLOCKED = 8;
        /// The end of the stream was read.
        const ENDED = 16;
        /// The handler has said what it wants.
        const WISHED = 32;
        /// The handler has said `Next::Disarm`.
        const DISARM = 64;
    }
}

impl Io {
    pub(super) fn new(budget: Budget) -> Self {
        Io {
            token: Token::from(u64::MAX),
            told: Readiness::empty(),
            ready: Interest::NONE,
            wanted: Interest::NONE,
            wanted_before: Interest::NONE,
            facts: Facts::empty(),
            operations_left: 0,
            bytes_left: 0,
            bytes_written: 0,
            budget,
            changes: 0,
        }
    }

    /// Begins a call: fills everything in anew.
    #[inline]
    pub(super) fn begin(
        &mut self,
        token: Token,
        told: Readiness,
        ready: Interest,
        wanted: Interest,
        short_reads_drain: bool,
    ) {
        self.token = token;
        self.told = told;
        self.ready = ready;
        self.wanted = wanted;
        self.wanted_before = wanted;
        self.facts = Facts::from_bits_retain(u8::from(short_reads_drain));
        self.operations_left = self.budget.operations();
        self.bytes_left = self.budget.bytes();
        self.bytes_written = 0;
    }

    /// Whether an operation in this direction may be tried. What is known to block is not tried,
    /// and nothing is when the budget is used up.
    ///
    /// A *read* is known to block unless the kernel said otherwise. A *write* is tried even if the
    /// kernel was never asked: it mostly succeeds, and asking first would cost a turn.
    #[inline]
    pub(super) fn admit(&mut self, direction: Interest) -> io::Result<()> {
        let may_block = if direction.contains(Interest::WRITE) {
            self.facts.contains(Facts::WRITE_BLOCKED)
        } else {
            !self.ready.intersects(direction)
        };
        if may_block || self.operations_left == 0 || self.bytes_left == 0 {
            return Err(self.refuse(direction, may_block));
        }
        self.operations_left -= 1;
        Ok(())
    }

    #[cold]
    fn refuse(&mut self, direction: Interest, may_block: bool) -> io::Error {
        if !may_block {
            self.facts |= Facts::CUT_OFF;
            // It could be done: READY stays, so that the handler is called again.
            self.ready |= direction;
        }
        io::ErrorKind::WouldBlock.into()
    }

    /// Takes note of an operation's failure.
    #[cold]
    pub(super) fn note_error(&mut self, direction: Interest, error: &io::Error) {
        if error.kind() == io::ErrorKind::WouldBlock {
            if self.operations() == 1 {
                self.facts |= Facts::SPURIOUS;
            }
            self.block(direction);
        }
    }

    /// Takes note of a read into a buffer of `room` bytes.
    #[inline]
    pub(super) fn note_read(&mut self, count: usize, room: usize) {
        self.bytes_left = self.bytes_left.saturating_sub(count);
        if count < room {
            self.note_short_read(count);
        }
    }

    fn note_short_read(&mut self, count: usize) {
        if count == 0 {
            self.facts |= Facts::ENDED;
            self.block(Interest::READ);
        } else if self.facts.contains(Facts::SHORT_READS_DRAIN) {
            self.block(Interest::READ);
        }
    }

    /// Takes note of a write.
    #[inline]
    pub(super) fn note_write(&mut self, count: usize) {
        self.bytes_left = self.bytes_left.saturating_sub(count);
        self.bytes_written += count;
    }

    fn block(&mut self, direction: Interest) {
        self.ready.remove(direction);
        if direction.contains(Interest::WRITE) {
            self.facts |= Facts::WRITE_BLOCKED;
        }
    }

    /// The handler wants `interest` from now on.
    #[inline]
    pub(super) fn wish(&mut self, interest: Interest) {
        self.changes += u64::from(interest != self.wanted);
        self.wanted = interest;
        self.facts |= Facts::WISHED;
    }

    /// The handler has used up what it was told of.
    #[inline]
    pub(super) fn done(&mut self) {
        // It may have taken the budget's `WouldBlock` for the kernel's; and what it was not told
        // apart from data, the end of the stream, it cannot have used up.
        let end = Readiness::READ_CLOSED | Readiness::HANGUP | Readiness::ERROR;
        if !self.facts.contains(Facts::CUT_OFF) && !self.told.intersects(end) {
            self.ready.remove(self.wanted_before);
        }
    }

    /// How many operations were tried.
    #[inline]
    pub(super) fn operations(&self) -> u32 {
        self.budget.operations() - self.operations_left
    }

    /// How many bytes were read. (The read that passes the budget counts as far as the budget goes.)
    pub(super) fn bytes_read(&self) -> usize {
        (self.budget.bytes() - self.bytes_left).saturating_sub(self.bytes_written)
    }
}
