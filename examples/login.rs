//! A login: the server remembers the name until the password comes.
//!
//! Run: `cargo run --example login -- --listen 127.0.0.1:8123`, then
//! `cargo run --example client -- login --connect 127.0.0.1:8123`. The users are `fan` with `123`,
//! `te` with `234` and `fei` with `345`.
//!
//! The goodbye, `5Y-11-26 11/26/26 broken connect with server`, has a bug of the tutorial: its
//! format string has a `5` where a `%` was meant. Its clients expect that text, so it stays.
//!
//! The server makes a handler for each client, which lives as long as the connection. Its fields
//! are its memory.
//!
//! Each `recv` counts as one command, so the client waits for the answer before it sends the next.
//! Three faults of the tutorial are mended. A client that leaves kept its thread busy for ever, a
//! password before any name raised an exception, and passwords were printed.

use std::thread;
use std::time::Duration;
use tripoll::server::PythonSocket;

use chrono::Local;
use common::{Options, host, say};
use tripoll::server::{Exchange, HandlerResult, RequestHandler, ThreadingTcpServer};

const USERS: [(&[u8], &[u8]); 3] = [(b"fan", b"123"), (b"te", b"234"), (b"fei", b"345")];

fn main() -> Result<(), common::Failure> {
    let options =
        Options::read("Asks for a name and a password until they are valid", common::TCP)?;
    let server = ThreadingTcpServer::builder(&options.listen)
        .config(common::patient())
        .build(MyServer::default)?;
    common::serve(&options, server)
}

#[derive(Default)]
struct MyServer {
    /// The last name that the client has sent, known or not.
    user: Vec<u8>,
}

impl RequestHandler for MyServer {
    fn setup(&mut self, exchange: &mut Exchange) -> HandlerResult {
        say(format_args!("Now connect from  {}", host(&exchange.client_address)));
        Ok(())
    }

    fn handle(&mut self, exchange: &mut Exchange) -> HandlerResult {
        let conn = &exchange.request;
        loop {
            let recvdata = conn.recv(1024)?;
            if recvdata.is_empty() {
                return Ok(());
            } else if recvdata == b"Now client connect to Server" {
                conn.sendall(b"OK,I am ready")?;
            } else if recvdata.starts_with(b"username") {
                self.user = after_colon(&recvdata).into();
                conn.sendall(verdict(self.password().is_some()))?;
            } else if recvdata.starts_with(b"userpasswd") {
                let is_valid = self.password() == Some(after_colon(&recvdata));
                conn.sendall(verdict(is_valid))?;
                if is_valid {
                    // A thread may sleep: only its own client waits.
                    thread::sleep(Duration::from_millis(500));
                    conn.sendall(goodbye().as_bytes())?;
                    return Ok(common::finish(conn)?);
                }
            }
        }
    }

    fn finish(&mut self, exchange: &mut Exchange) -> HandlerResult {
        say(format_args!("broken connect with {}", host(&exchange.client_address)));
        Ok(())
    }
}

impl MyServer {
    fn password(&self) -> Option<&'static [u8]> {
        USERS.iter().find(|(name, _)| *name == self.user).map(|&(_, password)| password)
    }
}

/// Returns what follows the last colon, and all of `data` if there is none.
fn after_colon(data: &[u8]) -> &[u8] {
    data.rsplit(|&byte| byte == b':').next().unwrap_or(data)
}

fn verdict(is_valid: bool) -> &'static [u8] {
    if is_valid { b"valid" } else { b"invalid" }
}

/// Returns the goodbye in the tutorial's format: `5Y` for `%Y`, and the date twice.
fn goodbye() -> String {
    Local::now().format("5Y-%m-%d %m/%d/%y broken connect with server ").to_string()
}
