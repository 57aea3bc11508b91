//! The workloads, on real pipes or sockets, and the contenders that run them.
//!
//! * **Ring**, libevent's benchmark: of N pipes, A hold a byte. Each event reads the byte and
//!   writes it to the next pipe, so that A of N pipes are always ready. When all are ready, each
//!   byte goes back to its own pipe.
//! * **Watch**, table 63-9 of *The Linux Programming Interface*: one byte is written to a random
//!   one of N pipes, waited for, and read back.
//! * **Sleep**: the same, but another thread writes the byte after the wait has begun to sleep.
//!
//! Every [`Contender`] does the same reads and writes through the same functions, on the same
//! descriptors, in the same two loops. Only the waiting differs. Level- and edge-triggered
//! contenders do the same work too: an event is one byte. Between the first wait and the last,
//! nothing is allocated and no clock is read.

mod contender;
mod cpu_time;
mod driver;
mod helper;
mod measurement;
mod mio;
mod peer;
mod phases;
mod pipes;
mod raw;
mod reactor;
mod selector;
mod xorshift;

pub use contender::{Contender, Layer, Unsupported, default_trigger};
pub use cpu_time::cpu_time;
pub use measurement::Measurement;
pub use peer::Peer;
pub use phases::Phases;
pub use pipes::{Kind, Pipes};
pub(crate) use xorshift::Xorshift;

use std::io;
use std::time::Instant;

use helper::{Helper, Sender};
use peer::python::{self, Order};

/// A workload and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// `active` bytes circulate through `n` pipes, with `writes` writes in all.
    Ring {
        /// The number of pipes that are watched.
        n: usize,
        /// The number of bytes in flight, which is the number of pipes ready at any time.
        active: usize,
        /// The number of events, each of one read and one write.
        writes: u64,
        /// How often each event changes the interest of its descriptor.
        changes: u8,
    },
    /// A byte is written to a random one of `n` pipes, waited for and read, `operations` times.
    Watch {
        /// The number of pipes that are watched.
        n: usize,
        /// The number of repetitions.
        operations: u64,
    },
    /// The same, but the byte is written while the wait sleeps.
    Sleep {
        /// The number of pipes that are watched.
        n: usize,
        /// The number of repetitions.
        operations: u64,
    },
}

impl Workload {
    /// Returns the number of pipes that are watched.
    pub fn n(&self) -> usize {
        match *self {
            Workload::Ring { n, .. } | Workload::Watch { n, .. } | Workload::Sleep { n, .. } => n,
        }
    }

    /// Returns the offset of each byte of the ring from the start of its gap.
    ///
    /// The cost of `select` and `poll` depends on where in the array the ready descriptors are. A
    /// byte that does not reach the start of the next one therefore moves through the middle of its
    /// gap.
    fn start_index(&self) -> usize {
        match *self {
            Workload::Ring { n, active, writes, .. } if active < n => {
                let (gap, way) = (n / active, writes / active as u64);
                gap.saturating_sub(way as usize) / 2
            }
            _ => 0,
        }
    }

    /// Runs this workload with `contender` on the first pipes of `pipes`, and leaves them empty.
    ///
    /// # Errors
    ///
    /// * `Unsupported`: there is no such contender ([`Contender::check`]).
    /// * `InvalidInput`: there are too few pipes, or fewer pipes than bytes.
    /// * Any error of a system call, and `Other` if bytes were lost.
    pub fn run(&self, contender: Contender, pipes: &Pipes) -> io::Result<Measurement> {
        let unsupported = |error| io::Error::new(io::ErrorKind::Unsupported, error);
        contender.check().map_err(unsupported)?;
        let (n, active, step) = match *self {
            Workload::Ring { n, active, .. } => (n, active, usize::from(active < n)),
            Workload::Watch { n, .. } | Workload::Sleep { n, .. } => (n, 0, 0),
        };
        if n == 0 || n > pipes.len() || active > n {
            let message = format!("{self:?} does not fit into {} pipes", pipes.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if let Layer::Peer(peer) = contender.layer {
            let (workload, events) = match *self {
                Workload::Ring { writes, changes: 0, .. } => ("ring", writes),
                Workload::Watch { operations, .. } => ("watch", operations),
                _ => return Err(io::ErrorKind::Unsupported.into()),
            };
            if peer == Peer::Python {
                let (kind, backend, start) = (pipes.kind(), contender.backend, self.start_index());
                return python::run(Order { kind, backend, workload, n, active, start, events });
            }
        }
        let links = pipes.links(n, step);
        let mut driver = contender.driver(&links, (pipes, step), active.max(1))?;

        let start = Instant::now();
        driver.register()?;
        let registration = start.elapsed();

        for byte in 0..active {
            pipes.fill(self.start_index() + byte * n / active)?;
        }
        let sender = match self {
            Workload::Sleep { .. } => {
                Sender::Helper(Helper::start(pipes.ends(n).1, raw::thread::yield_to_others)?)
            }
            _ => Sender::Direct,
        };
        let start = (Instant::now(), cpu_time());
        let events = match *self {
            Workload::Ring { writes, changes, .. } => driver.ring(writes, changes).map(|()| writes),
            Workload::Watch { operations, .. } | Workload::Sleep { operations, .. } => {
                driver.watch(operations, &sender).map(|()| operations)
            }
        };
        let (wall, cpu) = (start.0.elapsed(), cpu_time() - start.1);
        drop(driver);

        let left = pipes.drain_all(0..n, active)?;
        let events = events?;
        if left != active {
            return Err(io::Error::other(format!(
                "{active} bytes were written and {left} were left at the end"
            )));
        }
        Ok(Measurement { events, wall, cpu, registered: n, registration })
    }
}

#[cfg(test)]
mod tests;
