//! What the example servers share: the command line, what they say, and how they stop.
//!
//! ```text
//! NAME --listen ADDR [--backend select|poll|epoll|mio] [--trigger level|edge|oneshot] [--trace]
//! ```
//!
//! A server prints `listening on ADDR` for each listener once it accepts. SIGINT and SIGTERM end
//! it in good order, and with 0. It ends with 2 and one line when its arguments cannot be meant,
//! and with 1 and one line when it cannot do what they say.

pub mod echo;
pub mod line;
pub mod menu;
mod options;
mod serve;
mod stop;

use std::error::Error;
use std::fmt;
use std::io::Write as _;

pub use options::{ANYWHERE, Options, TCP, UNIX, parse, read};
pub use serve::{Concurrency, ServerOptions, finish, serve, serve_inline};
pub use stop::{GRACE, hold_back_signals, signals, wait_for, wind_down_on_signals};
use tripoll::net::Address;

/// Tells whoever has started the server that it accepts, and where.
pub fn announce(address: &Address) {
    let mut out = std::io::stdout().lock();
    // A server serves, whether or not anybody reads this.
    let _ = writeln!(out, "listening on {address}").and_then(|()| out.flush());
}

/// Says something on standard output: what the tutorials `print`.
pub fn say(words: impl fmt::Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{words}").and_then(|()| out.flush());
}

/// An address without its port: `self.client_address[0]`.
pub fn host(address: &Address) -> String {
    match address {
        Address::Inet(address) => address.ip().to_string(),
        other => other.to_string(),
    }
}

/// Why a server cannot go on. Returned from `main`, it is printed as one line, and the program
/// ends with 1.
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
