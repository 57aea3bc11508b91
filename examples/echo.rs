//! An echo server: it sends back what each client sends.
//!
//! Run: `cargo run --example echo -- --listen 127.0.0.1:4424`, then `nc 127.0.0.1 4424`.
//!
//! There are two handlers. That of the listener is `net`'s own. It calls a closure for each client,
//! which adds the connection with a second handler, an [`Echo`]: it is called when the connection is
//! readable or writable. Neither ever blocks: when there is nothing to read or no room to write, the
//! operation returns `WouldBlock` and the handler returns. The reactor calls it again when the source
//! is ready.
//!
//! Try: `--backend select`, `--trigger edge`, and `--trace` to see each call. With `--concurrency`
//! it is another program, the one in `common/echo.rs`.

use std::io::{self, ErrorKind, Read, Write};

use clap::Parser;
use common::{Concurrency, Options};
use tripoll::net::{Listener, Stream};
use tripoll::{Context, Handler, Interest, Next, Source};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Serve over `tripoll::server`, at HOST:PORT alone: inline, threading, forking, pooled or
    /// reactor
    #[arg(long, hide_possible_values = true)]
    concurrency: Option<Concurrency>,
}

fn main() -> Result<(), common::Failure> {
    let Arguments { options, concurrency } =
        common::read("Sends back what it is sent", common::ANYWHERE);
    options.begin()?;
    if let Some(concurrency) = concurrency {
        return common::echo::serve_with(concurrency, &options);
    }
    let mut reactor = options.reactor().build_with(Server { buffer: vec![0; 64 << 10] })?;

    let listener = Listener::bind(&options.listen)?;
    let address = listener.local_address().clone();
    listener.serve(&mut reactor.context(), |client, cx| {
        cx.add(client, Interest::READ, Echo::default())?;
        Ok(())
    })?;
    common::shut_down_on_signals(&mut reactor)?;

    common::announce(&address);
    reactor.run()?;
    Ok(())
}

/// What the handlers share.
struct Server {
    /// The read buffer. One serves all clients, since one handler runs at a time, so that an idle
    /// client needs no memory.
    buffer: Vec<u8>,
}

/// Sends a client what it has sent.
#[derive(Default)]
struct Echo {
    /// What the kernel has not taken yet, at most one buffer. While there is any, nothing is read,
    /// so that a client that does not read blocks in its own writes.
    unsent: Vec<u8>,
    /// Whether the server shuts down. What has arrived is still sent back.
    is_shutting_down: bool,
}

impl Echo {
    /// Reads and writes until an operation would block. Returns `Ok` when the client has finished
    /// and all is sent back.
    fn echo(&mut self, client: &mut Source<Stream>, buffer: &mut [u8]) -> io::Result<()> {
        loop {
            while !self.unsent.is_empty() {
                client.set_interest(Interest::WRITE);
                let sent = client.write(&self.unsent)?;
                self.unsent.drain(..sent);
            }
            client.set_interest(Interest::READ);
            let received = match client.read(buffer)? {
                0 => return Ok(()),
                count => &buffer[..count],
            };
            // There is room in most cases, so trying is cheaper than waiting for writability.
            let sent = match client.write(received) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                result => result?,
            };
            self.unsent = received[sent..].to_vec();
        }
    }
}

impl Handler<Stream, Server> for Echo {
    fn ready(&mut self, client: &mut Source<Stream>, cx: &mut Context<Server>) -> io::Result<Next> {
        match self.echo(client, &mut cx.state.buffer) {
            Ok(()) => Ok(Next::Remove),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let has_more = !self.unsent.is_empty() || client.is_readable();
                Ok(if self.is_shutting_down && !has_more { Next::Remove } else { Next::Keep })
            }
            Err(error) => Err(error), // closes this connection alone
        }
    }

    fn shutting_down(
        &mut self,
        client: &mut Source<Stream>,
        cx: &mut Context<Server>,
    ) -> io::Result<Next> {
        self.is_shutting_down = true;
        self.ready(client, cx)
    }
}
