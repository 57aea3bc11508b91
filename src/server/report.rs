//! What the hook `handle_error` does with an error by default.

use std::error::Error;
use std::{fmt, io};

use socket2::Type;

use crate::net::{Address, is_by_peer};
use crate::sys;

/// Returns whether the client has broken the connection, or has gone: no fault of the program.
pub(super) fn is_by_client(error: &(dyn Error + Send + Sync + 'static), kind: Type) -> bool {
    let Some(error) = error.downcast_ref::<io::Error>() else { return false };
    is_by_peer(error)
        || match error.kind() {
            // After a reset, calls that need a connection fail as if there had never been one.
            io::ErrorKind::NotConnected => true,
            // The answer to a datagram whose sender has closed its socket.
            io::ErrorKind::ConnectionRefused => kind == Type::DGRAM,
            _ => false,
        }
}

/// Writes an error to standard error, between two lines of forty dashes. Never blocks.
pub(super) fn to_stderr(
    client: &Address,
    error: &(dyn Error + Send + Sync + 'static),
    left_out: impl fmt::Display,
) {
    let line = "-".repeat(40);
    let mut message = format!(
        "{line}\nException occurred during processing of request from {client}{left_out}\n{error}\n"
    );
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(&format!("because: {error}\n"));
        cause = error.source();
    }
    message.push_str(&line);
    message.push('\n');
    let mut unwritten = message.as_bytes();
    // Without a standard error, or without room in it, the rest is lost.
    while let Ok(count @ 1..) = sys::write_now(io::stderr(), unwritten) {
        unwritten = &unwritten[count..];
    }
}
