//! The settings of a subject.

use tripoll::reactor::Budget;
use tripoll::{Backend, Trigger};

/// The settings of a subject. They can change between its turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The system call that waits.
    pub backend: Backend,
    /// The requested trigger.
    pub trigger: Trigger,
    /// Reads, writes and accepts of one call of a handler.
    pub budget: u32,
    /// Bytes of a write buffer above which its connection is not read. Zero: there is none.
    pub watermark: u64,
    /// Milliseconds for which a handler works on each message.
    pub slow: u64,
    /// The timeout of a wait, in milliseconds.
    pub timeout: u64,
    /// The limit of descriptors when the subject accepts. `None`: that of the process.
    pub limit: Option<u64>,
}

impl Default for Settings {
    /// The timeout is that of the tutorials: one second.
    fn default() -> Self {
        Settings {
            backend: Backend::default(),
            trigger: Trigger::default(),
            budget: Budget::default().operations(),
            watermark: 64 << 10,
            slow: 0,
            timeout: 1_000,
            limit: None,
        }
    }
}

impl Settings {
    /// Returns the trigger that is nearest to the requested one, of those that `triggers` has.
    pub(super) fn effective(self, triggers: &[Trigger]) -> Trigger {
        match triggers.contains(&self.trigger) {
            true => self.trigger,
            false => triggers.first().copied().unwrap_or(self.trigger),
        }
    }
}
