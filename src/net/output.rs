//! How a connection writes: it gathers what one callback writes, and keeps what the kernel does not take.

use std::io::{self, IoSlice, Write};

use super::chunk::Chunk;
use super::close_reason::CloseReason;
use super::file_range::FileRange;
use super::link::{Facts, Link};
use super::stream_io::StreamIo;

/// At this size, what was gathered is written at once. A single write of this size is not gathered.
const WORTH_A_CALL: usize = 64 << 10;

/// Below this size a chunk is copied: that costs less than to keep it.
const SMALL_CHUNK: usize = 512;

impl Link {
    /// Returns the number of bytes in the write buffer, without what was gathered in this call.
    #[inline]
    pub(super) fn kept(&self) -> usize {
        let kept = self.buffers.as_ref().map_or(0, |buffers| buffers.write_buffer.len());
        kept.saturating_add(self.layer().map_or(0, |layer| layer.output.len()))
    }

    /// Returns the number of bytes that the kernel has not taken.
    #[inline]
    pub(super) fn unsent(&self, stream: &StreamIo<'_>) -> usize {
        stream.gathered().len().saturating_add(self.kept())
    }

    /// Returns whether more may be written: the connection is open and its write buffer has room.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        let full = Facts::OVER_HIGH_MARK | Facts::FINISHING | Facts::DETACHING;
        self.is_open() && !self.facts.intersects(full)
    }

    /// Sends a copy of `data`. Returns whether there is room for more.
    #[inline]
    pub(super) fn write(&mut self, stream: &mut StreamIo<'_>, data: &[u8]) -> bool {
        if self.is_ordinary() && data.len() < WORTH_A_CALL {
            if stream.gathered().is_empty() {
                // From its first byte on, the peer must not take an end for the end of the output.
                stream.get_ref().note_owed(!data.is_empty());
            }
            stream.gathered_mut().extend_from_slice(data);
            let size = stream.gathered().len();
            if size < WORTH_A_CALL && size <= self.options().marks.high {
                return true;
            }
            self.end_write(stream);
        } else if self.begin_write(stream) {
            if self.kept() > 0 {
                self.buffers_mut().write_buffer.push(data);
            } else if data.len() < WORTH_A_CALL {
                stream.gathered_mut().extend_from_slice(data);
            } else if self.is(Facts::LAYERED) {
                let result = self.write_layered(stream, data);
                self.flushed(stream, result);
            } else {
                self.write_at_once(stream, data);
            }
            self.end_write(stream);
        }
        self.has_room()
    }

    /// Sends a chunk without a copy.
    pub(super) fn send(&mut self, stream: &mut StreamIo<'_>, chunk: Chunk) -> bool {
        if chunk.as_ref().len() < SMALL_CHUNK {
            return self.write(stream, chunk.as_ref());
        }
        if self.begin_write(stream) {
            self.buffers_mut().write_buffer.push_chunk(chunk);
            self.end_write(stream);
        }
        self.has_room()
    }

    /// Sends a part of a file.
    pub(super) fn send_file(&mut self, stream: &mut StreamIo<'_>, file: FileRange) -> bool {
        if self.begin_write(stream) {
            self.buffers_mut().write_buffer.push_file(file);
            self.end_write(stream);
        }
        self.has_room()
    }

    /// Returns whether the connection takes output.
    fn begin_write(&mut self, stream: &mut StreamIo<'_>) -> bool {
        if !self.is_open() || self.facts.intersects(Facts::FINISHING | Facts::DETACHING) {
            return false;
        }
        stream.get_ref().note_owed(true);
        if self.overflow().is_some() {
            // What was written before is too much. This write does not count: however large it is, the
            // peer had no chance to read it. The peer may have read since the last event.
            self.flush(stream);
            if let Some(reason) = self.overflow() {
                self.fail(reason);
            }
            stream.get_ref().note_owed(true);
        }
        self.is_open()
    }

    /// Writes at once what is large, unless the kernel has no room.
    fn end_write(&mut self, stream: &mut StreamIo<'_>) {
        if !self.is_open() {
            return; // it has failed: what it owes is not sent
        }
        let high = self.options().marks.high;
        let unsent = self.unsent(stream);
        stream.get_ref().note_owed(unsent > 0); // nothing, if what was written is empty
        if !self.is(Facts::BLOCKED) && (unsent >= WORTH_A_CALL || unsent > high) {
            self.flush(stream);
        } else if unsent > high {
            self.facts |= Facts::OVER_HIGH_MARK;
        }
        self.count_buffered(stream);
    }

    /// Returns why the connection must not hold more output, if it must not.
    fn overflow(&self) -> Option<CloseReason> {
        let layered = self.layer().map_or(0, |layer| layer.output.held());
        let held = self.buffers.as_ref().map_or(0, |buffers| buffers.write_buffer.held()) + layered;
        if held > self.options().marks.limit {
            Some(CloseReason::OutputOverflow)
        } else if held > 0 && self.is_over_share() {
            Some(CloseReason::ListenerOverflow)
        } else {
            None
        }
    }

    /// Writes what was gathered, and then `data`, without a copy of what the kernel takes.
    fn write_at_once(&mut self, stream: &mut StreamIo<'_>, data: &[u8]) {
        let gathered = stream.take_gathered();
        let (mut first, mut then) = (&gathered[..], data);
        let result = loop {
            let slices = [IoSlice::new(first), IoSlice::new(then)];
            let written = match first {
                [] => stream.write(then),
                _ => stream.write_vectored(&slices),
            };
            match written {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    let of_first = count.min(first.len());
                    (first, then) = (&first[of_first..], &then[count - of_first..]);
                }
                Err(error) => break Err(error),
            }
            if then.is_empty() {
                break Ok(());
            }
        };
        let write_buffer = &mut self.buffers_mut().write_buffer;
        write_buffer.push(first);
        write_buffer.push(then);
        stream.return_gathered(gathered);
        self.flushed(stream, would_block_is_fine(result));
    }

    /// Writes before the callback has returned, unless the kernel has no room.
    pub(super) fn flush_early(&mut self, stream: &mut StreamIo<'_>) {
        if !self.is(Facts::BLOCKED) {
            self.flush(stream);
        }
    }

    /// Writes until all is written or the kernel takes no more.
    pub(super) fn flush(&mut self, stream: &mut StreamIo<'_>) {
        if self.is(Facts::LAYERED) {
            self.flush_layered(stream);
        } else if self.kept() == 0 {
            self.flush_ordinary(stream);
        } else {
            self.keep_gathered(0, stream);
            let result = self.flush_kept(stream);
            self.flushed(stream, result);
        }
    }

    /// As [`flush`](Self::flush), while nothing is kept and there is no filter.
    #[inline(always)] // into the short way
    pub(super) fn flush_ordinary(&mut self, stream: &mut StreamIo<'_>) {
        debug_assert!(self.kept() == 0 && !self.is(Facts::LAYERED));
        if stream.gathered().is_empty() {
            return;
        }
        match stream.write_gathered() {
            Ok(count) if count == stream.gathered().len() => {
                stream.gathered_mut().clear();
                stream.get_ref().note_owed(false);
                self.facts.remove(Facts::BLOCKED);
            }
            written => self.keep_unsent(written, stream),
        }
    }

    /// Keeps what the kernel has not taken of what was gathered.
    #[inline(never)]
    fn keep_unsent(&mut self, written: io::Result<usize>, stream: &mut StreamIo<'_>) {
        self.keep_gathered(*written.as_ref().unwrap_or(&0), stream);
        let result = match written {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => self.flush_kept(stream),
            Err(error) => would_block_is_fine(Err(error)),
        };
        self.flushed(stream, result);
    }

    /// Puts what was gathered before what is kept, without its first `sent` bytes.
    fn keep_gathered(&mut self, sent: usize, stream: &mut StreamIo<'_>) {
        let gathered = stream.take_gathered();
        self.buffers_mut().write_buffer.push_front(&gathered[sent..]);
        stream.return_gathered(gathered);
    }

    fn flush_kept(&mut self, stream: &mut StreamIo<'_>) -> io::Result<()> {
        let (has_written, result) = self.buffers_mut().write_buffer.flush(stream);
        if has_written {
            self.note_progress();
        }
        result
    }

    /// Notes what a flush has left.
    pub(super) fn flushed(&mut self, stream: &mut StreamIo<'_>, result: io::Result<()>) {
        let kept = self.kept();
        stream.get_ref().note_owed(kept > 0);
        self.facts.set(Facts::BLOCKED, kept > 0);
        if kept > 0 {
            self.facts |= Facts::BACKLOG;
            if kept > self.options().marks.high {
                self.facts |= Facts::OVER_HIGH_MARK;
            }
        }
        self.count_buffered(stream);
        if let Err(error) = result {
            self.fail(CloseReason::Failed(error));
        }
    }

    /// Notes that nothing is kept any more. Returns false if nothing was.
    pub(super) fn end_backlog(&mut self) -> bool {
        let has_one = self.is(Facts::BACKLOG);
        self.facts.remove(Facts::BACKLOG);
        has_one
    }

    /// Returns whether the write buffer, which was above its high mark, has fallen to its low mark.
    pub(super) fn fell_to_low_mark(&mut self) -> bool {
        let has_fallen = self.is(Facts::OVER_HIGH_MARK) && self.kept() <= self.options().marks.low;
        if has_fallen {
            self.facts.remove(Facts::OVER_HIGH_MARK);
        }
        has_fallen
    }

    /// Ends our side after what is owed.
    pub(super) fn finish(&mut self) {
        if self.is_open() {
            self.facts |= Facts::FINISHING;
        }
    }
}

fn would_block_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        result => result,
    }
}
