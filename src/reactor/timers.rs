//! Timers and the deadlines of sources: one heap, from which what is cancelled is removed.

mod heap;
mod item;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use slab::Slab;

use item::{HeapItem, Owner, Packed, Place};

pub(super) use item::Slot;

/// Identifies a timer, so that it can be cancelled. An id is never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimerId {
    slot: u32,
    number: u64,
}

/// Timers and deadlines in the order in which they are due. Timers due at the same instant keep the
/// order in which they were set.
///
/// A four-ary heap. Its items know their owners, and the owners know their items, so that a cancelled
/// timer is *removed*. If cancelled timers were kept until they are due, those of a busy server would
/// outnumber the others by thousands.
///
/// A deadline is a number of a source, and an item of the heap: 32 bytes.
#[derive(Debug)]
pub(super) struct Timers<T> {
    timers: Slab<Timer<T>>,
    /// The deadlines of each source, by its index and by [`Slot`].
    deadlines: Vec<[Place; 2]>,
    /// How many deadlines are set.
    deadlines_set: usize,
    heap: Vec<HeapItem>,
    /// What was due when [`expire`](Self::expire) was called, and has not been returned yet.
    due: VecDeque<Packed>,
    /// The number of the next timer.
    number: u64,
    /// The number of the next item of the heap.
    order: u32,
    /// From where the times in the heap are counted.
    start: Instant,
}

#[derive(Debug)]
struct Timer<T> {
    number: u64,
    value: T,
    place: Place,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// A timer. It must still be [taken](Timers::take).
    Timer(TimerId),
    /// A deadline of the source with this index. It is set no longer.
    Deadline(u32, Slot),
}

impl<T> Timers<T> {
    /// Returns no timers. Most will be due after `start`.
    pub(super) fn new(start: Instant) -> Self {
        Timers {
            timers: Slab::new(),
            deadlines: Vec::new(),
            deadlines_set: 0,
            heap: Vec::new(),
            due: VecDeque::new(),
            number: 0,
            order: 0,
            start,
        }
    }

    /// Returns when the next timer or deadline is due, at the earliest.
    #[inline]
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|item| self.instant(item.at))
    }

    fn instant(&self, at: i64) -> Instant {
        let distance = Duration::from_nanos(at.unsigned_abs());
        let instant = match at {
            0.. => self.start.checked_add(distance),
            ..0 => self.start.checked_sub(distance),
        };
        instant.unwrap_or(self.start)
    }

    /// Returns an instant as the heap has it. What is beyond is centuries away.
    fn nanos(&self, at: Instant) -> i64 {
        match at.checked_duration_since(self.start) {
            Some(after) => nanos(after),
            None => -nanos(self.start.saturating_duration_since(at)),
        }
    }

    /// Returns the number of timers and deadlines.
    pub(super) fn len(&self) -> usize {
        self.timers.len() + self.deadlines_set
    }

    pub(super) fn set(&mut self, at: Instant, value: T) -> TimerId {
        let number = self.number;
        self.number += 1;
        let slot = self.timers.insert(Timer { number, value, place: Place::NOWHERE }) as u32;
        self.push(self.nanos(at), Owner::Timer(slot));
        TimerId { slot, number }
    }

    /// Returns the value of a timer, due or not. Returns `None` if it has fired or was cancelled.
    pub(super) fn get_mut(&mut self, id: TimerId) -> Option<&mut T> {
        let timer = self.timers.get_mut(id.slot as usize)?;
        (timer.number == id.number).then_some(&mut timer.value)
    }

    /// Sets a timer that is due once more, under its id. Does nothing if it was cancelled.
    pub(super) fn set_again(&mut self, id: TimerId, at: Instant) {
        let timer = self.timers.get(id.slot as usize);
        if timer.is_some_and(|timer| timer.number == id.number && timer.place == Place::DUE) {
            self.push(self.nanos(at), Owner::Timer(id.slot));
        }
    }

    /// Removes a timer, due or not. Returns `None` if it has fired or was cancelled.
    pub(super) fn take(&mut self, id: TimerId) -> Option<T> {
        let slot = id.slot as usize;
        if self.timers.get(slot)?.number != id.number {
            return None;
        }
        let timer = self.timers.remove(slot);
        if let Some(position) = timer.place.position() {
            self.remove_from_heap(position);
        }
        Some(timer.value)
    }

    /// Returns a deadline of the source with this index. One that is due has passed, and is none.
    pub(super) fn deadline(&self, source: u32, slot: Slot) -> Option<Instant> {
        let places = self.deadlines.get(source as usize)?;
        let position = places[slot as usize].position()?;
        Some(self.instant(self.heap[position].until))
    }

    /// Sets a deadline of the source with this index, in place of an earlier one, or removes it. The
    /// deadlines of a source must be removed before another source has its index.
    pub(super) fn set_deadline(&mut self, source: u32, slot: Slot, at: Option<Instant>) {
        let index = source as usize;
        let place =
            self.deadlines.get(index).map_or(Place::NOWHERE, |places| places[slot as usize]);
        let at = at.map(|at| self.nanos(at));
        if let Some(position) = place.position() {
            // Postponed: its place is found when the item is due. So an idle timeout that every byte
            // postpones costs no more than this assignment.
            if let Some(at) = at
                && let item = &mut self.heap[position]
                && item.at <= at
            {
                item.until = at;
                return;
            }
            self.remove_from_heap(position);
        }
        if place != Place::NOWHERE {
            self.deadlines[index][slot as usize] = Place::NOWHERE;
            self.deadlines_set -= 1;
        }
        if let Some(at) = at {
            if index >= self.deadlines.len() {
                self.deadlines.resize(index + 1, [Place::NOWHERE; 2]);
            }
            self.deadlines_set += 1;
            self.push(at, Owner::Deadline(source, slot));
        }
    }

    /// Lets the timers and deadlines become due whose time has come at `now`.
    pub(super) fn expire(&mut self, now: Instant) {
        self.take_due(self.nanos(now));
    }

    /// Returns the next that is due, in order, and was not cancelled since.
    pub(super) fn next_due(&mut self) -> Option<Due> {
        while let Some(owner) = self.due.pop_front() {
            let owner = owner.owner();
            match owner {
                Owner::Timer(slot) => {
                    if let Some(timer) = self.timers.get(slot as usize)
                        && timer.place == Place::DUE
                    {
                        return Some(Due::Timer(TimerId { slot, number: timer.number }));
                    }
                }
                Owner::Deadline(source, slot) => {
                    let place = &mut self.deadlines[source as usize][slot as usize];
                    if *place == Place::DUE {
                        *place = Place::NOWHERE;
                        self.deadlines_set -= 1;
                        return Some(Due::Deadline(source, slot));
                    }
                }
            }
        }
        None
    }

    /// Notes where the timer or the deadline of an item is.
    fn set_place(&mut self, owner: Packed, place: Place) {
        match owner.owner() {
            Owner::Timer(slot) => self.timers[slot as usize].place = place,
            Owner::Deadline(source, slot) => {
                self.deadlines[source as usize][slot as usize] = place;
            }
        }
    }
}

fn nanos(duration: Duration) -> i64 {
    let whole = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    whole.saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into())
}
