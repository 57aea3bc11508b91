//! Mutexes, condition variables, atomics and threads: those of the standard library, or those of
//! loom when the crate is built with `--cfg loom`. Loom runs a test once for each order in which
//! the threads can take their steps.

#[cfg(loom)]
pub(crate) use loom::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU8},
    },
    thread,
};
#[cfg(not(loom))]
pub(crate) use std::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU8},
    },
    thread,
};
