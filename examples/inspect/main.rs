//! A page that shows the loop in which it runs, as `inspect` of the library muduo does.
//!
//! Run: `cargo run --example inspect -- --listen 127.0.0.1:7003`, then open <http://127.0.0.1:7003/> in a
//! browser. `/sources`, `/connections`, `/timers` and `/metrics` are plain text; Prometheus scrapes the
//! last one.
//!
//! A program adds this page to its own loop, at an address that is not public. What it shows costs
//! nothing while no browser asks: the loop counts always, and lists its sources when it is asked.
//! `/connections` asks each connection by `Context::tell`, which needs no table of them.

#[path = "../http/protocol/head.rs"]
mod head;
mod page;
#[path = "../http/protocol/status.rs"]
mod status;

use std::io;
use std::time::{Duration, Instant};

use common::Options;
use head::{Head, MAX_HEAD, Scanner};
use page::{Body, Server};
use status::Status;
use tripoll::net::{Connection, Listener, Protocol, Wire};
use tripoll::reactor::Id;
use tripoll::{Context, Token};

fn main() -> Result<(), common::Failure> {
    let options = Options::read("Shows the loop in which it runs, to browsers", common::ANYWHERE)?;
    let listener = Listener::builder().max_connections(100).bind(&options.listen)?;
    let address = listener.local_address().clone();
    let server = Server { meter: listener.meter(), began: Instant::now(), connections: Vec::new() };
    let mut reactor = options.reactor().build_with(server)?;
    listener.serve(&mut reactor.context(), |stream, cx| {
        let inspect = Inspect { scanner: Scanner::default(), is_head: false };
        Connection::new(inspect).max_unused(MAX_HEAD).measured().serve(stream, cx).map(drop)
    })?;
    common::shut_down_on_signals(&mut reactor)?;
    common::announce(&address);
    reactor.run()?;
    Ok(())
}

/// Answers one request.
struct Inspect {
    scanner: Scanner,
    /// Whether the body is left out.
    is_head: bool,
}

impl Inspect {
    fn answer(
        &mut self,
        head: &[u8],
        wire: &mut Wire,
        cx: &mut Context<Server>,
    ) -> Result<(), Status> {
        let head = Head::parse(head)?;
        self.is_head = match head.method {
            "GET" => false,
            "HEAD" => true,
            _ => return Err(Status::METHOD_NOT_ALLOWED),
        };
        if head.has_body() {
            return Err(Status::CONTENT_TOO_LARGE);
        }
        let body = match head.path {
            "/" => page::overview(cx),
            "/sources" => page::sources(cx),
            "/timers" => page::timers(cx),
            "/metrics" => page::metrics(cx),
            "/connections" => {
                let asked = ask_connections(wire.token(), cx);
                return asked.map_err(|_| Status::UNAVAILABLE);
            }
            "/favicon.ico" => return Err(Status::NO_CONTENT), // browsers ask for it
            _ => return Err(Status::NOT_FOUND),
        };
        self.respond(Status::OK, &body, wire);
        Ok(())
    }

    fn refuse(&self, status: Status, wire: &mut Wire) {
        self.respond(status, &Body::text(format!("{}\n", status.text())), wire);
    }

    fn respond(&self, status: Status, body: &Body, wire: &mut Wire) {
        let mut head = format!("HTTP/1.1 {}\r\nConnection: close\r\n", status.text());
        if status != Status::NO_CONTENT {
            head += &format!(
                "Content-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n",
                body.content_type,
                body.text.len()
            );
        }
        wire.write((head + "\r\n").as_bytes());
        if !self.is_head && status != Status::NO_CONTENT {
            wire.write(body.text.as_bytes());
        }
        wire.close();
    }
}

/// Tells each connection to report, and then the one that asks to answer: what is told arrives in order.
fn ask_connections(asker: Token, cx: &mut Context<Server>) -> io::Result<()> {
    cx.state.connections.clear();
    let tokens: Vec<Token> = cx.sources().map(|source| source.token).collect();
    for token in tokens {
        // Sources of another kind have no such id.
        let Ok(id) = cx.id::<Connection<Inspect>>(token) else { continue };
        cx.tell(id, |_, wire, cx| {
            cx.state.connections.extend(wire.figures());
            Ok(())
        })?;
    }
    let asker: Id<Connection<Inspect>> = cx.id(asker)?;
    cx.tell(asker, |inspect, wire, cx| {
        let body = page::connections(cx);
        inspect.respond(Status::OK, &body, wire);
        Ok(())
    })
}

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);

impl Protocol<Server> for Inspect {
    fn opened(&mut self, wire: &mut Wire, _: &mut Context<Server>) -> io::Result<()> {
        wire.set_deadline(Some(PATIENCE));
        Ok(())
    }

    fn timed_out(&mut self, wire: &mut Wire, _: &mut Context<Server>) -> io::Result<()> {
        self.refuse(Status::REQUEST_TIMEOUT, wire);
        Ok(())
    }

    fn received(
        &mut self,
        wire: &mut Wire,
        data: &[u8],
        cx: &mut Context<Server>,
    ) -> io::Result<usize> {
        let answered = match self.scanner.skip_empty_line(data) {
            Ok(0) => self.scanner.length_of_head(data),
            Ok(length) => return Ok(length),
            Err(status) => Err(status),
        };
        let answered = match answered {
            Ok(None) => return Ok(0), // the rest is on its way
            Ok(Some(length)) => self.answer(&data[..length], wire, cx),
            Err(status) => Err(status),
        };
        if let Err(status) = answered {
            self.refuse(status, wire);
        }
        Ok(data.len()) // one request a connection: what follows is none
    }
}
