//! Marks in the sources of handlers.

/// Marks the line on which it stands, with the line of the Python program that does the same: it runs.
macro_rules! mark {
    ($python:expr) => {
        crate::live::recorder::with(|recorder| recorder.mark(line!(), $python))
    };
}
pub(super) use mark;
