//! A number that threads count up together.

use std::fmt;
#[cfg(target_has_atomic = "64")]
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(target_has_atomic = "64"))]
use std::sync::{Mutex, PoisonError};

/// A counter of 64 bits, which threads share. Some machines of 32 bits (MIPS, PowerPC) have no atomic
/// number of this size, and use a lock.
/// A count says nothing about what else the threads have done: the order is relaxed.
pub(crate) struct Counter {
    #[cfg(target_has_atomic = "64")]
    count: AtomicU64,
    #[cfg(not(target_has_atomic = "64"))]
    count: Mutex<u64>,
}

#[cfg(target_has_atomic = "64")]
impl Counter {
    pub(crate) const fn new() -> Self {
        Counter { count: AtomicU64::new(0) }
    }

    /// Adds one. Returns the count before.
    pub(crate) fn add_one(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn get(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

#[cfg(not(target_has_atomic = "64"))]
impl Counter {
    pub(crate) const fn new() -> Self {
        Counter { count: Mutex::new(0) }
    }

    /// Adds one. Returns the count before.
    pub(crate) fn add_one(&self) -> u64 {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        *count - 1
    }

    pub(crate) fn get(&self) -> u64 {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.get(), f)
    }
}
