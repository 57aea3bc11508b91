//! The shortest of the tutorials' `socketserver` programs: it answers any message with one
//! question, and closes.
//!
//! Run: `cargo run --example once_reply -- --listen 127.0.0.1:8090`, then
//! `cargo run --example client -- once --connect 127.0.0.1:8090`.
//!
//! The recipe has four steps: choose a server ([`ThreadingTcpServer`]); write a handler with a
//! `handle` ([`MyServer`]); make the server from an address and the handler; have it serve.
//!
//! The program as printed never serves, because of a `'__mian__'`. Its handler closes the
//! connection, and then the server does. The second close has no effect.

use common::Options;
use tripoll::server::{Exchange, HandlerResult, PythonSocket, RequestHandler, ThreadingTcpServer};

fn main() -> Result<(), common::Failure> {
    let options = Options::read(
        "Asks each client, whatever it says, whether it has understood",
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
        let _whatever = conn.recv(1024)?;
        conn.sendall("亲,学会了吗".as_bytes())?;
        common::finish(conn)?;
        conn.close();
        Ok(())
    }
}
