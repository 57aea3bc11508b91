//! Sends each message back in capitals, until the client has finished.
//!
//! Run: `cargo run --example upper_loop -- --listen 127.0.0.1:8080`, then
//! `cargo run --example client -- upper --forever --connect 127.0.0.1:8080`.
//!
//! There are two loops. The *connection loop* accepts one client after the other, and belongs to
//! the server. The *communication loop* reads one message after the other, and belongs to the
//! handler. It is the only one in this file.
//!
//! The tutorial prints each message before it answers, and half a character that cannot be printed
//! ends the connection. Here a replacement character is printed, and the message is answered.

use common::{Options, say};
use tripoll::server::{Exchange, HandlerResult, PythonSocket, RequestHandler, ThreadingTcpServer};

fn main() -> Result<(), common::Failure> {
    let options = Options::read(
        "Sends each message back in capitals, until the client has finished",
        common::TCP,
    )?;
    let server = ThreadingTcpServer::builder(&options.listen)
        .config(common::patient())
        .build(|| MyServer)?;
    common::serve(&options, server)
}

struct MyServer;

impl RequestHandler for MyServer {
    fn handle(&mut self, exchange: &mut Exchange) -> HandlerResult {
        let conn = &exchange.request;
        loop {
            let data = match conn.recv(1024) {
                Ok(data) => data,
                Err(_) => {
                    say("出错了"); // "an error": the connection is lost
                    return Ok(());
                }
            };
            if data.is_empty() {
                return Ok(());
            }
            say(format_args!("{}: {}", exchange.client_address, String::from_utf8_lossy(&data)));
            conn.sendall(&data.to_ascii_uppercase())?;
        }
    }
}
