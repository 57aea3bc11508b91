//! The errors of the pool.

use std::{fmt, io};

/// Why a [`Pool`](super::Pool) refused a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubmitError {
    /// The queue is full.
    Full,
    /// The pool is being drained.
    Closed,
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SubmitError::Full => "the pool's queue is full",
            SubmitError::Closed => "the pool is being drained and accepts no more jobs",
        })
    }
}

impl std::error::Error for SubmitError {}

impl From<SubmitError> for io::Error {
    fn from(refused: SubmitError) -> Self {
        io::Error::new(io::ErrorKind::ResourceBusy, refused)
    }
}

/// The jobs that were not done when [`Pool::drain`](super::Pool::drain) returned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// The number of queued jobs. They were dropped.
    pub dropped: usize,
    /// The number of running jobs. They continue.
    pub working: usize,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unfinished { dropped, working } = self;
        write!(f, "{dropped} queued jobs were dropped, and {working} jobs are still running")
    }
}

impl std::error::Error for Unfinished {}
