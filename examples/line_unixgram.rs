//! Sends the first line of each datagram back, through a Unix socket. The client's socket must have
//! a name, to which the answer is sent.
//!
//! Run: `cargo run --example line_unixgram -- --listen /tmp/line`, then
//! `cargo run --example client -- udp --connect /tmp/line` (which binds a name of its own).
//!
//! A first line that is longer than the longest datagram of the server, 8,192 bytes, is an error. It is
//! answered with an empty datagram.
//!
//! CPython tests its `socketserver` with this program. A server needs two choices beside its
//! handler: what it listens on, and where requests are handled. Both are in the name of its type.
//! The four `line_` programs differ in the first, and `--concurrency` chooses the second.

use common::line::line_of_datagram;
use common::{Concurrency, ServerOptions, serve, serve_inline};
use tripoll::server::{
    ForkingUnixDatagramServer, PooledUnixDatagramServer, ReactorUnixDatagramServer,
    ThreadingUnixDatagramServer, UnixDatagramServer,
};

fn main() -> Result<(), common::Failure> {
    let ServerOptions { options, concurrency } = common::read(
        "Sends the first line of each datagram back, through a Unix socket. A first line of more than 8,192 bytes is an error",
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
