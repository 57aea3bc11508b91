//! What a process has: descriptors, sources, timers, threads, children, memory.

use std::{fs, io};

use serde::{Deserialize, Serialize};
use tripoll::Context;

/// What a process has at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    descriptors: usize,
    sources: usize,
    timers: usize,
    threads: usize,
    children: usize,
    /// Handlers that have panicked since the start.
    panics: u64,
    /// Resident memory, in KiB. The allocator keeps some of what was freed.
    resident: usize,
}

/// By how much the resident memory may grow, in KiB: what the clients need at the same time, which the
/// allocator may keep.
const RESIDENT: usize = 32 << 10;

impl Account {
    /// Takes the account of this process, whose reactor calls.
    pub(super) fn take<S: 'static>(cx: &Context<'_, S>) -> io::Result<Self> {
        let own = fs::read_dir("/proc/self/fd")?.count() - 1; // without the one that reads
        let mut children = 0;
        let mut threads = 0;
        for thread in fs::read_dir("/proc/self/task")? {
            threads += 1;
            let path = thread?.path().join("children");
            // A thread may end meanwhile.
            children += fs::read_to_string(path).unwrap_or_default().split_whitespace().count();
        }
        let status = fs::read_to_string("/proc/self/status")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|text| text.split_whitespace().next()?.parse().ok());
        Ok(Account {
            descriptors: own,
            sources: cx.len(),
            timers: cx.timers(),
            threads,
            children,
            panics: cx.counters().panics,
            resident: resident.unwrap_or_default(),
        })
    }

    /// Returns whether all that is counted exactly is the same.
    pub(super) fn is_like(&self, other: &Account) -> bool {
        let counted = |account: &Account| Account { resident: 0, ..account.clone() };
        counted(self) == counted(other)
    }

    /// Returns the lines of a table, with a later account beside this one.
    pub(super) fn lines(&self, after: &Account) -> [(&'static str, usize, usize); 7] {
        [
            ("descriptors", self.descriptors, after.descriptors),
            ("sources", self.sources, after.sources),
            ("timers", self.timers, after.timers),
            ("threads", self.threads, after.threads),
            ("children", self.children, after.children),
            ("panics", self.panics as usize, after.panics as usize),
            ("KiB of memory", self.resident, after.resident),
        ]
    }

    /// Returns what a later account has that this one has not.
    pub(super) fn faults(&self, after: &Account) -> impl Iterator<Item = String> {
        self.lines(after).into_iter().filter_map(|(what, before, after)| {
            let is_fault = match what {
                "KiB of memory" => after > before + RESIDENT,
                _ => before != after,
            };
            is_fault.then(|| format!("{what}: {before} before, {after} after"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: Account = Account {
        descriptors: 10,
        sources: 8,
        timers: 0,
        threads: 5,
        children: 0,
        panics: 0,
        resident: 4_000,
    };

    #[test]
    fn what_is_left_is_a_fault_and_a_little_memory_is_none() {
        let more = Account { resident: 9_000, ..BEFORE };
        assert!(BEFORE.is_like(&more));
        assert_eq!(BEFORE.faults(&more).count(), 0);
        let leak = Account { descriptors: 11, timers: 1, resident: 4_000 + RESIDENT + 1, ..BEFORE };
        assert!(!BEFORE.is_like(&leak));
        assert_eq!(
            BEFORE.faults(&leak).collect::<Vec<_>>(),
            [
                "descriptors: 10 before, 11 after",
                "timers: 0 before, 1 after",
                "KiB of memory: 4000 before, 36769 after",
            ]
        );
    }
}
