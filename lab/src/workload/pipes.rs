//! The pipes or sockets on which every layer is measured, and the read and write of one byte.

use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use rustix::io::{Errno, fcntl_dupfd_cloexec, read};
use rustix::pipe::{PipeFlags, pipe_with};
use serde::{Deserialize, Serialize};
use tripoll::sys::{descriptor_limit, raise_descriptor_limit};

use super::raw::byte::{read_byte, write_byte};

/// What is watched.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Pipes.
    #[default]
    Pipe,
    /// Pairs of connected Unix stream sockets.
    Unix,
    /// TCP connections on the loopback interface.
    Tcp,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 3] = [Kind::Pipe, Kind::Unix, Kind::Tcp];

    /// Returns its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Pipe => "pipe",
            Kind::Unix => "unix",
            Kind::Tcp => "tcp",
        }
    }
}

impl fmt::Display for Kind {
    /// `a pipe`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Pipe => "a pipe",
            Kind::Unix => "a Unix socket",
            Kind::Tcp => "a TCP connection",
        })
    }
}

/// How long a byte may be on its way from one end to the other.
const LONGEST_WAY: Duration = Duration::from_secs(2);

/// Pipes, or pairs of sockets, whose reading ends have consecutive numbers, and whose writing ends have higher ones.
///
/// The cost of `select` depends on the *number* of the highest descriptor. If reading and writing
/// ends alternated, it would scan twice as many bits as there are pipes.
#[derive(Debug)]
pub struct Pipes {
    kind: Kind,
    readers: Vec<Arc<OwnedFd>>,
    writers: Vec<Arc<OwnedFd>>,
}

/// The lowest number of a reading end. Lower numbers are left for all other descriptors.
const FIRST_READER: RawFd = 20;

/// The number of descriptors that are kept free for others: lower ones, and inherited ones.
const RESERVED: u64 = 40;

impl Pipes {
    /// Opens `n` non-blocking pipes, and raises the soft descriptor limit if it is too low.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), and any error of `pipe2(2)` and `fcntl(2)`.
    pub fn open(n: usize) -> io::Result<Self> {
        Pipes::open_kind(Kind::Pipe, n)
    }

    /// Does the same with pairs of sockets in the place of pipes.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and any error of `socket(2)`, `connect(2)` and `accept(2)`.
    pub fn open_kind(kind: Kind, n: usize) -> io::Result<Self> {
        Pipes::check(n)?;
        raise_descriptor_limit(descriptors_for(n))?;
        let mut pipes =
            Pipes { kind, readers: Vec::with_capacity(n), writers: Vec::with_capacity(n) };
        let listener = match kind {
            Kind::Tcp => Some(listener()?),
            Kind::Pipe | Kind::Unix => None,
        };
        for _ in 0..n {
            let (reader, writer) = match &listener {
                Some(listener) => tcp_pair(listener)?,
                None if kind == Kind::Unix => unix_pair()?,
                None => pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?,
            };
            // Low numbers have gaps, because other descriptors hold some of them.
            let reader = fcntl_dupfd_cloexec(&reader, FIRST_READER)?;
            let first = pipes.readers.first().map_or(reader.as_raw_fd(), |first| first.as_raw_fd());
            let writer = fcntl_dupfd_cloexec(&writer, first + n as RawFd)?;
            // The kernel allocates the buffer of a pipe at its first byte. Without this one, the
            // first contender would pay for it.
            write_byte(writer.as_fd())?;
            soon(|| match read_byte(reader.as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                result => result.map(Some),
            })?;
            pipes.readers.push(Arc::new(reader));
            pipes.writers.push(Arc::new(writer));
        }
        Ok(pipes)
    }

    /// Checks that the hard descriptor limit allows `n` pipes.
    ///
    /// # Errors
    ///
    /// `Other` if it does not; the message has both numbers. Any error of `prlimit(2)`.
    pub fn check(n: usize) -> io::Result<()> {
        let (limit, max) = (descriptor_limit()?.hard, Pipes::max()?);
        if n <= max {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{} descriptors are needed for {n} of the pipes; the limit of this process is {limit}, \
             enough for {max} (raise it with `ulimit -Hn`)",
            descriptors_for(n)
        )))
    }

    /// Returns the number of pipes that the hard descriptor limit allows.
    ///
    /// # Errors
    ///
    /// Any error of `prlimit(2)`.
    pub fn max() -> io::Result<usize> {
        let limit = descriptor_limit()?.hard.min(i32::MAX as u64);
        Ok((limit.saturating_sub(RESERVED) / 2) as usize)
    }

    /// Returns what they are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the number of pipes.
    pub fn len(&self) -> usize {
        self.readers.len()
    }

    /// Returns whether there are no pipes.
    pub fn is_empty(&self) -> bool {
        self.readers.is_empty()
    }

    /// Returns the first `n` pipes, each linked to the one `step` places further in the ring.
    pub(super) fn links(&self, n: usize, step: usize) -> Vec<Link<'_>> {
        (0..n)
            .map(|index| Link {
                from: self.readers[index].as_fd(),
                to: self.writers[(index + step) % n].as_fd(),
            })
            .collect()
    }

    /// Returns the reading and the writing ends of the first `n` pipes, for a layer that owns its
    /// sources.
    pub(super) fn ends(&self, n: usize) -> (&[Arc<OwnedFd>], &[Arc<OwnedFd>]) {
        (&self.readers[..n], &self.writers[..n])
    }

    /// Writes one byte to the pipe `index`.
    pub(super) fn fill(&self, index: usize) -> io::Result<()> {
        write_byte(self.writers[index].as_fd())
    }

    /// Empties some of the pipes, which should hold `expected` bytes, and returns how many they held.
    /// A byte may still be on its way.
    pub(super) fn drain_all(&self, which: Range<usize>, expected: usize) -> io::Result<usize> {
        let mut bytes = 0;
        let complete = soon(|| {
            bytes += self.drain(which.clone())?;
            Ok((bytes >= expected).then_some(()))
        });
        match complete {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(bytes),
            result => result.map(|()| bytes),
        }
    }

    /// Empties some of the pipes, and returns how many bytes they held.
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

/// Returns a listener on a free port.
fn listener() -> io::Result<TcpListener> {
    // `bind(2)` may choose a port for which another process calls `listen(2)` first.
    soon(|| match TcpListener::bind("127.0.0.1:0") {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
        result => result.map(Some),
    })
}

/// Returns both ends of a new TCP connection. They leave no trace in the kernel when they are closed.
fn tcp_pair(listener: &TcpListener) -> io::Result<(OwnedFd, OwnedFd)> {
    let writer = TcpStream::connect(listener.local_addr()?)?;
    let (reader, _) = listener.accept()?;
    for end in [&reader, &writer] {
        end.set_nodelay(true)?;
        end.set_nonblocking(true)?;
        // Thousands of connections in TIME_WAIT would use up the ports.
        socket2::SockRef::from(end).set_linger(Some(Duration::ZERO))?;
    }
    Ok((reader.into(), writer.into()))
}

fn unix_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    writer.set_nonblocking(true)?;
    Ok((reader.into(), writer.into()))
}

/// Repeats `attempt` until it has a result. The error is `TimedOut` if it has none after a while.
fn soon<T>(mut attempt: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
    let start = Instant::now();
    loop {
        if let Some(result) = attempt()? {
            return Ok(result);
        }
        if start.elapsed() > LONGEST_WAY {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::yield_now();
    }
}

/// Returns how many descriptors a process with `n` pipes needs.
fn descriptors_for(n: usize) -> u64 {
    (n as u64).saturating_mul(2).saturating_add(RESERVED)
}

/// The descriptor from which a byte is read, and the one to which it is written next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link<'a> {
    pub(super) from: BorrowedFd<'a>,
    pub(super) to: BorrowedFd<'a>,
}

impl Link<'_> {
    /// Reads one byte and writes it to the next pipe. An event does nothing else.
    #[inline]
    pub(super) fn pass(&self) -> io::Result<()> {
        read_byte(self.from)?;
        write_byte(self.to)
    }
}
