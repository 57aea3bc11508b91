//! Clients ask, and an operator at the server's terminal types each answer.
//!
//! Run: `cargo run --example operator_reply -- --listen 127.0.0.1:9999`, then
//! `cargo run --example client -- once --connect 127.0.0.1:9999` in another terminal.
//!
//! Each client has a thread, and all share one operator. In the tutorial each thread reads from the
//! keyboard, so a client may get the answer to another's question. Here one thread reads: questions
//! wait in a queue, and each gets its own answer. After an empty line, and at the end of the input,
//! a client is closed without one.

use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, Sender, channel};
use tripoll::server::PythonSocket;

use common::{Options, say};
use tripoll::server::{Exchange, HandlerResult, RequestHandler, Threading, ThreadingTcpServer};

fn main() -> Result<(), common::Failure> {
    let options =
        Options::read("Shows what clients ask; the operator types the answers", common::TCP)?;
    let (ask, questions) = channel();
    common::start_thread(move || operate(questions))?;
    let server = ThreadingTcpServer::builder(&options.listen)
        .config(common::patient())
        // A shutdown does not wait for the operator.
        .concurrency(Threading::default().daemon_threads(true))
        .build(move || MyServer { operator: ask.clone() })?;
    common::serve(&options, server)
}

/// A client's question, and the channel for the answer.
struct Question {
    text: String,
    answer: Sender<String>,
}

/// Asks the operator one question at a time, until the end of the input.
fn operate(questions: Receiver<Question>) {
    for Question { text, answer } in questions {
        say(text);
        match input(">>> ") {
            Some(line) => drop(answer.send(line)), // the client may have left
            None => return,
        }
    }
}

/// Python's `input`, with `None` for its `EOFError`.
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
