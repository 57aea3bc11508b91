//! A model of forks for loom: a process that forks has no other threads, and a model is no process.

use std::cell::Cell;

thread_local! {
    /// All threads of a loom model run on one thread of the process.
    static FORKS: Cell<u32> = const { Cell::new(0) };
}

pub(crate) fn forks() -> u32 {
    FORKS.get()
}

pub(crate) fn count_forks() {}

/// Makes this model that of a forked child.
#[doc(hidden)]
pub fn become_child() {
    FORKS.set(FORKS.get() + 1);
}
