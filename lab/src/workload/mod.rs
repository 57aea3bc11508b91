//! The two workloads, on real pipes, and who can be driven through them.
//!
//! * **Ring**, libevent's benchmark: of N pipes, A hold a byte. Each event reads the byte and writes
//!   it to the next pipe, so that there are always A ready of N. When all are ready, each byte goes
//!   back to its own pipe.
//! * **Watch**, table 63-9 of *The Linux Programming Interface*: of N pipes a random one is written
//!   to; then a wait, and the byte is read back.
//!
//! Whoever takes part ([`Contender`]) does the same reads and writes through the same functions, on
//! the same descriptors, in the same two loops; only the waiting differs. Level and edge do the same
//! too: an event is one byte. Nothing is allocated and no clock is read between the first wait and
//! the last.

mod contender;
mod driver;
mod mio;
mod pipes;
mod raw;
mod reactor;
mod selector;
mod xorshift;

pub use contender::{Contender, Layer, Unsupported, default_trigger};
pub use pipes::Pipes;
pub(crate) use xorshift::Xorshift;

use std::io;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What is done, how wide and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// `active` bytes go round `n` pipes, with `writes` writes in all.
    Ring {
        /// Pipes watched.
        n: usize,
        /// Bytes in flight: pipes ready at any time.
        active: usize,
        /// Events, each of one read and one write.
        writes: u64,
    },
    /// `operations` times a byte is written to a random one of `n` pipes, waited for and read.
    Watch {
        /// Pipes watched.
        n: usize,
        /// Times.
        operations: u64,
    },
}

/// What a run took. An event is one event of the ring, or one operation of the watch.
#[derive(Debug, Clone, Copy)]
pub struct Measurement {
    /// How many events there were.
    pub events: u64,
    /// Time by the clock, for all of them.
    pub wall: Duration,
    /// Time of the processor, in this thread and the kernel, for all of them.
    pub cpu: Duration,
    /// How many descriptors were registered.
    pub registered: usize,
    /// Time by the clock, for registering all of them.
    pub registration: Duration,
}

impl Measurement {
    /// Nanoseconds by the clock for one event.
    pub fn wall_ns(&self) -> f64 {
        self.wall.as_nanos() as f64 / self.events as f64
    }

    /// Nanoseconds of the processor for one event.
    pub fn cpu_ns(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.events as f64
    }

    /// Nanoseconds by the clock for registering one descriptor.
    pub fn registration_ns(&self) -> f64 {
        self.registration.as_nanos() as f64 / self.registered as f64
    }
}

impl Workload {
    /// How many pipes it watches.
    pub fn n(&self) -> usize {
        match *self {
            Workload::Ring { n, .. } | Workload::Watch { n, .. } => n,
        }
    }

    /// Where in its gap each byte of the ring starts. To `select` and `poll` it matters where in the
    /// row the ready ones stand; so where the bytes do not go all the way to where the next one
    /// began, they go through the middle.
    fn start_index(&self) -> usize {
        match *self {
            Workload::Ring { n, active, writes } if active < n => {
                let (gap, way) = (n / active, writes / active as u64);
                gap.saturating_sub(way as usize) / 2
            }
            _ => 0,
        }
    }

    /// Drives `contender` through this workload on the first pipes of `pipes`, and leaves them
    /// empty.
    ///
    /// # Errors
    ///
    /// When `contender` is none that there is; when there are too few pipes, or fewer pipes than
    /// bytes; and what the system says.
    pub fn run(&self, contender: Contender, pipes: &Pipes) -> io::Result<Measurement> {
        contender.check().map_err(|error| io::Error::new(io::ErrorKind::Unsupported, error))?;
        let (n, active, step) = match *self {
            Workload::Ring { n, active, .. } => (n, active, usize::from(active < n)),
            Workload::Watch { n, .. } => (n, 0, 0),
        };
        if n == 0 || n > pipes.len() || active > n {
            let message = format!("{self:?} does not fit into {} pipes", pipes.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let links = pipes.links(n, step);
        let mut driver = contender.driver(&links, (pipes, step), active.max(1))?;

        let start = Instant::now();
        driver.register()?;
        let registration = start.elapsed();

        for byte in 0..active {
            pipes.fill(self.start_index() + byte * n / active)?;
        }
        let start = (Instant::now(), cpu_time());
        let events = match *self {
            Workload::Ring { writes, .. } => driver.ring(writes).map(|()| writes),
            Workload::Watch { operations, .. } => driver.watch(operations).map(|()| operations),
        };
        let (wall, cpu) = (start.0.elapsed(), cpu_time() - start.1);
        drop(driver);

        let left = pipes.drain(0..n)?;
        let events = events?;
        if left != active {
            return Err(io::Error::other(format!("{active} bytes went in and {left} came out")));
        }
        Ok(Measurement { events, wall, cpu, registered: n, registration })
    }
}

/// The time that the processor has spent on this thread, the kernel's work for it included.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests;
