//! When a connection stops and resumes reading because of its write buffer.

/// The sizes of the write buffer at which a connection stops reading, reads again, or is closed.
///
/// Two sides that both send much must not both wait until the other one reads: each of them would
/// wait for ever. The rule: at most one of the two may stop reading because of what it has to send.
/// If the peer does, as programs with blocking calls do, let the connection
/// [read above the mark](super::Connection::read_above_mark). Otherwise it is closed after its
/// [`write_timeout`](super::Connection::write_timeout).
///
/// ```
/// use tripoll::net::{Connection, Watermarks};
///
/// let marks = Watermarks::new(1_000, 10_000, 1_000_000);
/// assert_eq!((marks.low, marks.high, marks.limit), (1_000, 10_000, 1_000_000));
/// assert!(Watermarks::new(5, 3, 1).high > 5); // they are put in order
/// # struct Nothing;
/// let connection = Connection::new(Nothing).watermarks(marks);
/// ```
#[doc(alias = "set_write_buffer_limits")]
#[doc(alias = "WriteBufferWaterMark")]
#[doc(alias = "backpressure")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Watermarks {
    /// Above this size the connection stops reading. In bytes. Default: 65,536.
    pub high: usize,
    /// At or below this size it reads again. In bytes. Default: 16,384.
    pub low: usize,
    /// Above this size a further write closes the connection. The size before the write counts, so
    /// that a single write may be of any size: the buffer holds at most the limit and one write. In
    /// bytes. Default: 16 MiB.
    pub limit: usize,
}

impl Watermarks {
    pub(super) const DEFAULT: Self = Watermarks::new(16 << 10, 64 << 10, 16 << 20);

    /// Returns the marks in the order `low` < `high` ≤ `limit`. A mark that is out of order is raised.
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
