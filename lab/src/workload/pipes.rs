//! What every layer is measured on: pipes, each a descriptor to read and one to write.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use rustix::io::{Errno, fcntl_dupfd_cloexec, read};
use rustix::pipe::{PipeFlags, pipe_with};
use tripoll::sys::{descriptor_limit, raise_descriptor_limit};

/// A row of pipes whose reading ends have consecutive numbers, the writing ends above them.
///
/// `select` pays for the *number* of the highest descriptor, so if reading and writing ends took
/// turns it would look at twice as many bits as there are pipes to watch.
#[derive(Debug)]
pub struct Pipes {
    readers: Vec<Arc<OwnedFd>>,
    writers: Vec<Arc<OwnedFd>>,
}

/// The lowest reading end: the numbers below are left to everything which is not a pipe of ours.
const FIRST_READER: RawFd = 20;

/// Descriptors that are not pipes of ours: those below, and some which we may have inherited.
const RESERVED: u64 = 40;

impl Pipes {
    /// Opens `n` pipes, non-blocking, and raises the descriptor limit for them if that is needed.
    ///
    /// # Errors
    ///
    /// When the limit does not allow so many; the message has both numbers.
    pub fn open(n: usize) -> io::Result<Self> {
        Pipes::check(n)?;
        raise_descriptor_limit(descriptors_for(n))?;
        let mut pipes = Pipes { readers: Vec::with_capacity(n), writers: Vec::with_capacity(n) };
        for _ in 0..n {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
            // Off the low numbers, among which others hold some, to where there are no gaps.
            let reader = fcntl_dupfd_cloexec(&reader, FIRST_READER)?;
            let first = pipes.readers.first().map_or(reader.as_raw_fd(), |first| first.as_raw_fd());
            let writer = fcntl_dupfd_cloexec(&writer, first + n as RawFd)?;
            // The kernel gives a pipe its memory with the first byte, and whoever is measured first
            // would pay for it.
            write_byte(writer.as_fd())?;
            read_byte(reader.as_fd())?;
            pipes.readers.push(Arc::new(reader));
            pipes.writers.push(Arc::new(writer));
        }
        Ok(pipes)
    }

    /// Whether the descriptor limit, raised as far as it can be, allows `n` pipes.
    ///
    /// # Errors
    ///
    /// When it does not; the message has both numbers.
    pub fn check(n: usize) -> io::Result<()> {
        let (limit, most) = (descriptor_limit()?.hard, Pipes::max()?);
        if n <= most {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{n} pipes need {} descriptors and this process may have {limit}, enough for {most} \
             pipes (`ulimit -Hn`)",
            descriptors_for(n)
        )))
    }

    /// How many pipes the descriptor limit allows when it is raised as far as it can be.
    ///
    /// # Errors
    ///
    /// Whatever the system says about the limit.
    pub fn max() -> io::Result<usize> {
        let limit = descriptor_limit()?.hard.min(i32::MAX as u64);
        Ok((limit.saturating_sub(RESERVED) / 2) as usize)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.readers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.readers.is_empty()
    }

    /// The first `n` pipes, each linked to the one `step` further on in the circle.
    pub(super) fn links(&self, n: usize, step: usize) -> Vec<Link<'_>> {
        (0..n)
            .map(|index| Link {
                from: self.readers[index].as_fd(),
                to: self.writers[(index + step) % n].as_fd(),
            })
            .collect()
    }

    /// The ends of the first `n` pipes, to read and to write, for a layer that owns what it watches.
    pub(super) fn ends(&self, n: usize) -> (&[Arc<OwnedFd>], &[Arc<OwnedFd>]) {
        (&self.readers[..n], &self.writers[..n])
    }

    /// Puts one byte into the pipe `index`.
    pub(super) fn fill(&self, index: usize) -> io::Result<()> {
        write_byte(self.writers[index].as_fd())
    }

    /// Reads whatever is left in some of the pipes, and says how many bytes that was.
    pub(super) fn drain(&self, which: Range<usize>) -> io::Result<usize> {
        let mut bytes = 0;
        for reader in &self.readers[which] {
            loop {
                match read(reader, &mut [0; 64]) {
                    Ok(count) => bytes += count,
                    Err(Errno::AGAIN) => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(bytes)
    }
}

/// How many descriptors `n` pipes need, with all that the process has open besides.
fn descriptors_for(n: usize) -> u64 {
    (n as u64).saturating_mul(2).saturating_add(RESERVED)
}

/// Where a byte is read, and where it is written next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link<'a> {
    pub(super) from: BorrowedFd<'a>,
    pub(super) to: BorrowedFd<'a>,
}

impl Link<'_> {
    /// Reads one byte and writes it on: all that an event does in these workloads.
    #[inline]
    pub(super) fn pass(&self) -> io::Result<()> {
        read_byte(self.from)?;
        write_byte(self.to)
    }
}

/// Reads the one byte that is there. Every layer reads through this function.
#[inline]
#[allow(unsafe_code)]
pub(super) fn read_byte(from: BorrowedFd<'_>) -> io::Result<()> {
    let mut byte = 0_u8;
    // SAFETY: there is room for the one byte that is asked for.
    match unsafe { libc::read(from.as_raw_fd(), (&raw mut byte).cast(), 1) } {
        1 => Ok(()),
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Writes one byte. Every layer writes through this function.
#[inline]
#[allow(unsafe_code)]
pub(super) fn write_byte(to: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the one byte that is given is there to be read.
    match unsafe { libc::write(to.as_raw_fd(), (&raw const BYTE).cast(), 1) } {
        1 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

static BYTE: u8 = b'.';
