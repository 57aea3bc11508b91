//! When a connection stops and resumes reading because of its write buffer.

/// How much may be kept for a peer that does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Watermarks {
    /// Above this many unsent bytes nothing more is read from the peer. 64 KiB by default.
    pub high: usize,
    /// At or below this many it is read from again. 16 KiB by default.
    pub low: usize,
    /// Above this many the connection is closed. 16 MiB by default.
    pub limit: usize,
}

impl Watermarks {
    pub(super) const DEFAULT: Self = Watermarks::new(16 << 10, 64 << 10, 16 << 20);

    /// Marks in this order: `low` < `high` ≤ `limit`. What is out of order is moved up.
    pub const fn new(low: usize, high: usize, limit: usize) -> Self {
        let high = if high <= low { low.saturating_add(1) } else { high };
        let limit = if limit < high { high } else { limit };
        Watermarks { high, low, limit }
    }
}

impl Default for Watermarks {
    fn default() -> Self {
        Watermarks::DEFAULT
    }
}
