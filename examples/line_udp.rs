//! Sends the first line of each datagram back, over UDP.
//!
//! Run: `cargo run --example line_udp -- --listen 127.0.0.1:7000`, then
//! `cargo run --example client -- udp --connect 127.0.0.1:7000`.
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
    ForkingUdpServer, PooledUdpServer, ReactorUdpServer, ThreadingUdpServer, UdpServer,
};

fn main() -> Result<(), common::Failure> {
    let ServerOptions { options, concurrency } = common::read(
        "Sends the first line of each datagram back, over UDP. A first line of more than 8,192 bytes is an error",
        common::TCP,
    );
    options.begin()?;
    let at = &options.listen;
    match concurrency {
        Concurrency::Inline => serve_inline(&options, UdpServer::from_fn(at, line_of_datagram)?),
        Concurrency::Threading => {
            serve(&options, ThreadingUdpServer::from_fn(at, line_of_datagram)?)
        }
        Concurrency::Forking => serve(&options, ForkingUdpServer::from_fn(at, line_of_datagram)?),
        Concurrency::Pooled => serve(&options, PooledUdpServer::from_fn(at, line_of_datagram)?),
        Concurrency::Reactor => serve(&options, ReactorUdpServer::from_fn(at, line_of_datagram)?),
    }
}
