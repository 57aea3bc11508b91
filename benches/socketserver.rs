//! Connections to each kind of server, beside CPython's where `python3` is found.
//!
//! Each server answers a line with the same line. Four clients at a time connect, send a line and
//! read it back; the time is that of one connection. Every server is a process of its own: a server
//! that forks must be.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use criterion::{Criterion, SamplingMode, Throughput, criterion_group};
use tripoll::server::{
    Concurrency, ExchangeKind, Forking, HandlerResult, InReactor, Inline, LoopExchange, Pooled,
    RequestHandler, Server, ServerBuilder, StreamExchange, Supports, Tcp, Threading,
};

/// Clients at a time.
const CLIENTS: u64 = 4;

/// The concurrencies of this crate, and the class of Python's that serves in the same way.
const SERVERS: [(&str, Option<&str>); 5] = [
    ("inline", Some("TCPServer")),
    ("threading", Some("ThreadingTCPServer")),
    ("forking", Some("ForkingTCPServer")),
    ("pooled", None),
    ("reactor", None),
];

/// In its environment, the server's process finds the concurrency that it is to serve with.
const CONCURRENCY: &str = "SOCKETSERVER_BENCH_CONCURRENCY";

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

fn socketserver(criterion: &mut Criterion) {
    let has_python = Command::new("python3").arg("--version").output().is_ok();
    for (concurrency, class) in SERVERS {
        let mut group = criterion.benchmark_group(format!("socketserver/{concurrency}"));
        group.throughput(Throughput::Elements(1)).sampling_mode(SamplingMode::Flat);
        group.bench_function("tripoll", |bencher| {
            let server = Process::tripoll(concurrency);
            bencher.iter_custom(|connections| server.measure(connections));
        });
        if let Some(class) = class.filter(|_| has_python) {
            group.bench_function("python", |bencher| {
                let server = Process::python(class);
                bencher.iter_custom(|connections| server.measure(connections));
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = socketserver
}

fn main() {
    match env::var(CONCURRENCY).as_deref() {
        Err(_) => {
            benches();
            Criterion::default().configure_from_args().final_summary();
        }
        Ok("inline") => serve::<Inline, StreamExchange>(),
        Ok("threading") => serve::<Threading, StreamExchange>(),
        Ok("forking") => serve::<Forking, StreamExchange>(),
        Ok("pooled") => serve::<Pooled, StreamExchange>(),
        Ok("reactor") => serve::<InReactor, LoopExchange>(),
        Ok(other) => panic!("{CONCURRENCY}={other}: there is no such concurrency"),
    }
}

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

/// Prints the address, and serves until the process is killed.
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

/// A server in a process of its own, which is killed with it.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn tripoll(concurrency: &str) -> Self {
        let mut command = Command::new(env::current_exe().expect("the path of this program"));
        command.env(CONCURRENCY, concurrency);
        Process::start(command)
    }

    fn python(class: &str) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", PYTHON, class]);
        Process::start(command)
    }

    fn start(mut command: Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let stdout = child.stdout.take().expect("its output is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("the server prints its address");
        let address = line.trim().parse().expect("an address");
        Process { child, address }
    }

    /// The time that so many connections take.
    fn measure(&self, connections: u64) -> Duration {
        let start = Instant::now();
        thread::scope(|scope| {
            for client in 0..CLIENTS.min(connections) {
                let share = connections / CLIENTS + u64::from(client < connections % CLIENTS);
                scope.spawn(move || (0..share).for_each(|_| connect(self.address)));
            }
        });
        start.elapsed()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection: a line there and back, until the server closes.
fn connect(address: SocketAddr) {
    let mut client = TcpStream::connect(address).expect("a connection");
    client.write_all(b"hello\n").expect("the line is sent");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("the answer");
    assert_eq!(answer, "hello\n");
}
