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

#[cfg(test)]
mod tests {
    use std::io::ErrorKind::*;

    use super::*;

    #[test]
    fn what_a_client_does_is_no_fault_of_the_program() {
        let is_by_client = |kind: io::ErrorKind, transport| {
            is_by_client(&*Box::<dyn Error + Send + Sync>::from(io::Error::from(kind)), transport)
        };
        for transport in [Type::STREAM, Type::DGRAM] {
            for kind in [ConnectionReset, BrokenPipe, NotConnected] {
                assert!(is_by_client(kind, transport), "{kind:?}");
            }
            for kind in [Other, InvalidData, TimedOut, WouldBlock] {
                assert!(!is_by_client(kind, transport), "{kind:?}");
            }
        }
        assert!(is_by_client(ConnectionRefused, Type::DGRAM));
        assert!(!is_by_client(ConnectionRefused, Type::STREAM)); // of a connection of the handler's
    }

    #[test]
    fn an_error_that_is_no_io_error_is_the_programs() {
        assert!(!is_by_client(&*Box::<dyn Error + Send + Sync>::from("no"), Type::DGRAM));
    }
}
