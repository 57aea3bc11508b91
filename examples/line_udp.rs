//! A line comes in as a datagram, and goes back as one.
//!
//! Run: `cargo run --example line_udp -- --listen 127.0.0.1:7000`, then `cargo run --example client -- udp --connect 127.0.0.1:7000`.
//!
//! CPython tests its `socketserver` with this program. All that a server needs beside its handler is
//! two words, *what it listens on* and *where requests are handled*: they make its name. The four
//! `line_` programs are the one axis, `--concurrency` is the other.

use common::line::line_of_datagram;
use common::{Concurrency, ServerOptions, serve, serve_inline};
use tripoll::server::{
    ForkingUdpServer, PooledUdpServer, ReactorUdpServer, ThreadingUdpServer, UdpServer,
};

fn main() -> Result<(), common::Failure> {
    let ServerOptions { options, concurrency } =
        common::read("Sends the first line of each datagram back, over UDP", common::TCP);
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
