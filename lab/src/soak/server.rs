//! The servers: an echo of every kind, in one reactor.

use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, process};

use serde::{Deserialize, Serialize};
use tripoll::net::{Connection, Listener, Protocol, Stream, Wire};
use tripoll::pool::{Pool, WhenFull};
use tripoll::server::{
    Concurrency, Datagram, Exchange, ForkingTcpServer, HandlerResult, LoopExchange, Pooled,
    PooledTcpServer, PythonDatagramSocket, ReactorTcpServer, ReactorUdpServer,
    ReactorUnixDatagramServer, Server, StreamExchange, Threading, ThreadingTcpServer,
    ThreadingUdpServer, Transport,
};
use tripoll::{Backend, Context, Interest, Next, Reactor, Source};

use super::account::Account;

/// The servers of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All that do not fork.
    Threads,
    /// The one that forks.
    Forks,
}

impl Part {
    pub(super) const ALL: [Part; 2] = [Part::Threads, Part::Forks];

    /// Returns the part of this name.
    pub fn named(name: &str) -> Option<Self> {
        Part::ALL.into_iter().find(|part| part.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Part::Threads => "threads",
            Part::Forks => "forks",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a server is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) is_datagram: bool,
}

/// How long a handler that blocks waits for its client. All clients leave sooner.
const PATIENCE: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(5);
const NEVER: Duration = Duration::MAX;

/// A server that is to be closed.
type Close = Box<dyn FnOnce() -> io::Result<()>>;

/// The servers of a process, until they are closed.
#[derive(Default)]
struct Servers {
    targets: Vec<Target>,
    closes: Vec<Close>,
}

/// Runs the servers of one process. Prints where they are, and answers each line of standard input:
/// `account` with the account, the name of a backend with nothing. Ends at the end of the input.
///
/// # Errors
///
/// Fails when a server cannot be started, or fails, or does not end.
pub fn run_part(part: Part) -> io::Result<()> {
    let mut reactor = Reactor::builder().build()?;
    let mut servers = Servers::default();
    match part {
        Part::Threads => servers.start_threads(&mut reactor.context())?,
        Part::Forks => {
            let server = ForkingTcpServer::from_fn(TCP, blocking_echo)?;
            servers.start("forking", server, &mut reactor.context())?;
        }
    }
    answer(&servers.targets)?;
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    reactor.context().add(input, Interest::READ, Commands::default())?;
    reactor.run()?;
    servers.closes.into_iter().try_for_each(|close| close())
}

const TCP: &str = "127.0.0.1:0";

/// Prints one line of JSON.
fn answer(answer: &impl Serialize) -> io::Result<()> {
    let line = serde_json::to_string(answer).map_err(io::Error::from)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush())
}

impl Servers {
    fn start_threads(&mut self, cx: &mut Context) -> io::Result<()> {
        for (name, address) in [("connection", TCP.into()), ("unix connection", unix("stream"))] {
            let listener = Listener::bind(address)?;
            self.note(name, listener.local_address().to_string(), false);
            listener.serve(cx, |stream, cx| {
                Connection::new(Echo).serve(stream, cx)?;
                Ok(())
            })?;
        }
        let pool = Arc::new(Pool::new(4, 8)?);
        let listener = Listener::bind(TCP)?;
        self.note("serve_in_pool", listener.local_address().to_string(), false);
        listener.serve_in_pool(&pool, WhenFull::Pause, cx, |stream| {
            let _ = echo_in_pool(&stream); // a client may leave in any way
            Ok(())
        })?;
        self.closes.push(Box::new(move || pool.drain(GRACE).map_err(io::Error::other)));

        let threading = Threading::default().max_threads(Some(8));
        let server =
            ThreadingTcpServer::builder(TCP).concurrency(threading).build_fn(blocking_echo)?;
        self.start("threading", server, cx)?;
        let pooled = Pooled::default().workers(4).queue(8);
        let server = PooledTcpServer::builder(TCP).concurrency(pooled).build_fn(blocking_echo)?;
        self.start("pooled", server, cx)?;
        self.start("in the loop", ReactorTcpServer::from_fn(TCP, loop_echo)?, cx)?;
        self.start("datagrams", ReactorUdpServer::from_fn(TCP, datagram_echo)?, cx)?;
        let threading = Threading::default().max_threads(Some(4));
        let server =
            ThreadingUdpServer::builder(TCP).concurrency(threading).build_fn(datagram_echo)?;
        self.start("datagrams, threading", server, cx)?;
        let server = ReactorUnixDatagramServer::from_fn(unix("datagram"), datagram_echo)?;
        self.start("unix datagrams", server, cx)
    }

    fn start<T: Transport, C: Concurrency>(
        &mut self,
        name: &str,
        server: Server<T, C>,
        cx: &mut Context,
    ) -> io::Result<()> {
        server.serve_in(NEVER, cx)?;
        let address = server.server_address().to_string();
        self.note(name, address, name.contains("datagram"));
        self.closes.push(Box::new(move || server.server_close_within(GRACE)));
        Ok(())
    }

    fn note(&mut self, name: &str, address: String, is_datagram: bool) {
        self.targets.push(Target { name: name.into(), address, is_datagram });
    }
}

/// Returns the name of a Unix socket that no other process has.
fn unix(kind: &str) -> String {
    format!("@tripoll-soak-{}-{kind}", process::id())
}

/// The lines of standard input.
#[derive(Default)]
struct Commands {
    unread: Vec<u8>,
}

impl tripoll::Handler<File> for Commands {
    fn ready(&mut self, input: &mut Source<File>, cx: &mut Context) -> io::Result<Next> {
        let mut buffer = [0; 1_024];
        loop {
            let count = input.read(&mut buffer)?;
            if count == 0 {
                cx.shutdown(GRACE);
                return Ok(Next::Remove);
            }
            self.unread.extend_from_slice(&buffer[..count]);
            while let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                match String::from_utf8_lossy(&line).trim_end() {
                    "account" => answer(&Account::take(cx)?)?,
                    backend => match backend.parse::<Backend>() {
                        Ok(backend) => cx.switch_to(backend)?,
                        Err(error) => return Err(io::Error::other(error)),
                    },
                }
            }
        }
    }

    fn removed(&mut self, _: tripoll::Token, error: Option<&io::Error>, cx: &mut Context) {
        if let Some(error) = error {
            cx.fail(io::Error::other(error.to_string()));
        }
    }
}

// The echo in every kind of handler.

struct Echo;

impl Protocol for Echo {
    fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
        wire.write(data);
        Ok(data.len())
    }
}

fn loop_echo(exchange: &mut LoopExchange) -> HandlerResult {
    let data = exchange.recv(usize::MAX);
    exchange.sendall(&data);
    Ok(())
}

/// A client may leave in any way, which is no error here.
fn blocking_echo(exchange: &mut StreamExchange) -> HandlerResult {
    let _ = exchange.connection.set_read_timeout(Some(PATIENCE));
    let _ = exchange.connection.set_write_timeout(Some(PATIENCE));
    let StreamExchange { rfile, wfile, .. } = exchange;
    loop {
        let count = match rfile.fill_buf() {
            Ok([]) | Err(_) => return Ok(()),
            Ok(data) if wfile.write_all(data).and_then(|()| wfile.flush()).is_err() => {
                return Ok(());
            }
            Ok(data) => data.len(),
        };
        rfile.consume(count);
    }
}

fn echo_in_pool(mut stream: &Stream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut buffer = [0; 16 << 10];
    while let count @ 1.. = stream.read(&mut buffer)? {
        stream.write_all(&buffer[..count])?;
    }
    Ok(())
}

/// A client may have gone, or read nothing.
fn datagram_echo(exchange: &mut Exchange<Datagram>) -> HandlerResult {
    let Datagram { data, socket, .. } = &exchange.request;
    let _ = socket.sendto(data, &exchange.client_address);
    Ok(())
}
