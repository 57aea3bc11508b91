//! Timers: a heap from which cancelled timers are removed.

use std::collections::VecDeque;
use std::time::Instant;

use slab::Slab;

/// Identifies a timer, so that it can be cancelled. An id is never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimerId {
    slot: usize,
    number: u64,
}

/// Timers in the order in which they are due. Timers due at the same instant keep the order in
/// which they were set.
///
/// A four-ary heap. Its items know their timers, and the timers know their items, so that a
/// cancelled timer is *removed*. If cancelled timers were kept until they are due, those of a busy
/// server would outnumber the others by thousands.
#[derive(Debug)]
pub(super) struct Timers<T> {
    timers: Slab<Timer<T>>,
    heap: Vec<HeapItem>,
    number: u64,
}

#[derive(Debug)]
struct Timer<T> {
    number: u64,
    /// Its position in the heap. `None` once it is due and has left the heap.
    position: Option<usize>,
    value: T,
}

/// The heap holds the keys, so that a comparison needs no access to the timers.
#[derive(Debug, Clone, Copy)]
struct HeapItem {
    at: Instant,
    number: u64,
    slot: usize,
}

impl HeapItem {
    fn key(&self) -> (Instant, u64) {
        (self.at, self.number)
    }
}

const CHILDREN: usize = 4;

impl<T> Timers<T> {
    pub(super) fn new() -> Self {
        Timers { timers: Slab::new(), heap: Vec::new(), number: 0 }
    }

    /// Returns when the next timer is due.
    #[inline]
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|entry| entry.at)
    }

    pub(super) fn len(&self) -> usize {
        self.timers.len()
    }

    pub(super) fn set(&mut self, at: Instant, value: T) -> TimerId {
        let number = self.number;
        self.number += 1;
        let position = self.heap.len();
        let slot = self.timers.insert(Timer { number, position: Some(position), value });
        self.heap.push(HeapItem { at, number, slot });
        self.sift_up(position);
        TimerId { slot, number }
    }

    /// Returns the value of a timer, due or not. Returns `None` if it has fired or was cancelled.
    pub(super) fn get_mut(&mut self, id: TimerId) -> Option<&mut T> {
        let timer = self.timers.get_mut(id.slot)?;
        (timer.number == id.number).then_some(&mut timer.value)
    }

    /// Sets a timer that is due once more, under its id. Does nothing if it was cancelled.
    pub(super) fn set_again(&mut self, id: TimerId, at: Instant) {
        let TimerId { slot, number } = id;
        let position = self.heap.len();
        match self.timers.get_mut(slot) {
            Some(timer) if timer.number == number && timer.position.is_none() => {
                timer.position = Some(position);
            }
            _ => return,
        }
        self.heap.push(HeapItem { at, number, slot });
        self.sift_up(position);
    }

    /// Removes a timer, due or not. Returns `None` if it has fired or was cancelled.
    pub(super) fn take(&mut self, id: TimerId) -> Option<T> {
        if self.timers.get(id.slot)?.number != id.number {
            return None;
        }
        let timer = self.timers.remove(id.slot);
        if let Some(position) = timer.position {
            self.remove_from_heap(position);
        }
        Some(timer.value)
    }

    /// Appends the timers due at `now` to `due`, in order. They leave the heap, but must still be
    /// [taken](Self::take), so that one of them can cancel another.
    pub(super) fn take_due(&mut self, now: Instant, due: &mut VecDeque<TimerId>) {
        while let Some(&HeapItem { at, number, slot }) = self.heap.first()
            && at <= now
        {
            self.remove_from_heap(0);
            self.timers[slot].position = None;
            due.push_back(TimerId { slot, number });
        }
    }

    fn remove_from_heap(&mut self, position: usize) {
        self.heap.swap_remove(position);
        if position < self.heap.len() {
            self.update_position(position);
            self.sift_down(position);
            self.sift_up(position);
        }
    }

    /// Updates the position in the timer of the item at `position`.
    fn update_position(&mut self, position: usize) {
        self.timers[self.heap[position].slot].position = Some(position);
    }

    fn swap(&mut self, one: usize, other: usize) {
        #[cfg(test)]
        tests::SWAPS.set(tests::SWAPS.get() + 1);
        self.heap.swap(one, other);
        self.update_position(one);
        self.update_position(other);
    }

    fn sift_up(&mut self, mut position: usize) {
        while position > 0 {
            let parent = (position - 1) / CHILDREN;
            if self.heap[parent].key() <= self.heap[position].key() {
                break;
            }
            self.swap(parent, position);
            position = parent;
        }
    }

    fn sift_down(&mut self, mut position: usize) {
        loop {
            let first = position * CHILDREN + 1;
            let children = first..(first + CHILDREN).min(self.heap.len());
            let Some(least) = children.min_by_key(|&child| self.heap[child].key()) else { break };
            if self.heap[position].key() <= self.heap[least].key() {
                break;
            }
            self.swap(position, least);
            position = least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::time::Duration;

    std::thread_local! {
        /// The exchanges in heaps.
        pub(super) static SWAPS: Cell<u64> = const { Cell::new(0) };
    }

    #[test]
    fn timers_fire_in_order_and_cancelled_ones_do_not() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut timers = Timers::new();
        // A fixed shuffle of 0..1000, each instant twice.
        let ids: Vec<_> = (0..1_000_u64)
            .map(|i| (i, timers.set(at(i * 7_919 % 500), (i * 7_919 % 500, i))))
            .collect();
        let mut expected: Vec<_> = Vec::new();
        for (i, id) in ids {
            let what = (i * 7_919 % 500, i);
            if i % 3 == 0 {
                assert_eq!(timers.take(id), Some(what));
                assert_eq!(timers.take(id), None, "an id is valid once");
            } else {
                expected.push(what);
            }
        }
        expected.sort_unstable();
        assert_eq!(timers.len(), expected.len());

        let (mut due, mut fired) = (VecDeque::new(), Vec::new());
        for ms in 0..500 {
            timers.take_due(at(ms), &mut due);
            fired.extend(due.drain(..).filter_map(|id| timers.take(id)));
        }
        assert_eq!(fired, expected);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_million_cancelled_timers_leave_no_memory_behind() {
        let mut timers = Timers::new();
        let at = Instant::now() + Duration::from_secs(3_600);
        for _ in 0..1_000_000 {
            let id = timers.set(at, ());
            timers.take(id);
        }
        assert_eq!(timers.len(), 0);
        assert!(timers.heap.capacity() < 16 && timers.timers.capacity() < 16);
    }

    #[test]
    fn among_a_million_timers_each_call_makes_few_steps_and_none_allocates() {
        const ALIVE: u64 = 1_000_000;
        let start = Instant::now();
        // Spread by a multiplication: neither in order nor against it.
        let at = |i: u64| start + Duration::from_nanos(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
        let mut timers = Timers::new();
        let mut ids: Vec<_> = (0..ALIVE).map(|i| timers.set(at(i), i)).collect();
        let sizes = |timers: &Timers<u64>| (timers.heap.capacity(), timers.timers.capacity());
        let before = sizes(&timers);
        // The depth of the heap is ten: four to the tenth is 1,048,576.
        let mut most = 0;
        let mut steps = |call: &mut dyn FnMut()| {
            let swaps = SWAPS.get();
            call();
            most = most.max(SWAPS.get() - swaps);
        };
        for i in 0..ALIVE {
            let id = &mut ids[(i.wrapping_mul(7_919) % ALIVE) as usize];
            steps(&mut || assert!(timers.take(*id).is_some()));
            steps(&mut || *id = timers.set(at(ALIVE + i), i));
        }
        assert!(most <= 10, "{most} steps");
        assert_eq!(timers.len() as u64, ALIVE);
        assert_eq!(sizes(&timers), before, "a cancelled timer leaves room for the next");
        for id in ids {
            assert!(timers.take(id).is_some());
        }
        assert_eq!((timers.len(), timers.heap.len(), timers.next()), (0, 0, None));
    }
}
