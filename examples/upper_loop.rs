//! Message after message: each comes back in capitals, until the client has finished.
//!
//! Run: `cargo run --example upper_loop -- --listen 127.0.0.1:8080`, then
//! `cargo run --example client -- upper --forever --connect 127.0.0.1:8080`.
//!
//! Two loops, and two people's business. The *connection loop* takes one client after the other: it
//! is the server's. The *communication loop* takes one message after the other: it is the handler's,
//! and the only one to be seen here.
//!
//! The tutorial shows each message before it answers, and half a character that cannot be shown ends
//! the conversation. Here it is shown as well as it can be, and answered in any case.

use common::{Options, say};
use tripoll::server::{Exchange, HandlerResult, PythonSocket, RequestHandler, ThreadingTcpServer};

fn main() -> Result<(), common::Failure> {
    let options = Options::read(
        "Sends each message back in capitals, until the client has finished",
        common::TCP,
    )?;
    let server = ThreadingTcpServer::new(&options.listen, || MyServer)?;
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
                    say("出错了"); // something has gone wrong: the client is lost
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
