//! A part of a file that waits to be sent.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A part of a file that waits to be sent.
#[derive(Debug)]
pub(super) struct FileRange {
    pub(super) file: Arc<File>,
    /// What was asked for.
    whole: Range<u64>,
    /// Where the rest begins.
    pub(super) at: u64,
}

/// How much is read at once where the kernel does not send the file by itself.
const READ: usize = 64 << 10;

impl FileRange {
    pub(super) fn new(file: Arc<File>, range: Range<u64>) -> Self {
        FileRange { file, at: range.start, whole: range }
    }

    /// Returns how many bytes are left.
    pub(super) fn len(&self) -> u64 {
        self.whole.end.saturating_sub(self.at)
    }

    /// Reads the next bytes.
    pub(super) fn read(&mut self) -> io::Result<Vec<u8>> {
        if i64::try_from(self.at).is_err() {
            return Err(self.too_short()); // no file is so large, and `pread(2)` says EINVAL
        }
        let mut bytes = vec![0; usize::try_from(self.len()).unwrap_or(READ).min(READ)];
        let count = self.file.read_at(&mut bytes, self.at)?;
        if count == 0 {
            return Err(self.too_short());
        }
        bytes.truncate(count);
        self.at += count as u64;
        Ok(bytes)
    }

    /// Returns the error of a file that ends before the range does.
    pub(super) fn too_short(&self) -> io::Error {
        let Range { start, end } = self.whole;
        let size = self.file.metadata().map_or(self.at, |metadata| metadata.len());
        let message =
            format!("the file has {size} bytes, and was to be sent from {start} to {end}");
        io::Error::new(io::ErrorKind::UnexpectedEof, message)
    }
}
