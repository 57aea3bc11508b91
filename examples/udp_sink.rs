//! Shows the datagrams that arrive. With `--reply` it sends them back too.
//!
//! Run: `cargo run --example udp_sink -- --listen 127.0.0.1:8081 --reply`, then
//! `cargo run --example client -- udp --connect 127.0.0.1:8081`.
//!
//! A datagram has no connection: the request is the datagram itself, with the *server's* socket for
//! the answer, which all handlers share. An empty datagram is a request like any other, and not an
//! end. The tutorial's client waits for an answer that its server never sends. This one gives up
//! after a second, or gets its answer with `--reply`.
//!
//! With a thread for each datagram, clients could start any number of threads. Here the limit is 64
//! threads. Further datagrams wait in the kernel's receive buffer, and are dropped when it is full.

use clap::Parser;
use common::{Options, say};
use tripoll::server::{
    Datagram, Exchange, HandlerResult, PythonDatagramSocket, RequestHandler, Threading,
    ThreadingUdpServer,
};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Send each datagram back, unless it is longer
    #[arg(long)]
    reply: bool,
}

fn main() -> Result<(), common::Failure> {
    let Arguments { options, reply } =
        common::read("Shows the datagrams that arrive, and up to 8,192 bytes of each", common::TCP);
    options.begin()?;
    let server = ThreadingUdpServer::builder(&options.listen)
        .concurrency(Threading::default().max_threads(Some(64)))
        .build(move || MyServer { reply })?;
    common::serve(&options, server)
}

struct MyServer {
    reply: bool,
}

impl RequestHandler<Exchange<Datagram>> for MyServer {
    fn handle(&mut self, exchange: &mut Exchange<Datagram>) -> HandlerResult {
        let Datagram { data, socket, truncated, .. } = &exchange.request;
        let cut = if *truncated { " (and more, which is lost)" } else { "" };
        say(format_args!(
            "{} to {}: {}{cut}",
            exchange.client_address,
            socket.local_address(),
            data.escape_ascii()
        ));
        // A part of a datagram is no answer.
        if self.reply && !truncated {
            socket.sendto(data, &exchange.client_address)?;
        }
        Ok(())
    }
}
