//! What a pool has done.

/// Counts what a [`Pool`](super::Pool) is doing, and what it has done since it was created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolCounters {
    /// Jobs in the queue now.
    pub queued: usize,
    /// Jobs that workers run now.
    pub working: usize,
    /// Jobs that have ended, those that panicked included.
    pub done: u64,
    /// Jobs that had to wait in the queue, because all workers were busy. When this number grows as fast
    /// as that of the jobs, the pool is too small.
    pub waited: u64,
    /// Jobs that were refused because the queue was full.
    pub refused: u64,
    /// Jobs that panicked.
    pub panics: u64,
}
