//! What may be done with a source during one call of its handler, and what came of it.

use std::io;

use super::Budget;
use crate::selector::{Interest, Readiness, Token};

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
    /// What was wanted when the call began.
    pub(super) wanted: Interest,
    /// What the handler wants since, if it has [said so](Facts::WISHED).
    wished: Interest,
    pub(super) facts: Facts,
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
    pub(super) struct Facts: u16 {
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
        /// The kernel has told of the end, or of an error.
        const END_TOLD = 128;
        /// The budget is used up.
        const USED_UP = 256;
    }
}

impl Io {
    pub(super) fn new(budget: Budget) -> Self {
        Io {
            token: Token::from(u64::MAX),
            told: Readiness::empty(),
            ready: Interest::NONE,
            wanted: Interest::NONE,
            wished: Interest::NONE,
            facts: Facts::empty(),
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
        told: Readiness,
        ready: Interest,
        wanted: Interest,
        facts: Facts,
    ) {
        self.token = token;
        self.told = told;
        self.ready = ready;
        self.wanted = wanted;
        self.facts = facts;
        self.used = Used::default();
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
        if may_block || self.facts.contains(Facts::USED_UP) {
            return Err(self.refuse(direction, may_block));
        }
        self.used.operations += 1;
        if self.used.operations == self.budget.operations() {
            self.facts |= Facts::USED_UP;
        }
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
            if self.used.operations == 1 {
                self.facts |= Facts::SPURIOUS;
            }
            self.block(direction);
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
            self.facts |= Facts::ENDED;
            self.block(Interest::READ);
        } else if self.facts.contains(Facts::SHORT_READS_DRAIN) {
            self.block(Interest::READ);
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
            self.facts |= Facts::USED_UP;
        }
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
        self.changes += u64::from(interest != self.wish_or_wanted());
        self.wished = interest;
        self.facts |= Facts::WISHED;
    }

    /// The handler wants nothing until it is armed again.
    pub(super) fn disarm(&mut self) {
        self.changes += 1;
        self.facts |= Facts::DISARM;
    }

    /// What the handler has said that it wants.
    pub(super) fn wished(&self) -> Option<Interest> {
        self.facts.contains(Facts::WISHED).then_some(self.wished)
    }

    /// What is wanted now.
    #[inline]
    pub(super) fn wish_or_wanted(&self) -> Interest {
        if self.facts.contains(Facts::WISHED) { self.wished } else { self.wanted }
    }

    /// The handler has used up what it was told of.
    pub(super) fn done(&mut self) {
        // It may have taken the budget's `WouldBlock` for the kernel's; and what it was not told
        // apart from data, the end of the stream, it cannot have used up.
        if !self.facts.intersects(Facts::CUT_OFF | Facts::END_TOLD) {
            self.ready.remove(self.wanted);
        }
    }

    /// Whether being done leaves nothing to take back: nothing READY, and nothing out of the
    /// ordinary.
    #[inline]
    pub(super) fn leaves_nothing(&self) -> bool {
        Facts::SHORT_READS_DRAIN.contains(self.facts) && self.wanted.contains(self.ready)
    }
}

#[inline]
fn add(sum: u32, count: usize) -> u32 {
    sum.saturating_add(u32::try_from(count).unwrap_or(u32::MAX))
}
