//! `tripoll soak`: clients of every kind at every kind of server, while the system call under them
//! changes, and an account of what is left when they are gone.
//!
//! The servers run in two processes of their own, because a server that forks needs a process without
//! other threads. Each prints its account when it is asked. Nothing may be left: no descriptor, source,
//! timer, thread or child.

mod account;
mod client;
mod process;
mod server;

pub use process::Ended;
pub use server::{Part, run_part};

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use account::Account;
use client::Tally;
use process::Process;

use crate::workload::Xorshift;

/// How long and from which seed to soak.
#[derive(Debug, Clone, Copy)]
pub struct Soak {
    /// For how long clients come.
    pub time: Duration,
    /// The clients, what they do and the changes of the backend follow from this number.
    pub seed: u64,
}

/// What a soak has found.
#[derive(Debug)]
pub struct Outcome {
    soak: Soak,
    tally: Tally,
    switches: u64,
    accounts: Vec<(Part, Account, Account)>,
    faults: Vec<String>,
}

/// The number of clients at the same time.
const CLIENTS: usize = 16;
/// After the clients have left, connections may linger for so long.
const QUIET: Duration = Duration::from_secs(60);
const SWITCH_PAUSE: Duration = Duration::from_millis(50);

impl Soak {
    /// Starts the servers, sends the clients, and compares the accounts. `stop`: end early.
    ///
    /// # Errors
    ///
    /// Fails when the servers cannot be started, or when one of them has ended.
    pub fn run(self, stop: &AtomicBool) -> io::Result<Outcome> {
        let mut processes = Vec::new();
        for part in Part::ALL {
            processes.push((part, Process::start(part)?));
        }
        let targets: Vec<_> =
            processes.iter().flat_map(|(_, process)| process.targets().to_vec()).collect();
        // Each server is used once, so that what it makes for its first client is in the account.
        let mut tally = Tally::default();
        for target in &targets {
            tally.add(&client::greet(target));
        }
        let mut before = Vec::new();
        for (_, process) in &mut processes {
            before.push(process.settled_account(QUIET)?);
        }

        let over = AtomicBool::new(false);
        let end = Instant::now() + self.time;
        let switches = thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS as u64)
                .map(|number| {
                    let (targets, over) = (&targets, &over);
                    let dice = Xorshift::from_seed(self.seed.wrapping_mul(1_000_003) + number);
                    scope.spawn(move || client::come_and_go(targets, dice, over))
                })
                .collect();
            let mut dice = Xorshift::from_seed(self.seed);
            let mut switches = 0;
            let mut switch = || -> io::Result<()> {
                while Instant::now() < end && !stop.load(Ordering::Relaxed) {
                    thread::sleep(SWITCH_PAUSE);
                    for (_, process) in &mut processes {
                        process.switch(&mut dice)?;
                        switches += 1;
                    }
                }
                Ok(())
            };
            let switched = switch();
            over.store(true, Ordering::Relaxed);
            for client in clients {
                match client.join() {
                    Ok(one) => tally.add(&one),
                    Err(_) => tally.faults.push("a client has panicked".into()),
                }
            }
            switched.map(|()| switches)
        })?;

        let mut faults = std::mem::take(&mut tally.faults);
        let mut accounts = Vec::new();
        for ((part, mut process), before) in processes.into_iter().zip(before) {
            let after = process.account_like(&before, QUIET)?;
            faults.extend(before.faults(&after).map(|fault| format!("{part}: {fault}")));
            accounts.push((part, before, after));
            if let Err(ended) = process.end() {
                faults.push(format!("{part}: {ended}"));
            }
        }
        Ok(Outcome { soak: self, tally, switches, accounts, faults })
    }
}

impl Outcome {
    /// Returns whether nothing was left, and every friendly client was served.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Soak { time, seed } = self.soak;
        writeln!(f, "{time:?} with seed {seed}, {} changes of the backend", self.switches)?;
        writeln!(f, "{}", self.tally)?;
        writeln!(f, "{:28}{:>10}{:>10}", "", "before", "after")?;
        for (part, before, after) in &self.accounts {
            for (what, before, after) in before.lines(after) {
                writeln!(f, "{:28}{before:>10}{after:>10}", format!("{part}: {what}"))?;
            }
        }
        for fault in &self.faults {
            writeln!(f, "FAULT: {fault}")?;
        }
        let verdict = if self.is_clean() { "nothing is left" } else { "something is left" };
        writeln!(f, "{verdict}")
    }
}
