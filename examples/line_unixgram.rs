//! A line comes in as a datagram through a Unix socket, and goes back as one: to a client that has a
//! name itself.
//!
//! Run: `cargo run --example line_unixgram -- --listen /tmp/line`, then
//! `cargo run --example client -- udp --connect /tmp/line` (which takes a name for itself).
//!
//! CPython tests its `socketserver` with this program. All that a server needs beside its handler is
//! two words, *what it listens on* and *where requests are handled*: they make its name. The four
//! `line_` programs are the one axis, `--concurrency` is the other.

use common::line::line_of_datagram;
use common::{Concurrency, ServerOptions, serve, serve_inline};
use tripoll::server::{
    ForkingUnixDatagramServer, PooledUnixDatagramServer, ReactorUnixDatagramServer,
    ThreadingUnixDatagramServer, UnixDatagramServer,
};

fn main() -> Result<(), common::Failure> {
    let ServerOptions { options, concurrency } = common::read(
        "Sends the first line of each datagram back, through a Unix socket",
        common::UNIX,
    );
    options.begin()?;
    let at = &options.listen;
    match concurrency {
        Concurrency::Inline => {
            serve_inline(&options, UnixDatagramServer::from_fn(at, line_of_datagram)?)
        }
        Concurrency::Threading => {
            serve(&options, ThreadingUnixDatagramServer::from_fn(at, line_of_datagram)?)
        }
        Concurrency::Forking => {
            serve(&options, ForkingUnixDatagramServer::from_fn(at, line_of_datagram)?)
        }
        Concurrency::Pooled => {
            serve(&options, PooledUnixDatagramServer::from_fn(at, line_of_datagram)?)
        }
        Concurrency::Reactor => {
            serve(&options, ReactorUnixDatagramServer::from_fn(at, line_of_datagram)?)
        }
    }
}
