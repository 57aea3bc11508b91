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
        for _ in 0..count {
            let item = &mut self.heap[0];
            if item.until > now {
                item.at = item.until;
                self.sift_down(0);
            } else {
                let owner = item.owner;
                self.remove_from_heap(0);
                self.add_due(owner);
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
        let mut due: Vec<HeapItem> = Vec::new();
        self.heap.retain_mut(|item| {
            let is_due = item.until <= now;
            if is_due {
                due.push(*item);
            } else if item.at <= now {
                item.at = item.until;
            }
            !is_due
        });
        due.sort_unstable_by_key(HeapItem::key);
        for item in due {
            self.add_due(item.owner);
        }
        for position in (0..self.heap.len()).rev() {
            self.sift_down(position);
        }
    }

    fn add_due(&mut self, owner: Packed) {
        self.set_place(owner, Place::DUE);
        self.due.push_back(owner);
    }

    pub(super) fn push(&mut self, at: i64, owner: Owner) {
        if self.order == u32::MAX {
            self.number_again();
        }
        self.heap.push(HeapItem { at, until: at, order: self.order, owner: owner.pack() });
        self.order += 1;
        self.sift_up(self.heap.len() - 1);
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
