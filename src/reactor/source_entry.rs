//! One source in the table: its interest, what is registered with the selector, and its readiness.

use std::any::{TypeId, type_name};
use std::fmt;
use std::os::fd::RawFd;
use std::time::Instant;

use super::io_state::{Flags, IoState};
use super::mode::{Known, SourceKind};
use super::timers::TimerId;
use crate::selector::{Interest, Readiness, Token};

/// One source.
#[derive(Debug)]
pub(super) struct SourceEntry {
    pub(super) generation: u32,
    /// The interest that counts now: see [`effective_interest`](Self::effective_interest).
    pub(super) effective: Interest,
    /// The directions that are READY. While it is empty, the handler has seen all that was reported,
    /// and the source is on no list.
    pub(super) ready: Interest,
    /// The flags with which each of its calls begins.
    pub(super) flags: Flags,
    /// Whether it is on the ready list.
    pub(super) is_queued: bool,
    /// What the kernel has reported since the last call of the handler.
    pub(super) reported: Readiness,
    /// The interest that the user has set.
    pub(super) interest: Interest,
    /// The interest that is registered with the selector.
    pub(super) registered: Interest,
    pub(super) has_ended: bool,
    pub(super) is_disarmed: bool,
    /// Whether it is in the list of changed sources.
    pub(super) is_changed: bool,
    /// Whether it is parked: not registered with the selector, until something changes.
    pub(super) is_parked: bool,
    /// Whether it is in the list of refused sources: the kernel had no room for its interest.
    pub(super) is_refused: bool,
    pub(super) kind: SourceKind,
    pub(super) fd: RawFd,
    /// Its deadlines, indexed by [`Slot`].
    pub(super) deadlines: [Option<Deadline>; 2],
    /// Returns the types of the source and its handler. (A function takes less space than its result.)
    pub(super) types: fn() -> Types,
}

/// The types of a source and its handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Types {
    pub(super) source: TypeId,
    handler: TypeId,
    pub(super) source_name: &'static str,
    pub(super) handler_name: &'static str,
}

impl Types {
    pub(crate) fn of<F: 'static, H: 'static>() -> Self {
        Types {
            source: TypeId::of::<F>(),
            handler: TypeId::of::<H>(),
            source_name: type_name::<F>(),
            handler_name: type_name::<H>(),
        }
    }
}

impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} with a {}", self.source_name, self.handler_name)
    }
}

/// Whose deadline it is. What the user sets must not undo what the handler needs to end in time, and
/// the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// That of [`Context::set_deadline`](super::Context::set_deadline).
    User,
    /// That of a handler of this crate.
    Handler,
}

/// The timer of a deadline, and the deadline itself. A deadline that was postponed is later than its
/// timer, and checked again when the timer fires.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub(super) timer: TimerId,
    pub(super) at: Instant,
}

impl SourceEntry {
    /// Returns what stays known when the trigger changes.
    pub(super) fn known(&self) -> Known {
        Known { reads_raw: self.kind.reads_raw, ..Known::default() }
    }

    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        self.ready.intersects(self.effective)
    }

    /// Records what the kernel reports.
    pub(super) fn record(&mut self, readiness: Readiness) {
        self.reported |= readiness;
        self.ready |= directions(readiness);
    }

    /// Begins a call: moves the readiness to `io`.
    pub(super) fn begin_call(&mut self, token: Token, io: &mut IoState) {
        // During the call the entry has no readiness, so that a change of its interest by its own
        // handler does not put it on the ready list.
        let (reported, ready) =
            (std::mem::take(&mut self.reported), std::mem::take(&mut self.ready));
        let ended = if self.has_ended { Flags::HAD_ENDED } else { Flags::empty() };
        io.begin(token, reported, ready, self.interest, self.flags | ended);
    }

    /// Returns the interest that counts: the one that is set, less READ after the end of the stream,
    /// and nothing while the source is disarmed.
    pub(super) fn effective_interest(&self) -> Interest {
        match self {
            SourceEntry { is_disarmed: true, .. } => Interest::NONE,
            SourceEntry { has_ended: true, .. } => {
                self.interest & (Interest::WRITE | Interest::HANGUP)
            }
            _ => self.interest,
        }
    }
}

/// Returns the directions that a readiness makes READY.
fn directions(readiness: Readiness) -> Interest {
    let mut directions = Interest::from_bits_truncate(readiness.bits() as u8);
    if readiness.contains(Readiness::READ_CLOSED) {
        directions |= Interest::READ;
    }
    // These cannot be masked, and concern every direction.
    if readiness.intersects(Readiness::HANGUP | Readiness::ERROR | Readiness::INVALID) {
        directions = Interest::all();
    }
    directions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_report_makes_its_directions_ready() {
        let (read, write) = (Interest::READ, Interest::WRITE);
        for (readiness, ready) in [
            (Readiness::READ, read),
            (Readiness::WRITE, write),
            (Readiness::READ_CLOSED, read),
            (Readiness::WRITE | Readiness::READ_CLOSED, read | write),
            (Readiness::READ | Readiness::WRITE | Readiness::READ_CLOSED, read | write),
            (Readiness::ERROR, Interest::all()),
            (Readiness::READ | Readiness::HANGUP, Interest::all()),
        ] {
            assert_eq!(directions(readiness), ready, "{readiness:?}");
        }
    }
}
