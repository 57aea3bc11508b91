//! A proxy for TCP and Unix sockets.
//!
//! Run: `cargo run --release --example proxy -- --listen 127.0.0.1:7100 --to 127.0.0.1:7000`, with
//! `cargo run --example echo -- --listen 127.0.0.1:7000` behind it, then `nc 127.0.0.1 7100`.
//!
//! `header.rs` knows the PROXY protocol, `flow.rs` back-pressure and `target.rs` the text of `--to`; they
//! know no socket. `upstream.rs`
//! connects, and `side.rs` joins the two connections of a client.
//!
//! * **Addresses.** `--to` takes several. The next one is tried when one fails, or takes longer than
//!   `--connect-timeout`. Names are resolved by a pool of threads, for each client anew.
//! * **Back-pressure.** A side that does not read pauses the other one. In each direction a client holds
//!   at most 320 KiB on their way between the sides, and a write buffer that grows by them above its
//!   high watermark of 64 KiB.
//! * **Ends.** A half-close is passed on, and the other direction goes on. A reset is passed on, too.
//! * **PROXY protocol.** With `--proxy-in` each client must begin with a header of version 1 or 2.
//!   `--proxy-out` sends one. Choose `--proxy-in` only if all clients are proxies that are trusted.
//! * **Limits.** Clients above `--max-connections` wait in the kernel. When no byte has passed for
//!   `--idle`, both sides are closed.

mod flow;
mod header;
mod side;
mod target;
mod upstream;

use std::time::Duration;

use clap::Parser;
use common::Options;
use header::Version;
use side::{Proxy, Side};
use target::{Target, target};
use tripoll::net::Listener;
use tripoll::sys::raise_descriptor_limit;
use upstream::Upstream;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Where clients are connected to: HOST:PORT, the path of a Unix socket or @NAME; several are tried
    /// one after another
    #[arg(
        long,
        value_name = "ADDR[,ADDR]",
        default_value = "127.0.0.1:7000",
        value_delimiter = ','
    )]
    #[arg(value_parser = target)]
    to: Vec<Target>,
    /// How many seconds one address may take to accept, and a client to send its header
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = common::seconds)]
    connect_timeout: Duration,
    /// How many seconds no byte may pass
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = common::seconds)]
    idle: Duration,
    /// The most clients at once
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    max_connections: usize,
    /// Clients begin with a header of the PROXY protocol, version 1 or 2
    #[arg(long)]
    proxy_in: bool,
    /// Begin upstream with a header of the PROXY protocol: v1 or v2
    #[arg(long, value_name = "VERSION")]
    proxy_out: Option<Version>,
}

fn main() -> Result<(), common::Failure> {
    let arguments: Arguments =
        common::read("Passes bytes on between clients and a server", common::ANYWHERE);
    let options = &arguments.options;
    options.begin()?;
    // Each client takes two. It goes on with fewer: then clients wait.
    let _ = raise_descriptor_limit(2 * arguments.max_connections as u64 + 32);
    let proxy = Proxy {
        upstream: Upstream::new(arguments.to, arguments.connect_timeout)?,
        header_in: arguments.proxy_in,
        header_out: arguments.proxy_out,
        patience: arguments.connect_timeout,
        idle: arguments.idle,
        warned: None,
    };
    let mut reactor = options.reactor().build_with(proxy)?;

    let listener = Listener::builder()
        .max_connections(arguments.max_connections)
        .max_buffered(256 << 20)
        .bind(&options.listen)?;
    let address = listener.local_address().clone();
    listener.serve(&mut reactor.context(), |stream, cx| {
        Side::default().serve(stream, cx)?;
        Ok(())
    })?;
    common::shut_down_on_signals(&mut reactor)?;

    common::announce(&address);
    reactor.run()?;
    Ok(())
}
