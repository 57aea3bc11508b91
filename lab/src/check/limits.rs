//! How many descriptors the program may open, changed from outside while it runs.

use std::io;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::processes::Process;

/// Limits that were taken from processes. They get them back when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Limits(Vec<(i32, Option<u64>)>);

impl Limits {
    /// Lets each process open so many more descriptors.
    pub(super) fn may_open(processes: &[Process], more: usize) -> io::Result<Self> {
        let mut limits = Limits::default();
        for process in processes {
            let numbers = process.descriptors().into_iter();
            let used: Vec<_> = numbers.filter_map(|(number, _)| number.parse().ok()).collect();
            // A new descriptor gets the lowest free number, and it must be below the limit.
            let last = (0..).filter(|number| !used.contains(number)).nth(more);
            limits.0.push((process.pid, set(process.pid, last)?));
        }
        Ok(limits)
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        for (pid, soft) in self.0.drain(..) {
            let _ = set(pid, soft); // it may have ended
        }
    }
}

/// Sets the soft limit of a process, and returns the one before.
fn set(pid: i32, soft: Option<u64>) -> io::Result<Option<u64>> {
    let maximum = hard(pid)?;
    let limit = Rlimit { current: soft, maximum };
    Ok(prlimit(Pid::from_raw(pid), Resource::Nofile, limit)?.current)
}

fn hard(pid: i32) -> io::Result<Option<u64>> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    Ok(line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()))
}
