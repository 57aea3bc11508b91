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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_says_what_happened_to_the_jobs() {
        assert_eq!(SubmitError::Full.to_string(), "the pool's queue is full");
        assert!(SubmitError::Closed.to_string().contains("accepts no more jobs"));
        assert_eq!(io::Error::from(SubmitError::Full).kind(), io::ErrorKind::ResourceBusy);
        let text = Unfinished { dropped: 3, working: 2 }.to_string();
        assert_eq!(text, "3 queued jobs were dropped, and 2 jobs are still running");
    }
}
