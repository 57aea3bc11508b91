//! Sends one message back in capitals, and closes.
//!
//! Run: `cargo run --example upper_once -- --listen 127.0.0.1:9999`, then
//! `cargo run --example client -- upper --connect 127.0.0.1:9999`.
//!
//! A message is here what one `recv(1024)` returns. TCP has no messages: two pieces that a client
//! sends may arrive as one or as two, and of two only the first is answered. That is the lesson of
//! this server. `upper_loop` reads on.
//!
//! Try: `TcpServer` in place of `ThreadingTcpServer`, and two clients at once.

use common::{Options, host, say};
use tripoll::server::{Exchange, HandlerResult, PythonSocket, RequestHandler, ThreadingTcpServer};

fn main() -> Result<(), common::Failure> {
    let options =
        Options::read("Sends one message, up to 1,024 bytes, back in capitals", common::TCP)?;
    // The tutorial sets `allow_reuse_address = True`, which is the default here.
    let server = ThreadingTcpServer::builder(&options.listen)
        .config(common::patient())
        .build(|| MyTcpHandler)?;
    common::serve(&options, server)
}

struct MyTcpHandler;

impl RequestHandler for MyTcpHandler {
    fn handle(&mut self, exchange: &mut Exchange) -> HandlerResult {
        let data = exchange.request.recv(1024)?;
        let data = strip(&data);
        say(format_args!("{} wrote:\n{}", host(&exchange.client_address), data.escape_ascii()));
        exchange.request.sendall(&data.to_ascii_uppercase())?;
        Ok(common::finish(&exchange.request)?)
    }
}

/// Python's `bytes.strip`. (Rust's `trim_ascii` leaves the vertical tab.)
fn strip(data: &[u8]) -> &[u8] {
    let is_white = |byte: &u8| matches!(byte, 9..=13 | b' ');
    let Some(start) = data.iter().position(|byte| !is_white(byte)) else { return b"" };
    let last = data.iter().rposition(|byte| !is_white(byte)).unwrap_or(start);
    &data[start..=last]
}
