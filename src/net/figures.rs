//! What a connection has done, for an access log and for a list of connections.

use std::fmt;
use std::time::{Duration, Instant};

use super::address::Address;
use crate::selector::Token;

/// What a [measured](super::Connection::measured) connection has done.
///
/// It is displayed as a part of one line: `127.0.0.1:40404 received 18 bytes, sent 1042`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionFigures {
    /// Its token in the reactor.
    pub token: Token,
    /// The address of the peer.
    pub peer: Address,
    /// When it was served, by the [clock](crate::Context::now) of the reactor.
    pub opened_at: Instant,
    /// Bytes that were read from the stream. Over a [filter](super::Connection::over) these are the filter's,
    /// not those of the protocol.
    pub received: u64,
    /// Bytes that the kernel has taken. What is in the write buffer does not count.
    pub sent: u64,
    /// What the connection is doing.
    pub state: ConnectionState,
}

impl ConnectionFigures {
    /// Returns how long the connection has been served. `now` is the time of the reactor:
    /// [`Context::now`](crate::Context::now).
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.opened_at)
    }
}

impl fmt::Display for ConnectionFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConnectionFigures { peer, received, sent, .. } = self;
        write!(f, "{peer} received {received} bytes, sent {sent}")
    }
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionState {
    /// The handshake of its [filter](super::Connection::over) is not over.
    Handshaking,
    /// It is open, and reads.
    Open,
    /// It is open, and does not read: it is [paused](super::Wire::pause), or its write buffer is above the high
    /// [watermark](super::Watermarks), or the peer has finished.
    NotReading,
    /// It was [closed](super::Wire::close), and sends the rest of its output or waits for the peer's end.
    Closing,
    /// It is closed.
    Closed,
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConnectionState::Handshaking => "handshaking",
            ConnectionState::Open => "open",
            ConnectionState::NotReading => "not reading",
            ConnectionState::Closing => "closing",
            ConnectionState::Closed => "closed",
        })
    }
}

/// What is kept for a connection that is measured.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    pub(super) peer: Address,
    pub(super) opened_at: Instant,
    pub(super) received: u64,
    pub(super) sent: u64,
}
