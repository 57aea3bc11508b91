//! The processors on which the other side of a measurement runs.

use rustix::thread::{CpuSet, sched_getaffinity};

/// Returns the processors that this thread is not pinned to.
pub(super) fn other_processors() -> CpuSet {
    let ours = sched_getaffinity(None).unwrap_or_default();
    let mut others = CpuSet::new();
    (0..CpuSet::MAX_CPU).filter(|&cpu| !ours.is_set(cpu)).for_each(|cpu| others.set(cpu));
    others
}
