//! Timers: a heap from which cancelled timers are removed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use slab::Slab;

/// Identifies a timer, so that it can be cancelled. An id is never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimerId {
    slot: u32,
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
    /// From where the times in the heap are counted.
    start: Instant,
}

#[derive(Debug)]
struct Timer<T> {
    number: u64,
    value: T,
    /// Its position in the heap. [`OUT`] once it is due and has left the heap.
    position: u32,
}

/// The position of a timer that is not in the heap.
const OUT: u32 = u32::MAX;

/// The heap holds the keys, so that a comparison needs no access to the timers.
#[derive(Debug, Clone, Copy)]
struct HeapItem {
    /// When it is due, in nanoseconds after the start. A number is smaller than an instant, and sooner
    /// compared.
    at: i64,
    number: u64,
    slot: u32,
}

impl HeapItem {
    fn key(&self) -> (i64, u64) {
        (self.at, self.number)
    }

    fn id(&self) -> TimerId {
        TimerId { slot: self.slot, number: self.number }
    }
}

const CHILDREN: usize = 4;

/// So many timers that are due leave the heap one by one, however many there are.
const FEW: usize = 8;

/// To rebuild a heap costs about as much as to remove one of so many items.
const REBUILD: usize = 32;

impl<T> Timers<T> {
    /// Returns no timers. Most will be due after `start`.
    pub(super) fn new(start: Instant) -> Self {
        Timers { timers: Slab::new(), heap: Vec::new(), number: 0, start }
    }

    /// Returns when the next timer is due.
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
        let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        match at.checked_duration_since(self.start) {
            Some(after) => nanos(after),
            None => -nanos(self.start.saturating_duration_since(at)),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.timers.len()
    }

    pub(super) fn set(&mut self, at: Instant, value: T) -> TimerId {
        let number = self.number;
        self.number += 1;
        let slot = self.timers.insert(Timer { number, value, position: OUT }) as u32;
        self.push(HeapItem { at: self.nanos(at), number, slot });
        TimerId { slot, number }
    }

    /// Returns the value of a timer, due or not. Returns `None` if it has fired or was cancelled.
    pub(super) fn get_mut(&mut self, id: TimerId) -> Option<&mut T> {
        let timer = self.timers.get_mut(id.slot as usize)?;
        (timer.number == id.number).then_some(&mut timer.value)
    }

    /// Sets a timer that is due once more, under its id. Does nothing if it was cancelled.
    pub(super) fn set_again(&mut self, id: TimerId, at: Instant) {
        let TimerId { slot, number } = id;
        let timer = self.timers.get(slot as usize);
        if timer.is_some_and(|timer| timer.number == number && timer.position == OUT) {
            self.push(HeapItem { at: self.nanos(at), number, slot });
        }
    }

    /// Removes a timer, due or not. Returns `None` if it has fired or was cancelled.
    pub(super) fn take(&mut self, id: TimerId) -> Option<T> {
        let slot = id.slot as usize;
        if self.timers.get(slot)?.number != id.number {
            return None;
        }
        let timer = self.timers.remove(slot);
        if timer.position != OUT {
            self.remove_from_heap(timer.position as usize);
        }
        Some(timer.value)
    }

    /// Appends the timers due at `now` to `due`, in order. They leave the heap, but must still be
    /// [taken](Self::take), so that one of them can cancel another.
    pub(super) fn take_due(&mut self, now: Instant, due: &mut VecDeque<TimerId>) {
        let now = self.nanos(now);
        let count = self.count_due(0, now);
        if count > FEW && count >= self.heap.len() / REBUILD {
            return self.take_due_at_once(now, due);
        }
        for _ in 0..count {
            let item = self.heap[0];
            self.remove_from_heap(0);
            self.timers[item.slot as usize].position = OUT;
            due.push_back(item.id());
        }
    }

    /// Returns how many items are due, of the one at `position` and those below it. Below one that is
    /// not due, none is.
    fn count_due(&self, position: usize, now: i64) -> usize {
        match self.heap.get(position) {
            Some(item) if item.at <= now => {
                let children = self.children(position);
                1 + children.map(|child| self.count_due(child, now)).sum::<usize>()
            }
            _ => 0,
        }
    }

    /// As [`take_due`](Self::take_due): sorts what is due, and makes a new heap of the rest.
    fn take_due_at_once(&mut self, now: i64, due: &mut VecDeque<TimerId>) {
        let mut taken: Vec<HeapItem> = Vec::new();
        self.heap.retain(|&item| {
            if item.at <= now {
                taken.push(item);
            }
            item.at > now
        });
        taken.sort_unstable_by_key(HeapItem::key);
        for item in taken {
            self.timers[item.slot as usize].position = OUT;
            due.push_back(item.id());
        }
        for position in (0..self.heap.len()).rev() {
            self.sift_down(position);
        }
    }

    fn push(&mut self, item: HeapItem) {
        self.heap.push(item);
        self.sift_up(self.heap.len() - 1);
    }

    fn remove_from_heap(&mut self, position: usize) {
        self.heap.swap_remove(position);
        let Some(item) = self.heap.get(position) else { return };
        if position > 0 && item.key() < self.heap[(position - 1) / CHILDREN].key() {
            self.sift_up(position);
        } else {
            self.sift_down(position);
        }
    }

    fn put(&mut self, item: HeapItem, position: usize) {
        #[cfg(test)]
        tests::MOVES.set(tests::MOVES.get() + 1);
        self.heap[position] = item;
        self.timers[item.slot as usize].position = position as u32;
    }

    fn children(&self, position: usize) -> std::ops::Range<usize> {
        let first = position * CHILDREN + 1;
        first..(first + CHILDREN).min(self.heap.len())
    }

    fn sift_up(&mut self, mut position: usize) {
        let item = self.heap[position];
        while position > 0 {
            let parent = (position - 1) / CHILDREN;
            if self.heap[parent].key() <= item.key() {
                break;
            }
            self.put(self.heap[parent], position);
            position = parent;
        }
        self.put(item, position);
    }

    fn sift_down(&mut self, mut position: usize) {
        let item = self.heap[position];
        while let Some(least) = self.children(position).min_by_key(|&child| self.heap[child].key())
            && self.heap[least].key() < item.key()
        {
            self.put(self.heap[least], position);
            position = least;
        }
        self.put(item, position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::time::Duration;

    std::thread_local! {
        /// How often an item was put into a place of a heap.
        pub(super) static MOVES: Cell<u64> = const { Cell::new(0) };
    }

    #[test]
    fn timers_fire_in_order_and_cancelled_ones_do_not() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut timers = Timers::new(start);
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

    /// Few leave the heap one by one, and many at once. Both ways keep the order, and what is left is a
    /// heap again, from which each can be cancelled.
    #[test]
    fn however_many_are_due_they_come_in_order_and_the_rest_stays() {
        const ALIVE: u64 = 2_000;
        let start = Instant::now();
        let at = |i: u64| start + Duration::from_millis(1_000) - Duration::from_millis(i);
        for share in [1, 7, 8, 9, 61, 62, 63, 64, 500, 1_999, 2_000] {
            let mut timers = Timers::new(start);
            let place = |i: u64| i * 7_919 % ALIVE;
            let ids: Vec<_> = (0..ALIVE).map(|i| timers.set(at(place(i)), place(i))).collect();
            let mut due = VecDeque::new();
            timers.take_due(at(ALIVE - share), &mut due);
            let fired: Vec<_> = due.into_iter().filter_map(|id| timers.take(id)).collect();
            assert!(fired.iter().copied().eq((ALIVE - share..ALIVE).rev()), "{share}: {fired:?}");
            let left = (share < ALIVE).then(|| at(ALIVE - share - 1));
            assert_eq!(timers.next(), left);
            for id in ids {
                timers.take(id);
            }
            assert_eq!((timers.len(), timers.heap.len()), (0, 0));
        }
    }

    #[test]
    fn what_is_due_has_left_the_heap_however_many_it_is() {
        let now = Instant::now();
        for count in [1, FEW, FEW + 1, 100] {
            let mut timers = Timers::new(now);
            let ids: Vec<_> = (0..count).map(|i| timers.set(now, i)).collect();
            let mut due = VecDeque::new();
            timers.take_due(now, &mut due);
            assert!(due.into_iter().eq(ids.iter().copied()));
            assert_eq!((timers.next(), timers.len()), (None, count));
            // So each can be set again, and only once.
            let later = now + Duration::from_secs(1);
            for &id in &ids {
                timers.set_again(id, later);
                timers.set_again(id, now);
            }
            assert_eq!((timers.next(), timers.heap.len()), (Some(later), count));
        }
    }

    #[test]
    fn each_item_comes_after_its_parent_whatever_is_removed() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        let mut ids: VecDeque<TimerId> = VecDeque::new();
        let mut random = 1_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        for _ in 0..20_000 {
            let at = start + Duration::from_nanos(next(1_000));
            ids.push_back(timers.set(at, ()));
            if ids.len() > 60 {
                let id = ids.swap_remove_back(next(60) as usize).unwrap();
                assert!(timers.take(id).is_some());
            }
            let keys: Vec<_> = timers.heap.iter().map(HeapItem::key).collect();
            let is_heap = (1..keys.len()).all(|child| keys[(child - 1) / CHILDREN] < keys[child]);
            assert!(is_heap, "{keys:?}");
        }
    }

    #[test]
    fn a_million_cancelled_timers_leave_no_memory_behind() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        let at = start + Duration::from_secs(3_600);
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
        let mut timers = Timers::new(start);
        let mut ids: Vec<_> = (0..ALIVE).map(|i| timers.set(at(i), i)).collect();
        let sizes = |timers: &Timers<u64>| (timers.heap.capacity(), timers.timers.capacity());
        let before = sizes(&timers);
        // The depth of the heap is ten: four to the tenth is 1,048,576. And the item itself is put.
        let mut most = 0;
        let mut steps = |call: &mut dyn FnMut()| {
            let before = MOVES.get();
            call();
            most = most.max(MOVES.get() - before);
        };
        for i in 0..ALIVE {
            let id = &mut ids[(i.wrapping_mul(7_919) % ALIVE) as usize];
            steps(&mut || assert!(timers.take(*id).is_some()));
            steps(&mut || *id = timers.set(at(ALIVE + i), i));
        }
        assert!(most <= 11, "{most} steps");
        assert_eq!(timers.len() as u64, ALIVE);
        assert_eq!(sizes(&timers), before, "a cancelled timer leaves room for the next");
        for id in ids {
            assert!(timers.take(id).is_some());
        }
        assert_eq!((timers.len(), timers.heap.len(), timers.next()), (0, 0, None));
    }
}
