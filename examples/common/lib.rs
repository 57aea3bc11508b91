//! What the example servers share: the command line, their output, and how they stop.
//!
//! ```text
//! NAME --listen ADDR [--backend select|poll|epoll|mio] [--trigger level|edge|oneshot] [--trace]
//! ```
//!
//! A server prints `listening on ADDR` for each listener once it accepts. On SIGINT and SIGTERM it
//! shuts down gracefully and exits with 0. After wrong arguments it exits with 2, and after an
//! error with 1, each with one line of reason.

pub mod echo;
pub mod line;
mod logging;
pub mod menu;
pub mod models;
mod options;
mod serve;
mod stop;
mod trace;

use std::error::Error;
use std::fmt;
use std::io::Write as _;

pub use options::{ANYWHERE, Options, TCP, UNIX, parse, read, seconds};
pub use serve::{Concurrency, ServerOptions, finish, patient, serve, serve_inline};
pub use stop::{GRACE, block_signals, shut_down_on_signals, signals, start_thread, wait_for};
use tripoll::net::Address;
use tripoll::sys::write_now;

/// Prints that the server accepts, and at which address.
pub fn announce(address: &Address) {
    trace::note_listener(address);
    let mut out = std::io::stdout().lock();
    // A server serves, whether or not its output can be written.
    let _ = writeln!(out, "listening on {address}").and_then(|()| out.flush());
}

/// Prints a line to standard output at once, as the tutorials' `print` does.
pub fn say(line: impl fmt::Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// As [`say`], for a loop that must not block. The line is lost if there is no room for it.
pub fn say_now(line: impl fmt::Display) {
    let _ = write_now(std::io::stdout(), format!("{line}\n").as_bytes());
}

/// Returns an address without its port: Python's `self.client_address[0]`.
pub fn host(address: &Address) -> String {
    match address {
        Address::Inet(address) => address.ip().to_string(),
        other => other.to_string(),
    }
}

/// The reason why a server ends. Returned from `main`, it is printed as one line, and the exit code
/// is 1.
pub struct Failure(String);

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure(error.to_string())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
