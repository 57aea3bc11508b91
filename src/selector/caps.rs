//! What the kernel's calls can and cannot do, as data.

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
    /// The triggers it has, its natural one first.
    pub triggers: &'static [Trigger],
    /// What its events can say. A selector without [`Readiness::HANGUP`] or [`Readiness::ERROR`]
    /// tells these as ready to read or write; the read or write then says what it is.
    pub reports: Readiness,
    /// The largest descriptor that it takes, `None` where any will do.
    pub largest_descriptor: Option<RawFd>,
    /// What one wait costs.
    pub wait_cost: Cost,
    /// What one change of interest costs: a system call, or nothing but memory.
    pub change_is_a_system_call: bool,
    /// The finest step of a deadline. A wait is never shorter than asked, and longer by less than
    /// one step and the scheduler's delay.
    pub precision: Duration,
    /// Whether urgent data is told apart from plain data. Where it is not, it looks readable too.
    pub urgent_apart: bool,
}

/// What the duration of one wait grows with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cost {
    /// With every descriptor that is watched, ready or not.
    PerWatched,
    /// With the descriptors that are ready.
    PerReady,
}

impl Caps {
    /// The capabilities of a selector which has `triggers` (its natural one first) and can say
    /// `reports`, with any descriptor, per watched descriptor, without system calls for changes and
    /// to the nanosecond. Change the fields that differ.
    pub const fn new(triggers: &'static [Trigger], reports: Readiness) -> Self {
        Caps {
            triggers,
            reports,
            largest_descriptor: None,
            wait_cost: Cost::PerWatched,
            change_is_a_system_call: false,
            precision: Duration::from_nanos(1),
            urgent_apart: true,
        }
    }

    /// Refuses what the selector called `name` cannot do.
    pub(super) fn check(&self, name: &str, fd: RawFd, trigger: Trigger) -> io::Result<()> {
        if !self.triggers.contains(&trigger) {
            let has: Vec<_> = self.triggers.iter().map(Trigger::to_string).collect();
            let message = format!("{name} has no {trigger} trigger; it has: {}", has.join(", "));
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        match self.largest_descriptor {
            Some(largest) if fd > largest => {
                let message = format!(
                    "descriptor {fd} is too large for this {name}: POSIX's FD_SETSIZE ends at \
                     {largest}; without strict mode, or with poll or epoll, any will do"
                );
                Err(io::Error::new(io::ErrorKind::InvalidInput, message))
            }
            _ => Ok(()),
        }
    }
}
