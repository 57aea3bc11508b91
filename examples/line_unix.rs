//! Sends a line back, through a Unix socket.
//!
//! Run: `cargo run --example line_unix -- --listen /tmp/line`, then
//! `cargo run --example client -- chat --connect /tmp/line`.
//!
//! A line may have 1 MiB. A longer one is an error, and its client gets no answer. A
//! client that is silent for a minute is closed.
//!
//! CPython tests its `socketserver` with this program. A server needs two choices beside its
//! handler: what it listens on, and where requests are handled. Both are in the name of its type.
//! The four `line_` programs differ in the first, and `--concurrency` chooses the second.

use common::line::{line, line_in_the_loop};
use common::{Concurrency, ServerOptions, serve, serve_inline};
use tripoll::server::{
    ForkingUnixStreamServer, PooledUnixStreamServer, ReactorUnixStreamServer,
    ThreadingUnixStreamServer, UnixStreamServer,
};

fn main() -> Result<(), common::Failure> {
    let ServerOptions { options, concurrency } = common::read(
        "Sends one line back, through a Unix socket. A line of more than 1 MiB is an error",
        common::UNIX,
    );
    options.begin()?;
    let at = &options.listen;
    match concurrency {
        Concurrency::Inline => serve_inline(&options, UnixStreamServer::from_fn(at, line)?),
        Concurrency::Threading => serve(&options, ThreadingUnixStreamServer::from_fn(at, line)?),
        Concurrency::Forking => serve(&options, ForkingUnixStreamServer::from_fn(at, line)?),
        Concurrency::Pooled => serve(&options, PooledUnixStreamServer::from_fn(at, line)?),
        Concurrency::Reactor => {
            serve(&options, ReactorUnixStreamServer::from_fn(at, line_in_the_loop)?)
        }
    }
}
