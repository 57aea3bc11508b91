//! Whether a stream owes its peer output, and in which process.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::sys;

/// Notes whether there is output that the kernel has not taken, and in which process: 0 for none, and else
/// the [mark](this_process) of the process. A forked child has a copy of it, and owes the peer nothing, until
/// its connection writes again or has a deadline that passes: after [`Reactor::reinit`](crate::Reactor::reinit).
#[derive(Debug, Default)]
pub(super) struct Owed(AtomicU8);

/// Returns what tells a process from those that it has forked.
#[inline]
fn this_process() -> u8 {
    (sys::forks() as u8) << 1 | 1 // never 0
}

impl Owed {
    #[inline]
    pub(super) fn note(&self, yes: bool) {
        self.0.store(if yes { this_process() } else { 0 }, Ordering::Relaxed);
    }

    pub(super) fn is_anything(&self) -> bool {
        self.0.load(Ordering::Relaxed) == this_process()
    }
}
