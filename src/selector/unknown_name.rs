//! The error of parsing a name.

use std::fmt;

/// A name that this build does not know. The message lists the known ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    message: String,
}

impl UnknownName {
    /// Returns the one of `known` that displays as `name`.
    pub(crate) fn find<T: fmt::Display + Copy>(
        kind: &str,
        name: &str,
        known: &[T],
    ) -> Result<T, UnknownName> {
        known.iter().copied().find(|one| one.to_string() == name).ok_or_else(|| {
            let names: Vec<_> = known.iter().map(T::to_string).collect();
            let message = format!("unknown {kind} {name:?}; known are: {}", names.join(", "));
            UnknownName { message }
        })
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for UnknownName {}
