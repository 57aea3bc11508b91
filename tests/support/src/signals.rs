//! Signals to one thread.

use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
use nix::sys::signal::Signal;

/// A thread of this process, as `pthread_kill(3)` names it.
///
/// It must be alive when it is interrupted. With musl, its name is a pointer, which threads cannot
/// send each other; here it is a number.
#[derive(Debug, Clone, Copy)]
pub struct SignalTarget(usize);

impl SignalTarget {
    pub fn this_thread() -> Self {
        SignalTarget(pthread_self() as usize)
    }

    /// Sends it SIGUSR1, for which the test has set a handler.
    pub fn interrupt(self) {
        pthread_kill(self.0 as Pthread, Signal::SIGUSR1).unwrap();
    }
}
