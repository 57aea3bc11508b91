//! The heap of the timers and deadlines.

use super::Timers;
use super::item::{HeapItem, Owner, Packed, Place};

pub(super) const CHILDREN: usize = 4;

/// So many timers that are due leave the heap one by one, however many there are.
pub(super) const FEW: usize = 8;

/// To rebuild a heap costs about as much as to remove one of so many items.
const REBUILD: usize = 32;

#[cfg(test)]
std::thread_local! {
    /// How often an item was put into a place of a heap.
    pub(super) static MOVES: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

impl<T> Timers<T> {
    /// Moves the items that are due at `now` to the list of those. They leave the heap, but one of them
    /// can still cancel another. A deadline that was postponed stays, at its new time.
    pub(super) fn take_due(&mut self, now: i64) {
        let count = self.count_due(0, now);
        if count > FEW && count >= self.heap.len() / REBUILD {
            return self.take_due_at_once(now);
        }
        while let Some(&item) = self.heap.first()
            && item.at <= now
        {
            if item.until > item.at {
                self.reserve_orders(1);
                self.heap[0].find_place(&mut self.order);
                self.sift_down(0);
            } else {
                self.remove_from_heap(0);
                self.add_due(item.owner);
            }
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
    fn take_due_at_once(&mut self, now: i64) {
        self.reserve_orders(self.heap.len());
        let mut reached: Vec<HeapItem> = Vec::new();
        self.heap.retain(|&item| {
            if item.at <= now {
                reached.push(item);
            }
            item.at > now
        });
        reached.sort_unstable_by_key(HeapItem::key);
        for item in reached.iter_mut().filter(|item| item.until > item.at) {
            item.find_place(&mut self.order);
        }
        reached.sort_unstable_by_key(HeapItem::key);
        let count = reached.partition_point(|item| item.at <= now);
        for item in &reached[..count] {
            self.add_due(item.owner);
        }
        self.heap.extend_from_slice(&reached[count..]);
        for position in (0..self.heap.len()).rev() {
            self.sift_down(position);
        }
    }

    fn add_due(&mut self, owner: Packed) {
        self.set_place(owner, Place::DUE);
        self.due.push_back(owner);
    }

    pub(super) fn push(&mut self, at: i64, owner: Owner) {
        self.reserve_orders(1);
        self.heap.push(HeapItem { at, until: at, order: self.order, owner: owner.pack() });
        self.order += 1;
        self.sift_up(self.heap.len() - 1);
    }

    /// Makes sure that there are so many more numbers.
    fn reserve_orders(&mut self, count: usize) {
        if ((u32::MAX - self.order) as usize) < count {
            self.number_again();
        }
    }

    /// Gives the items numbers from zero on, in their order. (A sorted list is a heap.)
    #[cold]
    fn number_again(&mut self) {
        self.heap.sort_unstable_by_key(HeapItem::key);
        for position in 0..self.heap.len() {
            self.heap[position].order = position as u32;
            self.put(self.heap[position], position);
        }
        self.order = self.heap.len() as u32;
    }

    pub(super) fn remove_from_heap(&mut self, position: usize) {
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
        MOVES.set(MOVES.get() + 1);
        self.heap[position] = item;
        self.set_place(item.owner, Place(position as u32));
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
