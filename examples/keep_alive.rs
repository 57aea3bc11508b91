//! Numbers the lines of each client, and keeps thousands of clients with four threads.
//!
//! Run: `cargo run --example keep_alive -- --listen 127.0.0.1:7000`, then `nc 127.0.0.1 7000` in
//! several terminals. `bye` ends a conversation.
//!
//! The handler may block, and has a state of its own, as if each client had a thread. But it handles
//! one line, and sets `close_connection` to false. Until the next line comes, the client waits in the
//! loop, with its handler. A client that is silent for a minute is closed.

use std::io::{BufRead, Read, Write};

use common::{Options, serve};
use tripoll::server::{HandlerResult, Parked, ParkedTcpServer, RequestHandler, StreamExchange};

fn main() -> Result<(), common::Failure> {
    let options = Options::read(
        "Numbers the lines of each client, and keeps silent clients without a thread",
        common::TCP,
    )?;
    let server = ParkedTcpServer::builder(&options.listen)
        .concurrency(Parked::default().workers(4))
        .build(Numbers::default)?;
    serve(&options, server)
}

/// The longest line, in bytes. A longer one is numbered in parts.
const LONGEST: u64 = 4_096;

/// The handler of one client.
#[derive(Default)]
struct Numbers {
    lines: u64,
}

impl RequestHandler<StreamExchange> for Numbers {
    fn setup(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        Ok(writeln!(exchange.wfile, "hello")?) // `handle` is called when the client has sent something
    }

    fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        let mut line = Vec::new();
        exchange.rfile.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
        if line == b"bye\n" {
            return Ok(()); // and `close_connection` is true
        }
        self.lines += 1;
        let answer = [format!("{}: ", self.lines).as_bytes(), &line].concat();
        exchange.wfile.write_all(&answer)?;
        exchange.close_connection = false;
        Ok(())
    }

    fn finish(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        let _ = writeln!(exchange.wfile, "{} lines", self.lines); // the client may have left
        Ok(())
    }
}
