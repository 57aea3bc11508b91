//! The handlers that a subject can run: one file each, which a page shows beside the Python program that
//! does the same.

mod broadcast;
mod close_first;
mod correct;
mod edge;
mod edge_drained;
mod edge_one_read;
mod file;
mod pool;
mod tutorial;
mod write_always;

use std::io;

use tripoll::Trigger;

use super::program::{Beginning, Subject};
use super::record::Code;

/// A handler that a subject can run.
pub(super) struct Handler {
    /// Its name.
    pub(super) name: &'static str,
    /// The trigger with which it begins, if that matters.
    pub(super) trigger: Option<Trigger>,
    begin: fn(Beginning) -> io::Result<Box<dyn Subject>>,
    /// Its Rust source.
    rust: &'static str,
    /// The Python program.
    python: Option<&'static str>,
}

/// All handlers.
pub(super) static ALL: &[Handler] = &[
    Handler {
        name: "tutorial",
        begin: tutorial::begin,
        trigger: None,
        rust: include_str!("tutorial.rs"),
        python: Some(include_str!("tutorial.py")),
    },
    Handler {
        name: "correct",
        begin: correct::begin,
        trigger: None,
        rust: include_str!("correct.rs"),
        python: Some(include_str!("correct.py")),
    },
    Handler {
        name: "edge-one-read",
        begin: edge_one_read::begin,
        trigger: Some(Trigger::Edge),
        rust: include_str!("edge_one_read.rs"),
        python: Some(include_str!("edge_one_read.py")),
    },
    Handler {
        name: "edge-drained",
        begin: edge_drained::begin,
        trigger: Some(Trigger::Edge),
        rust: include_str!("edge_drained.rs"),
        python: Some(include_str!("edge_drained.py")),
    },
    Handler {
        name: "pool",
        begin: pool::begin,
        trigger: None,
        rust: include_str!("pool.rs"),
        python: Some(include_str!("pool.py")),
    },
    Handler {
        name: "broadcast",
        begin: broadcast::begin,
        trigger: None,
        rust: include_str!("broadcast.rs"),
        python: Some(include_str!("broadcast.py")),
    },
    Handler {
        name: "write-always",
        begin: write_always::begin,
        trigger: None,
        rust: include_str!("write_always.rs"),
        python: Some(include_str!("write_always.py")),
    },
    Handler {
        name: "close-first",
        begin: close_first::begin,
        trigger: None,
        rust: include_str!("close_first.rs"),
        python: Some(include_str!("close_first.py")),
    },
    Handler {
        name: "file",
        begin: file::begin,
        trigger: None,
        rust: include_str!("file.rs"),
        python: Some(include_str!("file.py")),
    },
];

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
