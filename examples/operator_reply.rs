//! Clients ask, an operator answers: who runs the server types each reply.
//!
//! Run: `cargo run --example operator_reply -- --listen 127.0.0.1:9999`, then
//! `cargo run --example client -- once --connect 127.0.0.1:9999` in another terminal.
//!
//! There is a thread for each client and one operator for all. In the tutorial each thread reads
//! from the keyboard itself, so that of two clients one may get the other's answer. Here the
//! questions queue up, and each waits for the answer to itself. An empty line is no answer: the
//! client is let go without one.

use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use tripoll::server::PythonSocket;

use common::{Options, say};
use tripoll::server::{Exchange, HandlerResult, RequestHandler, Threading, ThreadingTcpServer};

fn main() -> Result<(), common::Failure> {
    let options =
        Options::read("Shows what clients ask; whoever runs it types the answers", common::TCP)?;
    let (ask, questions) = channel();
    thread::spawn(move || operate(questions));
    let server = ThreadingTcpServer::builder(&options.listen)
        // At the end nobody waits for the operator.
        .concurrency(Threading { daemon_threads: true, ..Threading::default() })
        .build(move || MyServer { operator: ask.clone() })?;
    common::serve(&options, server)
}

/// What a client wants to know, and where the answer goes.
struct Question {
    text: String,
    answer: Sender<String>,
}

/// One question at a time. It ends when nobody types any more.
fn operate(questions: Receiver<Question>) {
    for Question { text, answer } in questions {
        say(text);
        match input(">>> ") {
            Some(line) => drop(answer.send(line)), // the client may be gone
            None => return,
        }
    }
}

/// Python's `input`; `None` for its `EOFError`.
fn input(prompt: &str) -> Option<String> {
    let mut out = io::stdout().lock();
    let _ = write!(out, "{prompt}").and_then(|()| out.flush());
    drop(out);
    let mut line = String::new();
    io::stdin().read_line(&mut line).ok().filter(|&count| count > 0)?;
    Some(line.trim_end_matches('\n').into())
}

struct MyServer {
    operator: Sender<Question>,
}

impl RequestHandler for MyServer {
    fn handle(&mut self, exchange: &mut Exchange) -> HandlerResult {
        let data = exchange.request.recv(1024)?;
        let (answer, answered) = channel();
        let text = String::from_utf8_lossy(&data).into();
        if self.operator.send(Question { text, answer }).is_ok()
            && let Ok(line) = answered.recv()
        {
            exchange.request.sendall(line.as_bytes())?;
        }
        Ok(common::finish(&exchange.request)?)
    }
}
