//! A registration that failed.

use std::{fmt, io};

/// The error of a failed [`Context::add`](super::Context::add), with the source that it gives back.
pub struct AddError<F> {
    /// The source, with the same flags as before.
    pub source: F,
    /// Why it could not be added.
    pub error: io::Error,
}

impl<F> fmt::Debug for AddError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<F> fmt::Display for AddError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot add the source: {}", self.error)
    }
}

impl<F> std::error::Error for AddError<F> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<F> From<AddError<F>> for io::Error {
    fn from(refused: AddError<F>) -> Self {
        refused.error
    }
}
