//! One source in the table: its interest, what is registered with the selector, and its readiness.

use std::any::{TypeId, type_name};
use std::fmt;
use std::os::fd::RawFd;

use super::io_state::{Flags, IoState, Settings};
use super::mode::{Known, SourceKind};
use crate::selector::{Interest, Readiness, Token};

/// One source. There is one for each connection, so it is packed: 24 bytes, also in a slab.
#[derive(Debug)]
pub(super) struct SourceEntry {
    pub(super) generation: u32,
    pub(super) fd: RawFd,
    /// The interest that counts now: see [`effective_interest`](Self::effective_interest).
    pub(super) effective: Interest,
    /// The directions that are READY. While it is empty, the handler has seen all that was reported,
    /// and the source is on no list.
    pub(super) ready: Interest,
    pub(super) settings: Settings,
    /// What the kernel has reported since the last call of the handler, in 16 bits.
    pub(super) reported: u16,
    /// The types of the source and its handler: their place in the registry's list.
    pub(super) types: u16,
    pub(super) status: Status,
    pub(super) kind: SourceKind,
    /// Whether it is on the ready list. A flag of its own, in which a slab finds room for its mark.
    pub(super) is_queued: bool,
}

bitflags::bitflags! {
    /// What is the case with a source.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) struct Status: u8 {
        /// It is in the list of changed sources.
        const CHANGED = 1;
        /// The end of its stream was read.
        const ENDED = 2;
        /// It is disarmed.
        const DISARMED = 4;
        /// It is parked: not registered with the selector, until something changes.
        const PARKED = 8;
        /// It is in the list of refused sources: the kernel had no room for its interest.
        const REFUSED = 16;
    }
}

impl Status {
    /// Sets a flag. Returns whether it was set before.
    pub(super) fn replace(&mut self, flag: Status, value: bool) -> bool {
        let was_set = self.contains(flag);
        self.set(flag, value);
        was_set
    }
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

impl SourceEntry {
    /// Returns what stays known when the trigger changes.
    pub(super) fn known(&self) -> Known {
        Known { reads_raw: self.kind.contains(SourceKind::READS_RAW), ..Known::default() }
    }

    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        self.ready.intersects(self.effective)
    }

    /// Records what the kernel reports.
    pub(super) fn record(&mut self, readiness: Readiness) {
        self.reported |= readiness.bits() as u16;
        self.ready |= directions(readiness);
    }

    /// Begins a call: moves the readiness to `io`.
    pub(super) fn begin_call(&mut self, token: Token, io: &mut IoState) {
        // During the call the entry has no readiness, so that a change of its interest by its own
        // handler does not put it on the ready list.
        let reported = Readiness::from_bits_retain(std::mem::take(&mut self.reported).into());
        let ready = std::mem::take(&mut self.ready);
        let mut settings = self.settings;
        settings.flags.set(Flags::HAD_ENDED, self.status.contains(Status::ENDED));
        io.begin(token, reported, ready, settings);
    }

    /// Returns the interest that counts: the one that is set, less READ after the end of the stream,
    /// and nothing while the source is disarmed.
    pub(super) fn effective_interest(&self) -> Interest {
        if self.status.contains(Status::DISARMED) {
            Interest::NONE
        } else if self.status.contains(Status::ENDED) {
            self.settings.interest & (Interest::WRITE | Interest::HANGUP)
        } else {
            self.settings.interest
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
