//! What a subject is to its thread: a server that can be turned.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::gate::Gate;
use super::record::{Lists, Text};
use super::settings::Settings;
use super::table::View;

/// A server that can be turned.
pub(super) trait Subject {
    /// Makes one turn. An error ends the server, as an exception ends a program.
    fn turn(&mut self, settings: &Settings) -> io::Result<()>;

    /// Returns what its loop knows of its sources.
    fn views(&mut self) -> Vec<View>;

    /// Returns the lists of the tutorials' program, if it has them.
    fn lists(&self) -> Option<Lists> {
        None
    }

    /// Changes its backend or trigger. If that fails, nothing has changed.
    fn switch(&mut self, settings: &Settings) -> io::Result<()>;

    /// Returns the trigger in effect.
    fn effective(&mut self) -> Text;
}

/// What a subject needs to begin.
pub(super) struct Beginning {
    pub(super) listener: TcpListener,
    pub(super) gate: Arc<Gate>,
    pub(super) nudge: Arc<OwnedFd>,
    pub(super) settings: Settings,
}
