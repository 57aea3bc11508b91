//! What is to be done when: a heap that forgets what is cancelled.

use std::collections::VecDeque;
use std::time::Instant;

use slab::Slab;

/// The name of a timer, for cancelling it. A name is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimerId {
    slot: usize,
    number: u64,
}

/// Timers in the order in which they are due; those due at the same instant in the order in which
/// they were set.
///
/// A four-ary heap whose entries know their timers and whose timers know their entries, so that a
/// cancelled timer is *removed*. (Kept until due, the dead timers of a busy server outnumber the
/// living by thousands.)
#[derive(Debug)]
pub(super) struct Timers<T> {
    timers: Slab<Timer<T>>,
    heap: Vec<HeapItem>,
    number: u64,
}

#[derive(Debug)]
struct Timer<T> {
    number: u64,
    /// Where in the heap it stands; `None` once it is due and out of it.
    position: Option<usize>,
    value: T,
}

/// The key is kept in the heap itself: comparing touches no timer.
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

    /// When the next one is due.
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

    /// Takes a timer out, whether it is due or not. `None` if it has fired or was cancelled.
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

    /// Names those due at `now`, in order. They are out of the heap and still to be
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

    /// Tells the timer at `position` where it stands.
    fn update_position(&mut self, position: usize) {
        self.timers[self.heap[position].slot].position = Some(position);
    }

    fn swap(&mut self, one: usize, other: usize) {
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
    use std::time::Duration;

    #[test]
    fn they_ring_in_order_and_a_cancelled_one_is_gone() {
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
                assert_eq!(timers.take(id), None, "a name is good for once");
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
    fn a_million_set_and_cancelled_leave_nothing_behind() {
        let mut timers = Timers::new();
        let at = Instant::now() + Duration::from_secs(3_600);
        for _ in 0..1_000_000 {
            let id = timers.set(at, ());
            timers.take(id);
        }
        assert_eq!(timers.len(), 0);
        assert!(timers.heap.capacity() < 16 && timers.timers.capacity() < 16);
    }
}
