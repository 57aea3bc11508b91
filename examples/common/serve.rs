//! How the examples run a server of `tripoll::server`.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tripoll::server::PythonSocket;

use clap::{Parser, ValueEnum};
use tripoll::net::Stream;
use tripoll::server::{Datagram, Inline, Request, Server, Transport};

use super::{Failure, GRACE, Options, announce, signals, wait_for, wind_down_on_signals};

/// Where requests are handled: one word on the command line, as it is one word in a program.
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

/// Serves until SIGINT or SIGTERM. The loop is this program's own, so that it can watch the signals
/// too: a server is a thing that a reactor can watch.
pub fn serve<T, C>(options: &Options, server: Server<T, C>) -> Result<(), Failure>
where
    T: Transport<Request: Client>,
    C: tripoll::server::Concurrency,
{
    let mut reactor = options.reactor().build()?;
    let never = Duration::MAX; // nobody has overridden `service_actions`
    server.serve_in(never, &mut reactor.context())?;
    wind_down_on_signals(&mut reactor)?;
    announce(&server.server_address());
    reactor.run()?;

    // What clients have said is answered. Those that are silent are waited for no longer.
    for (client, _) in server.connections() {
        client.finish(Shutdown::Read);
    }
    if let Err(error) = server.server_close_within(GRACE) {
        log::warn!("{error}"); // it waits for whoever reads our output, say, and ends with the program
    }
    Ok(())
}

/// As [`serve`], for handlers that run in the loop and wait there: meanwhile the loop hears of no
/// signal. So another thread does, and ends what the handler waits for.
pub fn serve_inline<T>(options: &Options, server: Server<T, Inline>) -> Result<(), Failure>
where
    T: Transport<Request: Client>,
{
    let (base, signals) = (Arc::clone(server.base()), signals()?);
    thread::spawn(move || {
        let _ = wait_for(&signals);
        base.request_shutdown();
        let patience = Instant::now() + GRACE;
        loop {
            let how = if Instant::now() < patience { Shutdown::Read } else { Shutdown::Both };
            for (client, _) in base.connections() {
                client.finish(how);
            }
            thread::sleep(Duration::from_millis(10)); // one more may have been on its way in
        }
    });
    serve(options, server)
}

/// Somebody whom a handler may be waiting for.
pub trait Client: Request {
    /// Ends that: the handler reads what has come, and then the end.
    fn finish(&self, how: Shutdown);
}

impl Client for Arc<Stream> {
    fn finish(&self, how: Shutdown) {
        let _ = Stream::shutdown(self, how); // it may be gone
    }
}

impl Client for Datagram {
    /// It is here already.
    fn finish(&self, _: Shutdown) {}
}

/// Says that there is no more to come, and waits until the client has no more to say either, for a
/// second at most. To close when something is unread would be a reset, which may overtake the
/// answer.
pub fn finish(client: &Stream) -> io::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(1);
    let end = Instant::now() + PATIENCE;
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
