//! An echo server: it sends back what each client sends.
//!
//! Run: `cargo run --example echo -- --listen 127.0.0.1:4424`, then `nc 127.0.0.1 4424`.
//!
//! There are two handlers. An [`Acceptor`] is called when a client waits in the listener's queue,
//! an [`Echo`] when its connection is readable or writable. Neither ever blocks: when there is
//! nothing to read or no room to write, the operation returns `WouldBlock` and the handler returns.
//! The reactor calls it again when the source is ready.
//!
//! Try: `--backend select`, `--trigger edge`, and `--trace` to see each call. With `--concurrency`
//! it is another program, the one in `common/echo.rs`.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

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
    reactor.context().add(listener, Interest::READ, Acceptor::default())?;
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

/// Accepts clients.
#[derive(Default)]
struct Acceptor {
    /// Whether the log has the reason why nothing is accepted.
    has_logged: bool,
}

/// How long the listener rests after `accept` has failed.
const PAUSE: Duration = Duration::from_millis(100);

impl Handler<Listener, Server> for Acceptor {
    fn ready(
        &mut self,
        listener: &mut Source<Listener>,
        cx: &mut Context<Server>,
    ) -> io::Result<Next> {
        loop {
            let added = listener
                .try_io(Interest::READ, |listener| listener.accept())
                .and_then(|client| Ok(cx.add(client, Interest::READ, Echo::default())?));
            let Err(error) = added else { continue };
            match error.kind() {
                ErrorKind::WouldBlock => {
                    self.has_logged = false;
                    return Ok(Next::Keep);
                }
                // The client has left the queue again.
                ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
                // For instance, there are no more descriptors. The clients stay in the queue, so
                // the listener stays ready. Without a pause the loop would spin.
                _ => {
                    if !self.has_logged {
                        log::warn!("cannot accept: {error}; trying again every {PAUSE:?}");
                        self.has_logged = true;
                    }
                    listener.set_interest(Interest::NONE);
                    cx.set_deadline(listener.token(), Some(Instant::now() + PAUSE))?;
                    return Ok(Next::Keep);
                }
            }
        }
    }

    /// Accepts again after the pause.
    fn timed_out(
        &mut self,
        listener: &mut Source<Listener>,
        _: &mut Context<Server>,
    ) -> io::Result<Next> {
        listener.set_interest(Interest::READ);
        Ok(Next::Keep)
    }
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
