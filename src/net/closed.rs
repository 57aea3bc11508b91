//! The end of a connection, as its protocol gets it.

use std::fmt;

use super::close_reason::CloseReason;
use super::figures::ConnectionFigures;
use crate::selector::Token;

/// The end of a connection: which one was closed, why, and what it has done.
///
/// It is displayed as a line of an access log: the reason, and the
/// [figures](ConnectionFigures) before it if the connection was measured.
#[derive(Debug)]
#[non_exhaustive]
pub struct Closed {
    /// Why the connection was closed.
    pub reason: CloseReason,
    /// The token that the connection had in the reactor. It is not used again. `None` if the connection
    /// was never served, because there was no stream for it: [`CloseReason::ConnectFailed`].
    pub token: Option<Token>,
    /// What the connection has done, if it was [measured](super::Connection::measured).
    pub figures: Option<ConnectionFigures>,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.figures {
            Some(figures) => write!(f, "{figures}: {}", self.reason),
            None => self.reason.fmt(f),
        }
    }
}
