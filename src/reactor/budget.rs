//! How much one call of a handler may do.

/// How much one call of a handler may do before it is somebody else's turn.
///
/// When it is used up, operations say `WouldBlock` although they would not; the source stays ready
/// and is called again in the next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    operations: u32,
    bytes: u32,
}

impl Budget {
    /// So many operations (reads, writes, accepts; 64 by default), and so many bytes read and
    /// written together (256 KiB by default; the operation that passes it is the last). Each at
    /// least one.
    pub const fn new(operations: u32, bytes: u32) -> Self {
        Budget {
            operations: if operations == 0 { 1 } else { operations },
            bytes: if bytes == 0 { 1 } else { bytes },
        }
    }

    /// How many operations.
    pub const fn operations(self) -> u32 {
        self.operations
    }

    /// How many bytes.
    pub const fn bytes(self) -> u32 {
        self.bytes
    }
}

impl Default for Budget {
    fn default() -> Self {
        Budget::new(64, 256 << 10)
    }
}
