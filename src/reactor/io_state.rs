//! The state of a source during one call of its handler.

use std::io;
use std::time::Duration;

use super::budget::Budget;
use crate::selector::{Interest, Readiness, Token};

/// The readiness of a source during one call of its handler, and what the call did.
///
/// This is where READY becomes BLOCKED (see the [module's diagram](super)). One value serves all
/// calls, one after another: to create it costs more than to use it.
#[derive(Debug)]
pub(crate) struct IoState {
    pub(crate) token: Token,
    /// What the kernel has reported since the last call.
    pub(super) readiness: Readiness,
    /// The directions that are READY.
    pub(crate) ready: Interest,
    /// The settings of the source when the call began, and the flags of the call.
    pub(super) settings: Settings,
    /// The interest that the handler has set, if [`Flags::INTEREST_SET`].
    interest_set: Interest,
    used: Used,
    budget: Budget,
    /// The error that the handler returned.
    pub(super) error: Option<io::Error>,
    /// Number of changes of interest by handlers.
    pub(super) changes: u64,
    /// What a connection gathers during a call, to write it at once. It is here so that a reactor has
    /// one such buffer for all of them.
    pub(crate) gathered: Vec<u8>,
    /// The user's deadline that a connection must set, measured from now.
    pub(crate) requested_deadline: Option<Option<Duration>>,
}

/// What is set for a source. A call begins with a copy: one word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// The flags with which each of its calls begins.
    pub(super) flags: Flags,
    /// The interest that the user has set.
    pub(super) interest: Interest,
    /// The interest that is registered with the selector.
    pub(super) registered: Interest,
}

impl Settings {
    pub(super) const NONE: Settings =
        Settings { flags: Flags::empty(), interest: Interest::NONE, registered: Interest::NONE };
}

/// What a call has used of its budget.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    /// The number of operations, and the bit [`ALL_BYTES`].
    operations: u32,
    /// An operation of [`Source::try_io`](super::Source::try_io) in direction READ succeeded.
    has_read_otherwise: bool,
    bytes_read: u64,
    bytes_written: u64,
}

/// The bytes of the budget are used up. It is the highest bit of the number of operations, which is then
/// above their limit: so an operation looks at one number.
const ALL_BYTES: u32 = 1 << 31;

bitflags::bitflags! {
    /// Facts of a call. In an ordinary call no flag but the first is set.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) struct Flags: u16 {
        /// A short read means the same as `WouldBlock`.
        const SHORT_READS_DRAIN = 1;
        /// The first operation returned `WouldBlock`. To read a known end again does not count.
        const SPURIOUS = 2;
        /// An operation was refused because the budget was used up.
        const CUT_OFF = 4;
        /// A write returned `WouldBlock`.
        const WRITE_BLOCKED = 8;
        /// The end of the stream was read.
        const ENDED = 16;
        /// The handler has set its interest.
        const INTEREST_SET = 32;
        /// The handler has returned `Next::Disarm`.
        const DISARM = 64;
        /// The kernel has reported, edge-triggered, that the stream ends. The report may have come
        /// with data, and is not repeated.
        const END_REPORTED = 128;
        /// The deadline has come that a handler of this crate has set for itself.
        const HANDLERS_DEADLINE = 256;
        /// The end that was read is not final: see [`Source::read_on`](super::Source::read_on).
        const READ_ON = 512;
        /// The end of the stream was read in an earlier call.
        const HAD_ENDED = 1024;
    }
}

impl IoState {
    pub(super) fn new(budget: Budget) -> Self {
        IoState {
            token: Token::from(u64::MAX),
            readiness: Readiness::empty(),
            ready: Interest::NONE,
            settings: Settings::NONE,
            interest_set: Interest::NONE,
            used: Used::default(),
            budget: Budget::new(budget.operations().min(ALL_BYTES), budget.bytes()),
            error: None,
            changes: 0,
            gathered: Vec::new(),
            requested_deadline: None,
        }
    }

    /// Begins a call.
    #[inline]
    pub(super) fn begin(
        &mut self,
        token: Token,
        readiness: Readiness,
        ready: Interest,
        settings: Settings,
    ) {
        self.token = token;
        self.readiness = readiness;
        self.ready = ready;
        self.settings = settings;
        self.used = Used::default();
    }

    /// Returns `WouldBlock` if an operation in this direction is known to block, or if the budget is
    /// used up.
    ///
    /// A *read* is known to block unless the kernel has reported the opposite. A *write* is tried even
    /// if WRITE was never reported: it mostly succeeds, and to wait for the report would cost a turn.
    #[inline]
    pub(super) fn check_ready(&mut self, direction: Interest) -> io::Result<()> {
        if self.is_blocked(direction) || self.used.operations >= self.budget.operations() {
            return Err(self.would_block(direction));
        }
        self.used.operations += 1;
        Ok(())
    }

    /// Returns whether an operation in this direction is known to block.
    #[inline]
    fn is_blocked(&self, direction: Interest) -> bool {
        if direction.contains(Interest::WRITE) {
            self.settings.flags.contains(Flags::WRITE_BLOCKED)
        } else {
            !self.ready.intersects(direction)
        }
    }

    #[cold]
    #[inline(never)]
    fn would_block(&mut self, direction: Interest) -> io::Error {
        if !self.is_blocked(direction) {
            self.settings.flags |= Flags::CUT_OFF;
            // The operation might succeed: READY stays, so that the handler is called again.
            self.ready |= direction;
        }
        io::ErrorKind::WouldBlock.into()
    }

    /// Records the failure of an operation.
    #[cold]
    pub(super) fn note_error(&mut self, direction: Interest, error: &io::Error) {
        if error.kind() == io::ErrorKind::WouldBlock {
            let read_end_again = self.settings.flags.contains(Flags::ENDED | Flags::HAD_ENDED);
            if self.operations() == 1 + u32::from(read_end_again) {
                self.settings.flags |= Flags::SPURIOUS;
            }
            self.clear_ready(direction);
        } else if direction.contains(Interest::READ) {
            self.settings.flags.remove(Flags::END_REPORTED); // this is how the stream ends
        }
    }

    /// Records that an operation that is not a plain read or write succeeded.
    #[inline]
    pub(super) fn note_success(&mut self, direction: Interest) {
        if direction.contains(Interest::READ) {
            self.used.has_read_otherwise = true;
        }
    }

    /// Records a read into a buffer of `room` bytes.
    #[inline]
    pub(super) fn note_read(&mut self, count: usize, room: usize) {
        self.used.bytes_read += count as u64;
        self.note_bytes();
        if count < room {
            self.note_short_read(count);
        }
    }

    fn note_short_read(&mut self, count: usize) {
        if count == 0 {
            self.settings.flags |= Flags::ENDED;
            self.clear_ready(Interest::READ);
        } else if self.settings.flags.contains(Flags::SHORT_READS_DRAIN) {
            self.clear_ready(Interest::READ);
        }
    }

    /// Records a write.
    #[inline]
    pub(super) fn note_write(&mut self, count: usize) {
        self.used.bytes_written += count as u64;
        self.note_bytes();
    }

    #[inline]
    fn note_bytes(&mut self) {
        if self.used.bytes_read + self.used.bytes_written >= self.budget.bytes().into() {
            self.used.operations |= ALL_BYTES;
        }
    }

    /// Counts the bytes of a datagram, whose operation was counted already.
    pub(crate) fn note_datagram(&mut self, bytes: usize) {
        self.used.bytes_read += bytes as u64;
        self.note_bytes();
    }

    fn clear_ready(&mut self, direction: Interest) {
        self.ready.remove(direction);
        if direction.contains(Interest::WRITE) {
            self.settings.flags |= Flags::WRITE_BLOCKED;
        }
    }

    /// Sets the interest.
    #[inline]
    pub(super) fn set_interest(&mut self, interest: Interest) {
        self.changes += u64::from(interest != self.interest());
        self.interest_set = interest;
        self.settings.flags |= Flags::INTEREST_SET;
    }

    /// Returns how many operations were made in this call.
    pub(super) fn operations(&self) -> u32 {
        self.used.operations & !ALL_BYTES
    }

    /// Returns whether bytes were read in this call, and whether bytes were written.
    pub(crate) fn bytes_moved(&self) -> (bool, bool) {
        (self.used.bytes_read > 0, self.used.bytes_written > 0)
    }

    /// Returns how many bytes were read in this call, and how many were written.
    pub(crate) fn bytes_of_call(&self) -> (u64, u64) {
        (self.used.bytes_read, self.used.bytes_written)
    }

    /// Returns whether this is the call for the deadline that the handler has set for itself.
    pub(crate) fn is_handlers_deadline(&self) -> bool {
        self.settings.flags.contains(Flags::HANDLERS_DEADLINE)
    }

    /// Makes the end of the stream one that may be followed by data.
    pub(super) fn read_on(&mut self) {
        self.settings.flags.remove(Flags::ENDED);
        self.settings.flags |= Flags::READ_ON;
    }

    /// Disarms the source.
    pub(super) fn disarm(&mut self) {
        self.changes += 1;
        self.settings.flags |= Flags::DISARM;
    }

    /// Returns the interest that the handler has set in this call.
    pub(super) fn new_interest(&self) -> Option<Interest> {
        self.settings.flags.contains(Flags::INTEREST_SET).then_some(self.interest_set)
    }

    /// Returns the current interest.
    #[inline]
    pub(crate) fn interest(&self) -> Interest {
        if self.settings.flags.contains(Flags::INTEREST_SET) {
            self.interest_set
        } else {
            self.settings.interest
        }
    }

    /// Consumes the readiness: the handler has returned `Next::Done`. `is_stream` tells whether the
    /// source is a stream of bytes.
    pub(super) fn done(&mut self, is_stream: impl FnOnce(Token) -> bool) {
        // The handler may have mistaken the budget's `WouldBlock` for the kernel's.
        if self.settings.flags.contains(Flags::CUT_OFF) {
            return;
        }
        let mut consumed = self.settings.interest;
        // A stream that was read has not been read to its end, which is not reported apart from
        // data. A file that changes (in `/proc`, in `/sys`) and a descriptor of a process report
        // what is like an end, too, but nothing can be read there until it is over.
        let has_read = self.used.bytes_read > 0 || self.used.has_read_otherwise;
        if has_read && self.settings.flags.contains(Flags::END_REPORTED) && is_stream(self.token) {
            consumed.remove(Interest::READ);
        }
        self.ready.remove(consumed);
    }

    /// Returns whether `Next::Done` leaves nothing to store: no direction READY, and no flag set
    /// beyond the ordinary.
    #[inline]
    pub(super) fn is_fully_consumed(&self) -> bool {
        Flags::SHORT_READS_DRAIN.contains(self.settings.flags)
            && self.settings.interest.contains(self.ready)
    }
}
