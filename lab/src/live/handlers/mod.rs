//! The handlers that a subject can run: one file each, which a page shows beside the Python program that
//! does the same.

mod correct;

use std::io;

use super::program::{Beginning, Subject};
use super::record::Code;

/// A handler that a subject can run.
pub(super) struct Handler {
    /// Its name.
    pub(super) name: &'static str,
    begin: fn(Beginning) -> io::Result<Box<dyn Subject>>,
    /// Its Rust source.
    rust: &'static str,
    /// The Python program.
    python: Option<&'static str>,
}

/// All handlers.
pub(super) static ALL: &[Handler] = &[Handler {
    name: "correct",
    begin: correct::begin,
    rust: include_str!("correct.rs"),
    python: Some(include_str!("correct.py")),
}];

/// The handler with which the lab begins.
pub(super) const FIRST: &str = "correct";

/// Returns the handler called `name`.
pub(super) fn find(name: &str) -> Option<&'static Handler> {
    ALL.iter().find(|handler| handler.name == name)
}

/// Begins the handler.
pub(super) fn begin(handler: &Handler, beginning: Beginning) -> io::Result<Box<dyn Subject>> {
    (handler.begin)(beginning)
}

impl Handler {
    pub(super) fn code(&self) -> Code {
        Code { rust: self.rust.into(), python: self.python.map(Into::into) }
    }
}

impl std::fmt::Debug for Handler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
