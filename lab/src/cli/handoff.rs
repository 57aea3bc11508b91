//! `tripoll handoff`: what it costs to give a job to a pool of threads, and to get its answer back.

use std::fmt;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tripoll::pool::{Pool, SubmitError};
use tripoll::reactor::Counters;
use tripoll::{Backend, Context, Reactor};

use super::failure::Failure;
use super::handoff_peers::PEERS;
use super::output::print;
use crate::compare::format::grouped;
use crate::compare::statistics::Estimate;

/// How often the jobs are measured. A part of them runs before, as a warm-up.
const ROUNDS: u64 = 9;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Handoff {
    pub(super) jobs: u64,
    pub(super) in_flight: u64,
    pub(super) workers: u64,
    pub(super) backend: Backend,
    /// Whether the same is measured by other means.
    pub(super) peers: bool,
}

pub(super) fn run(handoff: Handoff) -> Result<(), Failure> {
    print(&handoff.measure()?.to_string())
}

impl Handoff {
    fn measure(self) -> Result<Report, Failure> {
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let pool = Pool::new(size(self.workers), size(self.in_flight))?;
        let mut reactor = Reactor::builder().backend(self.backend).build_with(State {
            pool,
            left: 0,
            awaited: 0,
        })?;
        let jobs = (self.jobs / ROUNDS).max(1);
        self.round(&mut reactor, jobs.div_ceil(10))?;
        let (mut rounds, mut peers) = (Vec::new(), vec![Vec::new(); PEERS.len()]);
        for _ in 0..ROUNDS {
            rounds.push(self.round(&mut reactor, jobs)?);
            for ((_, measure), times) in PEERS.iter().zip(&mut peers).filter(|_| self.peers) {
                times.push(measure(jobs, self.in_flight, self.workers)?);
            }
        }
        Ok(Report { handoff: self, jobs, rounds, peers })
    }

    /// Runs so many jobs.
    fn round(self, reactor: &mut Reactor<State>, jobs: u64) -> Result<Round, Failure> {
        let before = Sample::take(reactor)?;
        reactor.state_mut().left = jobs;
        let mut context = reactor.context();
        for _ in 0..self.in_flight.min(jobs) {
            submit(&mut context).map_err(io::Error::from)?;
        }
        while reactor.state().awaited > 0 {
            reactor.turn(tripoll::Deadline::Never)?;
        }
        Ok(Round { jobs, before, after: Sample::take(reactor)? })
    }
}

/// The state of the loop.
struct State {
    pool: Pool,
    /// How many jobs are still to be submitted.
    left: u64,
    /// How many have not returned.
    awaited: u64,
}

/// Submits an empty job. When it returns, the next one takes its place.
fn submit(cx: &mut Context<'_, State>) -> Result<(), SubmitError> {
    let handle = cx.handle();
    cx.state.left -= 1;
    cx.state.awaited += 1;
    cx.state.pool.submit_for(
        &handle,
        || (),
        |_, cx| {
            cx.state.awaited -= 1;
            if cx.state.left > 0 {
                submit(cx).expect("the pool has capacity for all that are in flight");
            }
        },
    )
}

/// What has been counted until now.
struct Sample {
    at: Instant,
    processor: Duration,
    counters: Counters,
    sleeps: u64,
}

impl Sample {
    fn take(reactor: &mut Reactor<State>) -> io::Result<Self> {
        let processor = clock_gettime(ClockId::ProcessCPUTime);
        Ok(Sample {
            at: Instant::now(),
            processor: Duration::new(processor.tv_sec as u64, processor.tv_nsec as u32),
            counters: reactor.context().counters(),
            sleeps: sleeps()?,
        })
    }
}

/// Returns how often a thread of this process has waited in the kernel.
fn sleeps() -> io::Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum += count.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

/// One round.
struct Round {
    jobs: u64,
    before: Sample,
    after: Sample,
}

impl Round {
    /// Returns what a job costs.
    fn per_job(&self, figure: impl Fn(&Sample) -> f64) -> f64 {
        (figure(&self.after) - figure(&self.before)) / self.jobs as f64
    }

    fn wall_us(&self) -> f64 {
        (self.after.at - self.before.at).as_secs_f64() * 1e6 / self.jobs as f64
    }
}

/// The figures of all rounds, as they are printed.
struct Report {
    handoff: Handoff,
    jobs: u64,
    rounds: Vec<Round>,
    /// The times of each peer, in microseconds.
    peers: Vec<Vec<f64>>,
}

impl Report {
    fn estimate(&self, figure: impl Fn(&Round) -> f64) -> Estimate {
        let samples: Vec<f64> = self.rounds.iter().map(figure).collect();
        Estimate::of(&samples)
    }

    fn per_job(&self, figure: impl Fn(&Sample) -> f64 + Copy) -> Estimate {
        self.estimate(|round| round.per_job(figure))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Handoff { in_flight, workers, backend, .. } = self.handoff;
        let in_flight = counted(in_flight, "job");
        let workers = counted(workers, "worker");
        writeln!(f, "From a loop on {backend} to {workers} and back, with {in_flight} in flight.")?;
        writeln!(f, "A job does nothing. Its answer submits the next one.")?;
        writeln!(
            f,
            "Medians of {ROUNDS} rounds of {}, with their spread, for one job:\n",
            counted(self.jobs, "job")
        )?;
        let wall = self.estimate(Round::wall_us);
        let processor = self.per_job(|sample| sample.processor.as_secs_f64() * 1e6);
        line(f, "time", wall, "µs")?;
        line(f, "processor time, all threads", processor, "µs")?;
        let waits = self.per_job(|sample| sample.counters.waits as f64);
        let wakes = self.per_job(|sample| sample.counters.wakes as f64);
        let saved = self.per_job(|sample| sample.counters.wakes_saved as f64);
        let sleeps = self.per_job(|sample| sample.sleeps as f64);
        line(f, "waits of the loop (system calls)", waits, "")?;
        line(f, "wakes of the loop (system calls)", wakes, "")?;
        line(f, "wakes of the loop that needed none", saved, "")?;
        line(f, "sleeps of threads in the kernel", sleeps, "")?;
        for ((name, _), times) in
            PEERS.iter().zip(&self.peers).filter(|(_, times)| !times.is_empty())
        {
            line(f, &format!("time, {name}"), Estimate::of(times), "µs")?;
        }
        Ok(())
    }
}

fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number as usize), if number == 1 { "" } else { "s" })
}

fn line(f: &mut fmt::Formatter<'_>, what: &str, estimate: Estimate, unit: &str) -> fmt::Result {
    let spread = if estimate.median > 0.0 { 100.0 * estimate.spread() } else { 0.0 };
    let line = format!("  {what:<36} {:>8.3} {unit:<2} ±{spread:>3.0}%", estimate.median);
    writeln!(f, "{}", line.trim_end())
}
