//! What an item of the heap belongs to, and where it is.

/// Whose deadline it is. What the user sets must not undo what the handler needs to end in time, and
/// the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::reactor) enum Slot {
    /// That of [`Context::set_deadline`](crate::reactor::Context::set_deadline).
    User,
    /// That of a handler of this crate.
    Handler,
}

/// The heap holds the keys, so that a comparison needs no access to the timers.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeapItem {
    /// When it is due, in nanoseconds after the start. A number is smaller than an instant, and sooner
    /// compared.
    pub(super) at: i64,
    /// To when it is postponed. Later than `at` only for a deadline.
    pub(super) until: i64,
    /// Its number among those that were set, for those due at the same instant.
    pub(super) order: u32,
    pub(super) owner: Packed,
}

impl HeapItem {
    pub(super) fn key(&self) -> (i64, u32) {
        (self.at, self.order)
    }

    /// Gives a deadline that was postponed its place in time, as if it were set now.
    pub(super) fn find_place(&mut self, order: &mut u32) {
        (self.at, self.order) = (self.until, *order);
        *order += 1;
    }
}

/// Where a timer or a deadline is: nowhere, among those that are due, or at a position of the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(pub(super) u32);

impl Place {
    pub(super) const NOWHERE: Place = Place(u32::MAX);
    pub(super) const DUE: Place = Place(u32::MAX - 1);

    pub(super) fn position(self) -> Option<usize> {
        (self.0 < Place::DUE.0).then_some(self.0 as usize)
    }
}

/// What an item of the heap belongs to, in 32 bits: the lowest one tells a deadline from a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packed(u32);

/// A timer, by its slot, or a deadline, by the index of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Timer(u32),
    Deadline(u32, Slot),
}

impl Owner {
    pub(super) fn pack(self) -> Packed {
        Packed(match self {
            Owner::Timer(slot) => slot << 1,
            Owner::Deadline(source, Slot::User) => source << 2 | 0b01,
            Owner::Deadline(source, Slot::Handler) => source << 2 | 0b11,
        })
    }
}

impl Packed {
    pub(super) fn owner(self) -> Owner {
        match self.0 & 0b11 {
            0b01 => Owner::Deadline(self.0 >> 2, Slot::User),
            0b11 => Owner::Deadline(self.0 >> 2, Slot::Handler),
            _ => Owner::Timer(self.0 >> 1),
        }
    }
}
