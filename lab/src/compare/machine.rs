//! The machine on which the figures were measured.

use std::{fmt, io};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;
use tripoll::sys::descriptor_limit;

use super::format::{counted, grouped};

/// The facts about the machine without which a figure has no meaning.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The kernel's name, release and processor.
    pub kernel: String,
    /// The model of the processor (`/proc/cpuinfo`), if it is known.
    pub cpu: Option<String>,
    /// The number of processors that this process may use.
    pub cpus: usize,
    /// The processor to which the thread was pinned, if that was possible.
    pub pinned_to: Option<usize>,
    /// The mean number of runnable threads in the minute before (`/proc/loadavg`), if it is known.
    /// A machine that has other work measures worse.
    pub load: Option<f64>,
    /// The same, after the measurement.
    pub load_after: Option<f64>,
    /// The hard limit of descriptors.
    pub descriptor_limit: u64,
}

impl Machine {
    /// Pins this thread to one processor, so that migrations do not show in the figures, and
    /// describes the machine.
    ///
    /// It is the last processor, because most interrupts go to the first.
    ///
    /// # Errors
    ///
    /// Any error of `prlimit(2)`.
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
            cpu: model(),
            cpus: allowed.count() as usize,
            pinned_to,
            load: load(),
            load_after: None,
            descriptor_limit: descriptor_limit()?.hard,
        })
    }
}

impl Machine {
    /// Notes the load after the measurement.
    pub fn measured(self) -> Self {
        Machine { load_after: load(), ..self }
    }
}

/// Returns the model of the first processor. Not all processors have a name here.
fn model() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} · ", self.kernel)?;
        if let Some(cpu) = &self.cpu {
            write!(f, "{cpu} · ")?;
        }
        write!(f, "{}, ", counted(self.cpus, "CPU"))?;
        match self.pinned_to {
            Some(cpu) => write!(f, "pinned to CPU {cpu}")?,
            None => f.write_str("could not be pinned to one")?,
        }
        if let Some(load) = self.load {
            write!(f, " · load {load:.2} before")?;
        }
        if let Some(load) = self.load_after {
            write!(f, ", {load:.2} after")?;
        }
        write!(f, " · {} descriptors allowed", grouped(self.descriptor_limit as usize))
    }
}
