//! A registration that failed.

use std::{fmt, io};

/// A source that could not be registered, given back, and why.
pub struct AddError<F> {
    /// The source, as it was.
    pub source: F,
    /// Why.
    pub error: io::Error,
}

impl<F> fmt::Debug for AddError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<F> fmt::Display for AddError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot be registered: {}", self.error)
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
