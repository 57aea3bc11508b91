//! What may be done with a source during one call of its handler, and what came of it.

use std::io;

use super::budget::Budget;
use crate::selector::{Interest, Readiness, Token};

/// The part of a source's readiness that its handler moves, lent to it for one call.
///
/// This is where READY becomes BLOCKED (see the [module's diagram](super)). One such value serves
/// all calls, one after another: making it costs more than using it.
#[derive(Debug)]
pub(crate) struct IoState {
    pub(crate) token: Token,
    /// What the kernel has said since the handler was last called.
    pub(super) readiness: Readiness,
    /// The directions that are READY.
    pub(crate) ready: Interest,
    /// What was wanted when the call began.
    pub(super) interest_before: Interest,
    /// What the handler wants since, if it has [said so](Flags::INTEREST_SET).
    interest_set: Interest,
    pub(super) flags: Flags,
    pub(super) used: Used,
    budget: Budget,
    /// What the handler has failed with.
    pub(super) error: Option<io::Error>,
    /// How often a handler has wanted something else.
    pub(super) changes: u64,
}

/// What of the budget a call has used up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used {
    pub(super) operations: u32,
    pub(super) bytes_read: u32,
    pub(super) bytes_written: u32,
}

bitflags::bitflags! {
    /// What is true of a call. None of it in the ordinary case, but for the first.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) struct Flags: u16 {
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
        const INTEREST_SET = 32;
        /// The handler has said `Next::Disarm`.
        const DISARM = 64;
        /// The kernel has told of the end, or of an error.
        const END_REPORTED = 128;
        /// The budget is used up.
        const USED_UP = 256;
    }
}

impl IoState {
    pub(super) fn new(budget: Budget) -> Self {
        IoState {
            token: Token::from(u64::MAX),
            readiness: Readiness::empty(),
            ready: Interest::NONE,
            interest_before: Interest::NONE,
            interest_set: Interest::NONE,
            flags: Flags::empty(),
            used: Used::default(),
            budget,
            error: None,
            changes: 0,
        }
    }

    /// Begins a call: fills everything in anew.
    #[inline]
    pub(super) fn begin(
        &mut self,
        token: Token,
        readiness: Readiness,
        ready: Interest,
        interest_before: Interest,
        flags: Flags,
    ) {
        self.token = token;
        self.readiness = readiness;
        self.ready = ready;
        self.interest_before = interest_before;
        self.flags = flags;
        self.used = Used::default();
    }

    /// Whether an operation in this direction may be tried. What is known to block is not tried,
    /// and nothing is when the budget is used up.
    ///
    /// A *read* is known to block unless the kernel said otherwise. A *write* is tried even if the
    /// kernel was never asked: it mostly succeeds, and asking first would cost a turn.
    #[inline]
    pub(super) fn check_ready(&mut self, direction: Interest) -> io::Result<()> {
        let may_block = if direction.contains(Interest::WRITE) {
            self.flags.contains(Flags::WRITE_BLOCKED)
        } else {
            !self.ready.intersects(direction)
        };
        if may_block || self.flags.contains(Flags::USED_UP) {
            return Err(self.would_block(direction, may_block));
        }
        self.used.operations += 1;
        if self.used.operations == self.budget.operations() {
            self.flags |= Flags::USED_UP;
        }
        Ok(())
    }

    #[cold]
    fn would_block(&mut self, direction: Interest, may_block: bool) -> io::Error {
        if !may_block {
            self.flags |= Flags::CUT_OFF;
            // It could be done: READY stays, so that the handler is called again.
            self.ready |= direction;
        }
        io::ErrorKind::WouldBlock.into()
    }

    /// Takes note of an operation's failure.
    #[cold]
    pub(super) fn note_error(&mut self, direction: Interest, error: &io::Error) {
        if error.kind() == io::ErrorKind::WouldBlock {
            if self.used.operations == 1 {
                self.flags |= Flags::SPURIOUS;
            }
            self.clear_ready(direction);
        }
    }

    /// Takes note of a read into a buffer of `room` bytes.
    #[inline]
    pub(super) fn note_read(&mut self, count: usize, room: usize) {
        self.used.bytes_read = add(self.used.bytes_read, count);
        self.note_bytes();
        if count < room {
            self.note_short_read(count);
        }
    }

    fn note_short_read(&mut self, count: usize) {
        if count == 0 {
            self.flags |= Flags::ENDED;
            self.clear_ready(Interest::READ);
        } else if self.flags.contains(Flags::SHORT_READS_DRAIN) {
            self.clear_ready(Interest::READ);
        }
    }

    /// Takes note of a write.
    #[inline]
    pub(super) fn note_write(&mut self, count: usize) {
        self.used.bytes_written = add(self.used.bytes_written, count);
        self.note_bytes();
    }

    #[inline]
    fn note_bytes(&mut self) {
        let bytes = self.used.bytes_read.saturating_add(self.used.bytes_written);
        if bytes >= self.budget.bytes() {
            self.flags |= Flags::USED_UP;
        }
    }

    fn clear_ready(&mut self, direction: Interest) {
        self.ready.remove(direction);
        if direction.contains(Interest::WRITE) {
            self.flags |= Flags::WRITE_BLOCKED;
        }
    }

    /// The handler wants `interest` from now on.
    #[inline]
    pub(super) fn set_interest(&mut self, interest: Interest) {
        self.changes += u64::from(interest != self.interest());
        self.interest_set = interest;
        self.flags |= Flags::INTEREST_SET;
    }

    /// The handler wants nothing until it is armed again.
    pub(super) fn disarm(&mut self) {
        self.changes += 1;
        self.flags |= Flags::DISARM;
    }

    /// What the handler has said that it wants.
    pub(super) fn new_interest(&self) -> Option<Interest> {
        self.flags.contains(Flags::INTEREST_SET).then_some(self.interest_set)
    }

    /// What is wanted now.
    #[inline]
    pub(super) fn interest(&self) -> Interest {
        if self.flags.contains(Flags::INTEREST_SET) {
            self.interest_set
        } else {
            self.interest_before
        }
    }

    /// The handler has used up what it was told of.
    pub(super) fn done(&mut self) {
        // It may have taken the budget's `WouldBlock` for the kernel's; and what it was not told
        // apart from data, the end of the stream, it cannot have used up.
        if !self.flags.intersects(Flags::CUT_OFF | Flags::END_REPORTED) {
            self.ready.remove(self.interest_before);
        }
    }

    /// Whether being done leaves nothing to take back: nothing READY, and nothing out of the
    /// ordinary.
    #[inline]
    pub(super) fn is_fully_consumed(&self) -> bool {
        Flags::SHORT_READS_DRAIN.contains(self.flags) && self.interest_before.contains(self.ready)
    }
}

#[inline]
fn add(sum: u32, count: usize) -> u32 {
    sum.saturating_add(u32::try_from(count).unwrap_or(u32::MAX))
}
