//! How many connections a second does a server take: this crate's, and CPython's?
//!
//! Run: `cargo run --release --example connections_per_second`. It needs a `python3`.
//!
//! The same program in both languages: take a connection, read a message, answer in capitals, close.
//! Each server is a process of its own. The clients are threads of this one; they take turns of a
//! moment with each server, so that whatever else the machine does concerns both. Printed is the
//! median of the turns, and the ratio. Since the clients need their part of the machine too, a server
//! is in truth somewhat faster than it seems, and the faster one the more so.

mod common;

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use tripoll::server::{Exchange, ForkingTcpServer, Outcome, POLL_INTERVAL, ThreadingTcpServer};

#[derive(Parser)]
struct Arguments {
    /// How many clients there are at once
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// How many turns each server has
    #[arg(long, default_value_t = 9)]
    turns: usize,
    /// Be a server: what this program starts
    #[arg(long, hide = true)]
    serve: Option<String>,
}

/// How long a turn is.
const TURN: Duration = Duration::from_millis(500);

fn main() -> Result<(), common::Failure> {
    let arguments: Arguments = common::read();
    match arguments.serve.as_deref() {
        Some("Forking") => {
            let server = ForkingTcpServer::from_fn("127.0.0.1:0", upper)?;
            common::announce(&server.server_address());
            server.serve_forever(POLL_INTERVAL)?;
        }
        Some(_) => {
            let server = ThreadingTcpServer::from_fn("127.0.0.1:0", upper)?;
            common::announce(&server.server_address());
            server.serve_forever(POLL_INTERVAL)?;
        }
        None => {
            println!("connections a second, {} clients at once", arguments.clients);
            println!("{:10} {:>10} {:>10} {:>8}", "", "tripoll", "CPython", "ratio");
            for concurrency in ["Threading", "Forking"] {
                compare(concurrency, &arguments)?;
            }
        }
    }
    Ok(())
}

fn upper(exchange: &mut Exchange) -> Outcome {
    let data = exchange.request.recv(1024)?;
    Ok(exchange.request.sendall(&data.to_ascii_uppercase())?)
}

/// The queue is as long as ours: with CPython's five, clients would wait whole seconds for their
/// second try, and the comparison would be one of waiting.
const PYTHON: &str = "
import socketserver, sys
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(self.request.recv(1024).upper())
class Server(getattr(socketserver, sys.argv[1] + 'TCPServer')):
    request_queue_size = 1024
server = Server(('127.0.0.1', 0), Handler)
print('listening on 127.0.0.1:%d' % server.server_address[1], flush=True)
server.serve_forever()
";

fn compare(concurrency: &str, arguments: &Arguments) -> io::Result<()> {
    let mut ours = Command::new(std::env::current_exe()?);
    let mut pythons = Command::new("python3");
    let ours = Server::start(ours.args(["--serve", concurrency]))?;
    let pythons = Server::start(pythons.args(["-c", PYTHON, concurrency]))?;

    let mut rates = [Vec::new(), Vec::new()];
    for turn in 0..=arguments.turns {
        for (server, rates) in [&ours, &pythons].into_iter().zip(&mut rates) {
            let rate = server.rate(arguments.clients)?;
            if turn > 0 {
                rates.push(rate); // the first turn is for warming up
            }
        }
    }
    let [ours, pythons] = rates.map(median);
    println!("{concurrency:10} {ours:>10.0} {pythons:>10.0} {:>7.1}x", ours / pythons);
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A server that runs, and is killed in the end.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(command: &mut Command) -> io::Result<Self> {
        let program = command.get_program().to_owned();
        let about = |error| io::Error::other(format!("{}: {error}", program.display()));
        let mut process = command.stdout(Stdio::piped()).spawn().map_err(about)?;
        let mut said = String::new();
        if let Some(out) = process.stdout.take() {
            BufReader::new(out).read_line(&mut said)?;
        }
        let address = said.trim_end().rsplit(' ').next().and_then(|word| word.parse().ok());
        match address {
            Some(address) => Ok(Server { process, address }),
            None => {
                let _ = process.kill();
                Err(io::Error::other(format!("the server does not serve: {}", process.wait()?)))
            }
        }
    }

    /// Connections a second, in one turn.
    fn rate(&self, clients: usize) -> io::Result<f64> {
        let start = Instant::now();
        let counts: io::Result<Vec<u32>> = thread::scope(|scope| {
            let ask_on = || -> io::Result<u32> {
                let mut count = 0;
                while start.elapsed() < TURN {
                    ask(self.address)?;
                    count += 1;
                }
                Ok(count)
            };
            let clients: Vec<_> = (0..clients).map(|_| scope.spawn(ask_on)).collect();
            let lost = |_| Err(io::Error::other("a client has panicked"));
            clients.into_iter().map(|client| client.join().unwrap_or_else(lost)).collect()
        });
        Ok(f64::from(counts?.iter().sum::<u32>()) / start.elapsed().as_secs_f64())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn ask(address: SocketAddr) -> io::Result<()> {
    let mut client = TcpStream::connect(address)?;
    client.write_all(b"hello")?;
    let mut answer = Vec::new();
    client.read_to_end(&mut answer)?;
    if answer != b"HELLO" {
        return Err(io::Error::other(format!(
            "{:?} is no answer",
            answer.escape_ascii().to_string()
        )));
    }
    Ok(())
}
