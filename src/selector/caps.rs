//! What a selector can and cannot do, as data.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use super::event::{Readiness, Trigger};

/// What a [`Selector`](super::Selector) can and cannot do.
///
/// ```
/// use tripoll::selector::{Backend, Cost, Readiness, Trigger};
///
/// let caps = Backend::Select.selector()?.caps();
/// assert!(!caps.triggers.contains(&Trigger::Edge));
/// assert!(!caps.reports.contains(Readiness::HANGUP)); // it cannot say why
/// assert_eq!(caps.wait_cost, Cost::PerWatched);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caps {
    /// The triggers that it supports, its natural one first.
    pub triggers: &'static [Trigger],
    /// The readiness that it can report. A selector without [`Readiness::HANGUP`] or
    /// [`Readiness::ERROR`] reports these as ready to read or write. The read or write then returns
    /// the error.
    pub reports: Readiness,
    /// The largest descriptor that it supports. `None` is no limit.
    pub largest_descriptor: Option<RawFd>,
    /// What the cost of a wait grows with.
    pub wait_cost: Cost,
    /// Whether a change of interest is a system call.
    pub change_is_a_system_call: bool,
    /// The resolution of deadlines. A wait never ends early, and ends late by less than this and the
    /// scheduler's delay.
    pub precision: Duration,
    /// Whether urgent data is reported apart from other data. Otherwise it is reported as readable,
    /// too.
    pub urgent_apart: bool,
    /// Whether [`Interest::HANGUP`](super::Interest::HANGUP) alone reports a hang-up or an error.
    pub reports_hangup_alone: bool,
}

/// What the cost of a wait grows with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cost {
    /// The watched descriptors, ready or not.
    PerWatched,
    /// The ready descriptors.
    PerReady,
}

impl Caps {
    /// Returns the caps of a selector that supports `triggers` (its natural one first) and can report
    /// `reports`. Defaults: no largest descriptor, [`Cost::PerWatched`], changes without system
    /// calls, a resolution of one nanosecond, urgent data apart, no hang-up alone. Set the fields that
    /// differ.
    pub const fn new(triggers: &'static [Trigger], reports: Readiness) -> Self {
        Caps {
            triggers,
            reports,
            largest_descriptor: None,
            wait_cost: Cost::PerWatched,
            change_is_a_system_call: false,
            precision: Duration::from_nanos(1),
            urgent_apart: true,
            reports_hangup_alone: false,
        }
    }

    /// Checks that the selector called `name` supports a descriptor and a trigger.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a trigger that is not in [`triggers`](Self::triggers), and `InvalidInput` for
    /// a descriptor above [`largest_descriptor`](Self::largest_descriptor). The message lists what is
    /// supported.
    pub fn check(&self, name: &str, fd: RawFd, trigger: Trigger) -> io::Result<()> {
        if !self.triggers.contains(&trigger) {
            let has: Vec<_> = self.triggers.iter().map(Trigger::to_string).collect();
            let message = format!(
                "{name} does not support trigger {trigger}; it supports {}",
                has.join(", ")
            );
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        match self.largest_descriptor {
            Some(largest) if fd > largest => {
                let message = format!(
                    "descriptor {fd} is too large for this {name} selector: its limit is {largest} \
                     (POSIX's FD_SETSIZE ends at 1023); poll and epoll have none"
                );
                Err(io::Error::new(io::ErrorKind::InvalidInput, message))
            }
            _ => Ok(()),
        }
    }
}
