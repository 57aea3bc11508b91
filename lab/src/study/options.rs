//! How a study is measured, and how it is followed.

use std::ops::ControlFlow;

/// How it is measured.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether fewer and shorter rounds are measured.
    pub quick: bool,
}

/// Is called before each step, with the share that is done and what comes next. `Break` stops the
/// study, which reports what it has.
pub type Steps<'a> = dyn FnMut(f64, &str) -> ControlFlow<()> + 'a;
