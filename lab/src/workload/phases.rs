//! The ring by a contender that stays registered while the load changes.

use std::time::{Duration, Instant};
use std::{fmt, io};

use super::contender::Contender;
use super::cpu_time::cpu_time;
use super::driver::Driver;
use super::measurement::Measurement;
use super::pipes::Pipes;

/// A contender that watches some pipes, and runs the ring on them again and again.
pub struct Phases<'a> {
    pipes: &'a Pipes,
    n: usize,
    driver: Box<dyn Driver + 'a>,
}

impl fmt::Debug for Phases<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Phases").field("n", &self.n).finish_non_exhaustive()
    }
}

impl Phases<'_> {
    /// Registers the first `n` of `pipes` with `contender`, and calls `body`. At most `most_active`
    /// of the pipes are ready at a time.
    ///
    /// # Errors
    ///
    /// `Unsupported`: there is no such contender. Any error of a system call, and that of `body`.
    pub fn of<R>(
        contender: Contender,
        pipes: &Pipes,
        n: usize,
        most_active: usize,
        body: impl FnOnce(&mut Phases<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        let unsupported = |error| io::Error::new(io::ErrorKind::Unsupported, error);
        contender.check().map_err(unsupported)?;
        let links = pipes.links(n, 1);
        let mut driver = contender.driver(&links, (pipes, 1), most_active)?;
        driver.register()?;
        body(&mut Phases { pipes, n, driver })
    }

    /// Runs the ring with `active` bytes in flight, in whole batches of about `events` events, and
    /// leaves the pipes empty.
    ///
    /// # Errors
    ///
    /// Any error of a system call, and `Other` if bytes were lost.
    pub fn run(&mut self, active: usize, events: u64) -> io::Result<Measurement> {
        let Phases { pipes, n, driver } = self;
        let events = events.max(16).next_multiple_of(active as u64);
        // The costs of `poll` depend on where the ready ones are: they pass the middle of their gap.
        let (gap, way) = (*n / active, (events / active as u64) as usize);
        let start = gap.saturating_sub(way) / 2;
        for byte in 0..active {
            pipes.fill(start + byte * *n / active)?;
        }
        let start = (Instant::now(), cpu_time());
        let result = driver.ring(events, 0);
        let (wall, cpu) = (start.0.elapsed(), cpu_time() - start.1);
        let left = pipes.drain_all(0..*n, active)?;
        result?;
        if left != active {
            let message = format!("{active} bytes were written and {left} were left at the end");
            return Err(io::Error::other(message));
        }
        let registration = Duration::ZERO;
        Ok(Measurement { events, wall, cpu, registered: *n, registration })
    }
}
