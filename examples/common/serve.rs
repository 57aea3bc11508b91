//! How the examples run a server of `tripoll::server`.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tripoll::server::PythonSocket;

use clap::{Parser, ValueEnum};
use tripoll::net::Stream;
use tripoll::server::{Datagram, Inline, Request, Server, ServerConfig, Transport};

use super::{
    Failure, GRACE, Options, announce, shut_down_on_signals, signals, start_thread, wait_for,
};

/// Where requests are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Concurrency {
    Inline,
    Threading,
    Forking,
    Pooled,
    Reactor,
}

/// The command line of a server that can have any concurrency.
#[derive(Debug, Parser)]
pub struct ServerOptions {
    #[command(flatten)]
    pub options: Options,
    /// Where requests are handled: inline, threading, forking, pooled or reactor
    #[arg(long, default_value = "inline", hide_possible_values = true)]
    pub concurrency: Concurrency,
}

/// The options of the tutorials' servers: as in Python, a client may be silent for as long as it
/// likes, for instance because a person is typing. By default it is closed after a minute.
pub fn patient() -> ServerConfig {
    ServerConfig::default().idle_timeout(None)
}

/// Serves until SIGINT or SIGTERM. The server runs in a reactor of this program, which watches the
/// signals too.
pub fn serve<T, C>(options: &Options, server: Server<T, C>) -> Result<(), Failure>
where
    T: Transport<Request: Client>,
    C: tripoll::server::Concurrency,
{
    let mut reactor = options.reactor().build()?;
    let never = Duration::MAX; // no example overrides `service_actions`
    server.serve_in(never, &mut reactor.context())?;
    shut_down_on_signals(&mut reactor)?;
    announce(&server.server_address());
    reactor.run()?;

    // What clients have sent is still answered. The end of the input ends the wait for silent ones.
    server.end_input();
    if let Err(error) = server.server_close_within(GRACE) {
        log::warn!("{error}"); // for instance a handler that blocks in writing to standard output
    }
    Ok(())
}

/// As [`serve`], for handlers that block in the loop. Meanwhile the loop sees no signal, so another
/// thread waits for it, and then shuts down the connections on which the handler blocks.
pub fn serve_inline<T>(options: &Options, server: Server<T, Inline>) -> Result<(), Failure>
where
    T: Transport<Request: Client>,
{
    let (base, signals) = (Arc::clone(server.base()), signals()?);
    start_thread(move || {
        wait_for(&signals);
        base.request_shutdown();
        let end = Instant::now() + GRACE;
        loop {
            if Instant::now() < end {
                base.end_input();
            } else {
                base.connections().iter().for_each(|(client, _)| client.cut());
            }
            // Another connection may have been accepted meanwhile.
            thread::sleep(Duration::from_millis(10));
        }
    })?;
    serve(options, server)
}

/// A request on which a handler may block.
pub trait Client: Request {
    /// Ends the wait in any case.
    fn cut(&self);
}

impl Client for Arc<Stream> {
    fn cut(&self) {
        let _ = Stream::shutdown(self, Shutdown::Both); // the client may have left
    }
}

impl Client for Datagram {
    /// Does nothing: a datagram has arrived as a whole.
    fn cut(&self) {}
}

/// Half-closes, and reads until the client closes too, for a second at most. A close with unread
/// input would be a reset, which may overtake the answer.
pub fn finish(client: &Stream) -> io::Result<()> {
    const LINGER: Duration = Duration::from_secs(1);
    let end = Instant::now() + LINGER;
    client.shutdown(Shutdown::Write)?;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left < Duration::from_millis(1) {
            return Ok(());
        }
        client.settimeout(Some(left))?;
        match client.recv(4_096) {
            Ok(data) if data.is_empty() => return Ok(()),
            Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(()),
            other => drop(other?),
        }
    }
}
