//! The write buffer: bytes that the kernel has not taken yet.

use std::io::{self, Write};

/// Bytes that wait to be written. When it is empty, it owns no memory.
#[derive(Debug, Default)]
pub(super) struct WriteBuffer {
    bytes: Vec<u8>,
    /// How many of the bytes were written.
    written: usize,
}

impl WriteBuffer {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        // Written bytes are removed only when that frees at least half: so each byte moves once.
        if self.written > self.bytes.len() / 2 {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes until the kernel takes no more. Returns the number of bytes written, and the error that
    /// ended it.
    pub(super) fn flush(&mut self, stream: &mut impl Write) -> (usize, io::Result<()>) {
        let (count, result) = write(stream, &self.bytes[self.written..]);
        self.written += count;
        if self.is_empty() {
            self.clear();
        }
        (count, result)
    }

    pub(super) fn clear(&mut self) {
        *self = WriteBuffer::default();
    }
}

/// Writes until the kernel takes no more. Returns the number of bytes written, and the error that
/// ended it.
pub(super) fn write(stream: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `room` bytes, then no more.
    struct Narrow {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for Narrow {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            let count = buffer.len().min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room -= count;
            self.taken.extend_from_slice(&buffer[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_not_taken_is_kept_in_order_and_an_empty_buffer_owns_no_memory() {
        let mut write_buffer = WriteBuffer::default();
        let mut peer = Narrow { taken: Vec::new(), room: 0 };
        let mut expected = Vec::new();
        for round in 0..100_u8 {
            let piece = vec![round; usize::from(round)];
            write_buffer.push(&piece);
            expected.extend_from_slice(&piece);
            peer.room = 30;
            write_buffer.flush(&mut peer).1.unwrap();
            assert_eq!(peer.taken.len() + write_buffer.len(), expected.len());
            assert!(write_buffer.bytes.len() <= 2 * write_buffer.len() + usize::from(round) + 30);
        }
        peer.room = usize::MAX;
        write_buffer.flush(&mut peer).1.unwrap();
        assert_eq!(peer.taken, expected);
        assert_eq!(write_buffer.bytes.capacity(), 0);
    }
}
