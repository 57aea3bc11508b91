//! How much one call of a handler may do.

/// Limits what one call of a handler may do, so that other sources get their turn.
///
/// When the budget is used up, operations return `WouldBlock` although they would not block. The
/// source stays ready, and its handler is called again in the next turn.
///
/// ```
/// use std::io::{PipeReader, Read, Write};
/// use tripoll::reactor::Budget;
/// use tripoll::{Context, Deadline, Next, Interest, Reactor, Source};
///
/// let (reader, mut writer) = std::io::pipe()?;
/// let mut reactor = Reactor::builder().budget(Budget::new(2, 1_000)).build_with(0)?;
/// let read = |pipe: &mut Source<PipeReader>, cx: &mut Context<usize>| -> std::io::Result<Next> {
///     loop {
///         *cx.state += pipe.read(&mut [0; 10])?; // `WouldBlock` after two reads
///     }
/// };
/// reactor.context().add(reader, Interest::READ, read)?;
/// writer.write_all(&[0; 50])?;
/// reactor.turn(Deadline::Never)?;
/// assert_eq!(*reactor.state(), 20); // and now other sources have their turn
/// reactor.turn(Deadline::Never)?;
/// assert_eq!(*reactor.state(), 40);
/// assert_eq!(reactor.context().counters().cut_off, 2);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    operations: u32,
    bytes: u32,
}

impl Budget {
    /// Returns a budget of `operations` (reads, writes, accepts) and of `bytes`, read and written
    /// together. The operation that exceeds `bytes` is the last one. Zero counts as one.
    ///
    /// Default: 64 operations, 262,144 bytes.
    pub const fn new(operations: u32, bytes: u32) -> Self {
        Budget {
            operations: if operations == 0 { 1 } else { operations },
            bytes: if bytes == 0 { 1 } else { bytes },
        }
    }

    /// Returns the number of operations.
    pub const fn operations(self) -> u32 {
        self.operations
    }

    /// Returns the number of bytes.
    pub const fn bytes(self) -> u32 {
        self.bytes
    }
}

impl Default for Budget {
    fn default() -> Self {
        Budget::new(64, 256 << 10)
    }
}
