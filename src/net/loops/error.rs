//! Why a loop has ended.

use std::{fmt, io};

use crate::net::close_reason::clone_error;
use crate::sync::Panicked;

/// The failure of one thread of [`Loops`](super::Loops).
#[derive(Debug)]
pub struct LoopError {
    thread: String,
    index: Option<usize>,
    cause: Cause,
}

#[derive(Debug)]
pub(super) enum Cause {
    Failed(io::Error),
    Panicked(Panicked),
}

impl LoopError {
    pub(super) fn new(thread: String, index: Option<usize>, cause: Cause) -> Self {
        LoopError { thread, index, cause }
    }

    /// Returns the number of the loop. `None` for the thread that accepts for all.
    pub fn index(&self) -> Option<usize> {
        self.index
    }

    /// Returns the error with which [`Reactor::run`](crate::Reactor::run) has returned. `None` if the
    /// thread has panicked.
    pub fn error(&self) -> Option<&io::Error> {
        match &self.cause {
            Cause::Failed(error) => Some(error),
            Cause::Panicked(_) => None,
        }
    }

    /// Returns the panic that has ended the thread. `None` if it has returned an error. A panic of a
    /// handler ends no loop.
    pub fn panic(&self) -> Option<&Panicked> {
        match &self.cause {
            Cause::Failed(_) => None,
            Cause::Panicked(panic) => Some(panic),
        }
    }
}

impl Clone for LoopError {
    fn clone(&self) -> Self {
        let cause = match &self.cause {
            Cause::Failed(error) => Cause::Failed(clone_error(error)),
            Cause::Panicked(panic) => Cause::Panicked(panic.clone()),
        };
        LoopError { thread: self.thread.clone(), index: self.index, cause }
    }
}

impl fmt::Display for LoopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Failed(error) => write!(f, "the thread {:?} has failed: {error}", self.thread),
            Cause::Panicked(panic) => write!(f, "the thread {:?} has {panic}", self.thread),
        }
    }
}

impl std::error::Error for LoopError {}

impl From<LoopError> for io::Error {
    fn from(error: LoopError) -> Self {
        let kind = error.error().map_or(io::ErrorKind::Other, io::Error::kind);
        io::Error::new(kind, error)
    }
}
