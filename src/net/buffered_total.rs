//! What all connections of one listener hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Counts the bytes that the connections of one listener hold, in their write buffers and as unused
/// input.
///
/// The total is only a fault of the connections that hold more than an equal share of what is
/// allowed. There is always one of them while the total is exceeded. It may be one that no longer
/// grows, so the others have as much again. Then each connection that holds any is at fault.
#[derive(Debug)]
pub(super) struct BufferedTotal {
    max: usize,
    bytes: AtomicUsize,
    /// Number of connections that hold any.
    holders: AtomicUsize,
}

/// What one connection holds. It is subtracted when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    total: Arc<BufferedTotal>,
    bytes: usize,
}

impl BufferedTotal {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(BufferedTotal { max, bytes: AtomicUsize::new(0), holders: AtomicUsize::new(0) })
    }
}

impl Share {
    pub(super) fn new(total: &Arc<BufferedTotal>, bytes: usize) -> Self {
        total.holders.fetch_add(1, Relaxed);
        total.bytes.fetch_add(bytes, Relaxed);
        Share { total: Arc::clone(total), bytes }
    }

    pub(crate) fn set(&mut self, bytes: usize) {
        if bytes != self.bytes {
            self.total.bytes.fetch_add(bytes, Relaxed);
            self.total.bytes.fetch_sub(self.bytes, Relaxed);
            self.bytes = bytes;
        }
    }

    /// Returns whether the connections hold too much, and this one more than its share.
    pub(crate) fn is_excessive(&self) -> bool {
        let BufferedTotal { max, bytes, holders } = &*self.total;
        let bytes = bytes.load(Relaxed);
        let share = if bytes / 2 < *max { max / holders.load(Relaxed).max(1) } else { 0 };
        bytes > *max && self.bytes > share
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.total.bytes.fetch_sub(self.bytes, Relaxed);
        self.total.holders.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_excessive_when_the_total_is_and_it_is_more_than_an_equal_part() {
        let total = BufferedTotal::new(100);
        let mut large = Share::new(&total, 100);
        assert!(!large.is_excessive(), "the total is not exceeded");
        let small = Share::new(&total, 50);
        assert!(large.is_excessive());
        assert!(!small.is_excessive(), "it has half of what is allowed, and there are two");
        large.set(51);
        assert!(large.is_excessive());
        large.set(50);
        assert!(!large.is_excessive(), "the total is not exceeded any more");
        large.set(60);
        drop(small);
        let small = Share::new(&total, 40);
        assert!(!large.is_excessive(), "the total is what is allowed");
        large.set(300);
        assert!(small.is_excessive(), "three times as much is held");
        large.set(60);
        drop(small);
        assert_eq!((total.bytes.load(Relaxed), total.holders.load(Relaxed)), (60, 1));
        drop(large);
        assert_eq!((total.bytes.load(Relaxed), total.holders.load(Relaxed)), (0, 0));
    }

    #[test]
    fn without_anything_allowed_each_holder_is_excessive_and_without_a_bound_none_is() {
        let nothing = BufferedTotal::new(0);
        assert!(Share::new(&nothing, 1).is_excessive());
        let unlimited = BufferedTotal::new(usize::MAX);
        assert!(!Share::new(&unlimited, 1 << 40).is_excessive());
    }
}
