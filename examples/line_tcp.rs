//! Sends a line back, over TCP.
//!
//! Run: `cargo run --example line_tcp -- --listen 127.0.0.1:7000`, then `nc 127.0.0.1 7000`.
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
    ForkingTcpServer, PooledTcpServer, ReactorTcpServer, TcpServer, ThreadingTcpServer,
};

fn main() -> Result<(), common::Failure> {
    let ServerOptions { options, concurrency } = common::read(
        "Sends one line back, over TCP. A line of more than 1 MiB is an error",
        common::TCP,
    );
    options.begin()?;
    let at = &options.listen;
    match concurrency {
        Concurrency::Inline => serve_inline(&options, TcpServer::from_fn(at, line)?),
        Concurrency::Threading => serve(&options, ThreadingTcpServer::from_fn(at, line)?),
        Concurrency::Forking => serve(&options, ForkingTcpServer::from_fn(at, line)?),
        Concurrency::Pooled => serve(&options, PooledTcpServer::from_fn(at, line)?),
        Concurrency::Reactor => serve(&options, ReactorTcpServer::from_fn(at, line_in_the_loop)?),
    }
}
