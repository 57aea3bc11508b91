//! Why a connection was closed.

use std::{fmt, io};

/// Why a connection was closed.
///
/// ```
/// use std::io;
/// use tripoll::net::CloseReason;
///
/// /// Returns a line for the log, if the end is worth one.
/// fn line(why: &CloseReason) -> Option<String> {
///     match why {
///         CloseReason::Finished | CloseReason::IdleTimedOut => None, // as usual
///         other => Some(other.to_string()),
///     }
/// }
///
/// assert_eq!(line(&CloseReason::Finished), None);
/// let reset = CloseReason::Failed(io::ErrorKind::ConnectionReset.into());
/// assert_eq!(line(&reset).as_deref(), Some("connection reset"));
/// assert_eq!(reset.to_error().map(|error| error.kind()), Some(io::ErrorKind::ConnectionReset));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum CloseReason {
    /// The connection was closed gracefully. The kernel has taken all output.
    Finished,
    /// [`Wire::abort`](super::Wire::abort) was called.
    Aborted,
    /// [`Wire::detach`](super::Wire::detach) was called. All output was sent, and the stream goes on
    /// elsewhere.
    Detached,
    /// [`Context::remove`](crate::Context::remove) was called. A peer to which not all output was sent is
    /// reset, as after a panic of the protocol, and when the reactor is dropped. When the process exits
    /// without that, or is killed, the kernel sends what it has, and an end.
    Removed,
    /// The protocol left more input unused than
    /// [`Connection::max_unused`](super::Connection::max_unused).
    InputOverflow,
    /// The peer does not read: the write buffer exceeded
    /// [`Watermarks::limit`](super::Watermarks::limit).
    OutputOverflow,
    /// All connections of the listener together held more than
    /// [`ListenerBuilder::max_buffered`](super::ListenerBuilder::max_buffered), and this one more than
    /// its share.
    ListenerOverflow,
    /// The peer read nothing for [`Connection::write_timeout`](super::Connection::write_timeout), while
    /// output waited for it.
    WriteTimedOut,
    /// No data passed for [`Connection::idle_timeout`](super::Connection::idle_timeout).
    IdleTimedOut,
    /// The peer sent nothing for [`Connection::read_timeout`](super::Connection::read_timeout), while the
    /// connection read.
    ReadTimedOut,
    /// The handshake of the filter lasted longer than
    /// [`Connection::handshake_timeout`](super::Connection::handshake_timeout).
    HandshakeTimedOut,
    /// After [`Wire::close`](super::Wire::close) the peer read nothing for
    /// [`Connection::close_within`](super::Connection::close_within).
    CloseTimedOut,
    /// A [`Connect`](super::Connect) has not led to a connection. The error names the addresses that
    /// were tried, each with its reason. [`Protocol::opened`](super::Protocol::opened) was not called.
    ConnectFailed(io::Error),
    /// The connection failed, or a callback returned this error.
    Failed(io::Error),
}

impl CloseReason {
    /// Returns the reason as an error. Returns `None` if the program closed the connection:
    /// `Finished`, `Aborted`, `Detached` and `Removed`.
    pub fn to_error(&self) -> Option<io::Error> {
        let kind = match self {
            CloseReason::Finished
            | CloseReason::Aborted
            | CloseReason::Detached
            | CloseReason::Removed => return None,
            CloseReason::ConnectFailed(error) | CloseReason::Failed(error) => {
                return Some(clone_error(error));
            }
            CloseReason::InputOverflow => io::ErrorKind::InvalidData,
            CloseReason::OutputOverflow | CloseReason::ListenerOverflow => {
                io::ErrorKind::StorageFull
            }
            CloseReason::WriteTimedOut
            | CloseReason::IdleTimedOut
            | CloseReason::ReadTimedOut
            | CloseReason::HandshakeTimedOut
            | CloseReason::CloseTimedOut => io::ErrorKind::TimedOut,
        };
        Some(io::Error::new(kind, self.to_string()))
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::Finished => f.write_str("closed"),
            CloseReason::Aborted => f.write_str("aborted"),
            CloseReason::Detached => f.write_str("detached"),
            CloseReason::Removed => f.write_str("removed"),
            CloseReason::InputOverflow => {
                f.write_str("the peer sent more input than max_unused, and the protocol used none")
            }
            CloseReason::OutputOverflow => {
                f.write_str("the peer does not read: the write buffer exceeded its limit")
            }
            CloseReason::ListenerOverflow => f.write_str(
                "the connections hold more than the listener's max_buffered, this one its share",
            ),
            CloseReason::WriteTimedOut => {
                f.write_str("the peer did not read any output for write_timeout")
            }
            CloseReason::IdleTimedOut => f.write_str("no data passed for idle_timeout"),
            CloseReason::ReadTimedOut => f.write_str("the peer sent nothing for read_timeout"),
            CloseReason::HandshakeTimedOut => {
                f.write_str("the handshake was not over within handshake_timeout")
            }
            CloseReason::CloseTimedOut => {
                f.write_str("the peer did not read the rest of the output within close_within")
            }
            CloseReason::ConnectFailed(error) | CloseReason::Failed(error) => error.fmt(f),
        }
    }
}

/// Returns a copy of an error.
pub(crate) fn clone_error(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
