//! Where it was measured.

use std::fmt;
use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;
use tripoll::sys::descriptor_limit;

use super::sentences::grouped;

/// What a figure means nothing without.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The kernel's name, release and processor.
    pub kernel: String,
    /// How many processors this process may use.
    pub cpus: usize,
    /// The one that it was pinned to, if that was allowed.
    pub pinned_to: Option<usize>,
    /// How many descriptors it may have.
    pub descriptor_limit: u64,
}

impl Machine {
    /// Pins this thread to one processor, so that the scheduler moving it about does not show in
    /// the figures, and says where we are. The last one: the first is where most interrupts go.
    ///
    /// # Errors
    ///
    /// Whatever the system says about the limit of descriptors.
    pub fn pinned() -> io::Result<Self> {
        let allowed = sched_getaffinity(None).unwrap_or_default();
        let last = (0..CpuSet::MAX_CPU).rev().find(|&cpu| allowed.is_set(cpu));
        let pinned_to = last.filter(|&cpu| {
            let mut one = CpuSet::new();
            one.set(cpu);
            sched_setaffinity(None, &one).is_ok()
        });
        let uname = rustix::system::uname();
        let part = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        Ok(Machine {
            kernel: [uname.sysname(), uname.release(), uname.machine()].map(part).join(" "),
            cpus: allowed.count() as usize,
            pinned_to,
            descriptor_limit: descriptor_limit()?.hard,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} · {} CPUs, ", self.kernel, self.cpus)?;
        match self.pinned_to {
            Some(cpu) => write!(f, "pinned to CPU {cpu}")?,
            None => f.write_str("could not be pinned to one")?,
        }
        write!(f, " · {} descriptors allowed", grouped(self.descriptor_limit as usize))
    }
}
