//! An HTTP/1.1 server.
//!
//! Run: `cargo run --example http -- --listen 127.0.0.1:4480`, then
//! `curl 127.0.0.1:4480/plaintext`.
//!
//! The protocol knows no socket. It is in files that take bytes and return bytes, and that a test
//! calls without a server: in `protocol/`, `head.rs`, `body.rs` and `conditions.rs` parse, `site.rs` decides,
//! `response.rs` writes, and `session.rs` joins them. `connection.rs` and this file are all that the
//! library needs.
//!
//! | path | methods | answer |
//! |---|---|---|
//! | `/plaintext`, `/pipeline` | GET | a text |
//! | `/baseline11?a=1&b=2` | GET, POST | the sum of the query, and of the number in the body |
//! | `/echo`, and `/` without a root | any | the body |
//! | all others, with `--root FOLDER` | GET | the file, or `index.html` for a path that ends with `/`; a range of it, or 304 |
//!
//! With `--features tls` the option `--tls CERT KEY` serves HTTPS. Nothing else changes.
//!
//! # Limits
//!
//! No client can make the server hold more for it than this:
//!
//! | what | most | a client that goes beyond |
//! |---|---|---|
//! | the request line | 8 KiB | 414 |
//! | the head | 16 KiB, 64 fields | 431 |
//! | the body | 64 KiB | 413 |
//! | chunk extensions, trailers | 4 KiB each | 400, 431 |
//! | the time for a head, for a body | `--patience`, by default 10 s | 408 |
//! | the time between requests | `--idle`, by default 60 s | is closed |
//! | the time in which a client reads nothing of its answer | 60 s | is reset |
//! | connections | 10,000 | waits in the backlog |
//!
//! A connection holds about 80 KiB of input at most, 64 KiB of a body, and 192 KiB of output. All
//! connections together hold 256 MiB of input and output at most: above that, those with the most are
//! closed. A connection that waits for a request takes 400 bytes, and 1 KiB more after a body. Files are
//! sent by the kernel and take no memory.

mod connection;
mod files;
mod protocol;
#[cfg(feature = "tls")]
mod tls;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use common::Options;
use connection::{Layer, Limits, Server};
use files::Files;
use tripoll::net::Listener;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// The folder whose files are served
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
    /// Serve HTTPS, with the certificates and the private key of two PEM files
    #[cfg(feature = "tls")]
    #[arg(long, num_args = 2, value_names = ["CERT", "KEY"])]
    tls: Option<Vec<PathBuf>>,
    /// How many seconds a client may take for a head, and for a body
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = common::seconds)]
    patience: Duration,
    /// How many seconds a client may be silent between two requests
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = common::seconds)]
    idle: Duration,
}

fn main() -> Result<(), common::Failure> {
    let arguments: Arguments = common::read("Serves HTTP/1.1", common::ANYWHERE);
    let Arguments { options, root, patience, idle, .. } = arguments;
    options.begin()?;
    let layer: Layer = Box::new(Ok);
    #[cfg(feature = "tls")]
    let layer = arguments.tls.as_deref().map_or(Ok(layer), tls::layer)?;
    let files = root.as_deref().map(Files::new).transpose()?;
    let server = Server::new(Limits { request: patience, idle }, files);
    let mut reactor = options.reactor().build_with(server)?;

    let listener = Listener::builder().max_connections(10_000).max_buffered(256 << 20);
    let listener = listener.bind(&options.listen)?;
    let address = listener.local_address().clone();
    connection::serve(listener, layer, &mut reactor.context())?;
    common::shut_down_on_signals(&mut reactor)?;

    common::announce(&address);
    reactor.run()?;
    Ok(())
}
