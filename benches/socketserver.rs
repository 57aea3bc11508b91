//! Connections per second: this crate's servers beside CPython's, where a `python3` is found.
//!
//! Each server answers a line with the line. Rounds are interleaved, and of each server the median
//! is told, so that a disturbance falls on all. The servers are processes of their own; one that
//! forks must be.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tripoll::server::{
    Concurrency, ExchangeKind, Forking, HandlerResult, InReactor, Inline, LoopExchange, Pooled,
    RequestHandler, Server, ServerBuilder, StreamExchange, Supports, Tcp, Threading,
};

const ROUNDS: usize = 7;
const CONNECTIONS: usize = 2_000;
const CLIENTS: usize = 4;

struct Line;

impl RequestHandler<StreamExchange> for Line {
    fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        let mut line = Vec::new();
        exchange.rfile.read_until(b'\n', &mut line)?;
        exchange.wfile.write_all(&line)?;
        Ok(())
    }
}

impl RequestHandler<LoopExchange> for Line {
    fn handle(&mut self, exchange: &mut LoopExchange) -> HandlerResult {
        if let Some(end) = exchange.input().iter().position(|&byte| byte == b'\n') {
            let line = exchange.recv(end + 1);
            exchange.sendall(&line);
            exchange.close();
        }
        Ok(())
    }
}

const PYTHON: &str = r#"
import socketserver, sys

class Line(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.readline())

class Server(getattr(socketserver, sys.argv[1])):
    request_queue_size = 1024
    allow_reuse_address = True

server = Server(("127.0.0.1", 0), Line)
print("%s:%s" % server.server_address, flush=True)
server.serve_forever()
"#;

/// What can be measured: its name, and who it is compared with.
const OURS: &[(&str, Option<&str>)] = &[
    ("inline", Some("TCPServer")),
    ("threading", Some("ThreadingTCPServer")),
    ("forking", Some("ForkingTCPServer")),
    ("pooled", None),
    ("reactor", None),
];

fn main() {
    if let Ok(role) = env::var("ROLE") {
        return match &*role {
            "inline" => serve::<Inline, StreamExchange>(),
            "threading" => serve::<Threading, StreamExchange>(),
            "forking" => serve::<Forking, StreamExchange>(),
            "pooled" => serve::<Pooled, StreamExchange>(),
            "reactor" => serve::<InReactor, LoopExchange>(),
            _ => unreachable!("no role {role:?}"),
        };
    }
    if env::args().any(|argument| argument == "--test") {
        return; // nothing to test here
    }
    let python = Command::new("python3").arg("--version").output().is_ok();
    if !python {
        println!("no python3 here: our own servers alone");
    }
    let mut servers = Vec::new();
    for (ours, theirs) in OURS {
        servers.push(Program::ours(ours));
        servers.extend(theirs.filter(|_| python).map(Program::python));
    }
    for round in 0..ROUNDS {
        for server in &mut servers {
            let rate = server.measure();
            if round > 0 {
                server.rates.push(rate); // the first one warms up
            }
        }
    }
    println!("{CLIENTS} clients, each connects, sends a line, and reads it back; connections/s");
    for server in &servers {
        let (low, high) = (server.rates_sorted()[0], *server.rates_sorted().last().unwrap());
        println!("{:>20}  {:>8.0}  ({low:.0} to {high:.0})", server.name, server.median());
    }
    let median =
        |name: &str| servers.iter().find(|server| server.name == name).map(Program::median);
    for (ours, theirs) in OURS {
        if let (Some(mine), Some(python)) = (median(ours), theirs.and_then(&median)) {
            println!("{ours}: {:.1} times {}", mine / python, theirs.unwrap_or_default());
        }
    }
}

fn serve<C, X>()
where
    C: Concurrency + Default + Supports<X>,
    X: ExchangeKind<Request = std::sync::Arc<tripoll::net::Stream>>,
    Line: RequestHandler<X>,
{
    let builder: ServerBuilder<Tcp, C> = Server::builder("127.0.0.1:0");
    let server = builder.build(|| Line).expect("a free port");
    println!("{}", server.server_address());
    server.serve_forever(Duration::from_millis(500)).expect("a loop");
}

/// A server that runs.
struct Program {
    name: &'static str,
    child: Child,
    address: SocketAddr,
    rates: Vec<f64>,
}

impl Program {
    fn ours(name: &'static str) -> Self {
        let mut command = Command::new(env::current_exe().expect("this program"));
        command.env("ROLE", name);
        Program::start(name, command)
    }

    fn python(name: &'static str) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", PYTHON, name]);
        Program::start(name, command)
    }

    fn start(name: &'static str, mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the server");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("its address");
        let address = line.trim().parse().expect("an address");
        Program { name, child, address, rates: Vec::new() }
    }

    /// Connections per second.
    fn measure(&self) -> f64 {
        let begin = Instant::now();
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| (0..CONNECTIONS / CLIENTS).for_each(|_| ask(self.address)));
            }
        });
        CONNECTIONS as f64 / begin.elapsed().as_secs_f64()
    }

    fn rates_sorted(&self) -> Vec<f64> {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates
    }

    fn median(&self) -> f64 {
        self.rates_sorted()[self.rates.len() / 2]
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(address: SocketAddr) {
    let mut client = TcpStream::connect(address).expect("a connection");
    client.write_all(b"hello\n").expect("a question");
    client.shutdown(Shutdown::Write).expect("its end");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert_eq!(answer, "hello\n");
}
