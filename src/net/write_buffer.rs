//! The write buffer: what the kernel has not taken yet.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, Write};

use super::chunk::Chunk;
use super::file_range::FileRange;

/// Bytes and files that wait to be written, in their order. When it is empty, it owns no memory.
#[derive(Debug, Default)]
pub(super) struct WriteBuffer {
    segments: VecDeque<Segment>,
    /// How many bytes of the first segment were written.
    written: usize,
    /// The number of bytes in it, those of files included. Each file may have up to `u64::MAX`.
    len: u128,
    /// The number of bytes that it holds in memory.
    held: usize,
}

#[derive(Debug)]
enum Segment {
    /// A copy, to which more can be appended.
    Copy(Vec<u8>),
    Chunk(Chunk),
    File(FileRange),
}

impl Segment {
    /// The bytes in memory.
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Segment::Copy(bytes) => Some(bytes),
            Segment::Chunk(chunk) => Some(chunk.as_ref()),
            Segment::File(_) => None,
        }
    }
}

/// Above this size a copy is not appended to, so that what was written is freed soon.
const FULL: usize = 64 << 10;

/// How many segments are written at once, at most.
const AT_ONCE: usize = 32;

/// How much of a file is sent at once, at most. It takes the kernel about as long as to copy a quarter
/// of it.
const FILE_AT_ONCE: u64 = 1 << 20;

/// Up to this size, a file is sent with the bytes before it, in the same packet. It costs more to do so
/// with a larger one: its pages then do not fit into the packets.
const SMALL_FILE: u64 = 32 << 10;

/// Takes what is written.
pub(super) trait Sink: Write {
    /// Writes bytes that a small file follows, to be sent together with it.
    fn write_before_file(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Sends bytes of a file from `at` on; see `sys::send_file`.
    fn send_file(&mut self, file: &File, at: u64, most: usize) -> io::Result<usize>;
}

impl WriteBuffer {
    /// Returns the number of bytes in it, those of files included.
    pub(super) fn len(&self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }

    /// Returns the number of bytes that it holds in memory.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a copy.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.grow(bytes.len());
        match self.segments.back_mut() {
            Some(Segment::Copy(copy)) if copy.len() < FULL => copy.extend_from_slice(bytes),
            _ => self.segments.push_back(Segment::Copy(bytes.to_vec())),
        }
    }

    /// Appends bytes without a copy.
    pub(super) fn push_chunk(&mut self, chunk: Chunk) {
        let size = chunk.as_ref().len();
        if size > 0 {
            self.grow(size);
            self.segments.push_back(Segment::Chunk(chunk));
        }
    }

    /// Appends a part of a file.
    pub(super) fn push_file(&mut self, file: FileRange) {
        if file.len() > 0 {
            self.len += u128::from(file.len());
            self.segments.push_back(Segment::File(file));
        }
    }

    /// Puts a copy before all others. Nothing of the first segment may be written.
    pub(super) fn push_front(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            debug_assert_eq!(self.written, 0);
            self.grow(bytes.len());
            self.segments.push_front(Segment::Copy(bytes.to_vec()));
        }
    }

    fn grow(&mut self, size: usize) {
        self.len += size as u128;
        self.held += size;
    }

    /// Writes until the kernel takes no more. Returns whether it has taken any, and the error that
    /// ended it.
    pub(super) fn flush(&mut self, sink: &mut impl Sink) -> (bool, io::Result<()>) {
        let before = self.len;
        let result = loop {
            match self.write_some(sink) {
                Ok(()) if self.is_empty() => {
                    *self = WriteBuffer::default();
                    break Ok(());
                }
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        (self.len < before, result)
    }

    fn write_some(&mut self, sink: &mut impl Sink) -> io::Result<()> {
        let count = match self.segments.front_mut() {
            None => return Ok(()),
            Some(Segment::File(file)) => {
                let most = file.len().min(FILE_AT_ONCE) as usize;
                match sink.send_file(&file.file, file.at, most) {
                    Ok(0) => return Err(file.too_short()),
                    Ok(count) => {
                        file.at += count as u64;
                        self.len -= count as u128;
                        if file.len() == 0 {
                            self.segments.pop_front();
                        }
                        return Ok(());
                    }
                    Err(error) if cannot_be_sent(&error) => return self.load_file(),
                    Err(error) => return Err(error),
                }
            }
            Some(_) => self.write_bytes(sink)?,
        };
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.advance(count);
        Ok(())
    }

    /// Writes segments in memory.
    fn write_bytes(&self, sink: &mut impl Sink) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); AT_ONCE];
        let mut count = 0;
        let in_memory = self.segments.iter().map_while(Segment::bytes);
        for (slice, bytes) in slices.iter_mut().zip(in_memory) {
            let from = if count == 0 { self.written } else { 0 };
            *slice = IoSlice::new(&bytes[from..]);
            count += 1;
        }
        match (count, self.segments.get(count)) {
            (_, Some(Segment::File(file))) if file.len() <= SMALL_FILE => {
                sink.write_before_file(&slices[..count])
            }
            (1, _) => sink.write(&slices[0]),
            _ => sink.write_vectored(&slices[..count]),
        }
    }

    /// Removes bytes in memory that were written.
    fn advance(&mut self, mut count: usize) {
        self.len -= count as u128;
        self.held -= count;
        while let Some(bytes) = self.segments.front().and_then(Segment::bytes) {
            let rest = bytes.len() - self.written;
            if count < rest {
                self.written += count;
                return;
            }
            count -= rest;
            self.written = 0;
            self.segments.pop_front();
        }
    }

    /// Removes a piece of what comes first, after passing it to `take`.
    pub(super) fn take_piece(
        &mut self,
        take: impl FnOnce(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        self.load_file()?;
        let Some(bytes) = self.segments.front().and_then(Segment::bytes) else { return Ok(()) };
        let rest = &bytes[self.written..];
        let piece = &rest[..rest.len().min(FULL)];
        let size = piece.len();
        take(piece)?;
        self.advance(size);
        Ok(())
    }

    /// Reads the next bytes of the file that comes first, if one does, to write them as others.
    fn load_file(&mut self) -> io::Result<()> {
        if let Some(Segment::File(file)) = self.segments.front_mut() {
            let bytes = file.read()?;
            if file.len() == 0 {
                self.segments.pop_front();
            }
            self.held += bytes.len();
            self.segments.push_front(Segment::Copy(bytes));
        }
        Ok(())
    }
}

/// Returns whether the kernel cannot send this file to this socket by itself.
fn cannot_be_sent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Takes `room` bytes, then no more.
    struct Narrow {
        taken: Vec<u8>,
        room: usize,
        calls: usize,
        calls_before_file: usize,
    }

    impl Write for Narrow {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            let count = buffer.len().min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room -= count;
            self.taken.extend_from_slice(&buffer[..count]);
            Ok(count)
        }

        fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
            let all: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.iter().copied()).collect();
            self.write(&all)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink for Narrow {
        fn write_before_file(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.calls_before_file += 1;
            self.write_vectored(slices)
        }

        fn send_file(&mut self, _: &File, _: u64, _: usize) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(libc::EINVAL))
        }
    }

    fn narrow() -> Narrow {
        Narrow { taken: Vec::new(), room: 0, calls: 0, calls_before_file: 0 }
    }

    #[test]
    fn what_is_not_taken_is_kept_in_order_and_an_empty_buffer_owns_no_memory() {
        let mut write_buffer = WriteBuffer::default();
        let mut peer = narrow();
        let mut expected = Vec::new();
        let shared: Arc<[u8]> = vec![200; 70].into();
        for round in 0..100_u8 {
            let piece = vec![round; usize::from(round)];
            match round % 3 {
                0 => write_buffer.push_chunk(piece.clone().into()),
                1 => write_buffer.push_chunk(Arc::clone(&shared).into()),
                _ => write_buffer.push(&piece),
            }
            expected.extend_from_slice(if round % 3 == 1 { &shared } else { &piece });
            peer.room = 30;
            write_buffer.flush(&mut peer).1.unwrap();
            assert_eq!(peer.taken.len() + write_buffer.len(), expected.len());
            assert_eq!(write_buffer.held(), write_buffer.len());
        }
        peer.room = usize::MAX;
        write_buffer.flush(&mut peer).1.unwrap();
        assert_eq!(peer.taken, expected);
        assert_eq!((write_buffer.segments.capacity(), Arc::strong_count(&shared)), (0, 1));
    }

    #[test]
    fn a_flush_tells_whether_any_was_taken() {
        let mut write_buffer = WriteBuffer::default();
        write_buffer.push(&[1; 10]);
        let mut peer = narrow();
        assert!(!write_buffer.flush(&mut peer).0);
        peer.room = 1;
        assert!(write_buffer.flush(&mut peer).0);
        assert!(!write_buffer.flush(&mut peer).0);
    }

    #[test]
    fn many_segments_are_written_at_once() {
        let mut write_buffer = WriteBuffer::default();
        (0..30).for_each(|number| write_buffer.push_chunk(vec![number; 3].into()));
        let mut peer = narrow();
        peer.room = usize::MAX;
        assert!(write_buffer.flush(&mut peer).0);
        assert_eq!((peer.calls, peer.taken.len()), (1, 90));
    }

    #[test]
    fn what_precedes_a_small_file_is_sent_with_it() {
        let file = Arc::new(File::open(std::env::current_exe().unwrap()).unwrap());
        for (size, together) in [(1, 1), (SMALL_FILE, 1), (SMALL_FILE + 1, 0)] {
            let mut write_buffer = WriteBuffer::default();
            write_buffer.push(b"before");
            write_buffer.push_file(FileRange::new(Arc::clone(&file), 0..size));
            write_buffer.push(b"after");
            let mut peer = narrow();
            peer.room = usize::MAX;
            write_buffer.flush(&mut peer).1.unwrap();
            assert_eq!((peer.taken.len(), peer.calls_before_file), (11 + size as usize, together));
            assert!(peer.taken.starts_with(b"before") && peer.taken.ends_with(b"after"));
        }
    }

    #[test]
    fn what_was_written_is_freed_while_more_is_appended() {
        let mut write_buffer = WriteBuffer::default();
        let mut peer = narrow();
        for _ in 0..1_000 {
            write_buffer.push(&[1; 10_000]);
            peer.room = 10_000;
            write_buffer.flush(&mut peer).1.unwrap();
        }
        write_buffer.push(&[1; 100]);
        for _ in 0..10_000 {
            write_buffer.push(&[1; 100]);
            peer.room = 100;
            write_buffer.flush(&mut peer).1.unwrap();
        }
        let owned: usize = write_buffer.segments.iter().map(|s| s.bytes().unwrap().len()).sum();
        assert!(owned <= FULL + 100, "{owned} bytes");
    }
}
