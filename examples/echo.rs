//! An echo server: whatever a client sends, it gets back.
//!
//! Run: `cargo run --example echo -- --listen 127.0.0.1:4424`, then `nc 127.0.0.1 4424`.
//!
//! There are two handlers. An [`Acceptor`] is called when a client waits at the listener, an
//! [`Echo`] when its client has sent something or can take more. Neither ever waits: where there is
//! nothing to read or no room to write, the operation says `WouldBlock`, the handler returns, and
//! the reactor calls it again when that has changed.
//!
//! Try: `--backend select`, `--trigger edge`, and `--trace` to see each call. (With `--concurrency` it
//! is another program, the one in `common/echo.rs`.)

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
    /// Serve over `tripoll::server`, at HOST:PORT alone: inline, threading, forking, pooled or reactor
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
    common::wind_down_on_signals(&mut reactor)?;

    common::announce(&address);
    reactor.run()?;
    Ok(())
}

/// What the handlers share.
struct Server {
    /// What clients have sent is read into this: one for all, since one handler runs at a time. An
    /// idle client owns no memory.
    buffer: Vec<u8>,
}

/// Lets clients in.
#[derive(Default)]
struct Acceptor {
    /// Whether it has said why it lets nobody in.
    has_complained: bool,
}

/// How long to wait when nobody can be let in.
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
                    self.has_complained = false;
                    return Ok(Next::Keep);
                }
                // This one has left again.
                ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
                // There are no more descriptors, say. The clients stay in the queue, so the listener
                // stays ready: to be called again at once would be to spin.
                _ => {
                    if !self.has_complained {
                        log::warn!("cannot accept: {error}; trying again every {PAUSE:?}");
                        self.has_complained = true;
                    }
                    listener.set_interest(Interest::NONE);
                    cx.set_deadline(listener.token(), Some(Instant::now() + PAUSE))?;
                    return Ok(Next::Keep);
                }
            }
        }
    }

    /// The pause is over.
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
    /// What the client was too slow to take. Never more than one buffer of it: while there is any,
    /// nothing is read, so that in the end the client has to wait with its sending.
    unsent: Vec<u8>,
    /// Whether the server stops: the client gets the echo of what has come, and is let go.
    is_farewell: bool,
}

impl Echo {
    /// Reads and writes until something would block. Returns when the client has sent its last and
    /// got it back.
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
            // Mostly there is room, and asking the kernel first would cost more than trying.
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
                let is_owed = !self.unsent.is_empty() || client.is_readable();
                Ok(if self.is_farewell && !is_owed { Next::Remove } else { Next::Keep })
            }
            Err(error) => Err(error), // the connection is broken: it is closed, and nobody else is
        }
    }

    fn shutting_down(
        &mut self,
        client: &mut Source<Stream>,
        cx: &mut Context<Server>,
    ) -> io::Result<Next> {
        self.is_farewell = true;
        self.ready(client, cx)
    }
}
