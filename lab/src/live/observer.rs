//! The observer: a reactor in its own thread, which serves the page, the events and the control.
//!
//! It never waits for the subject. So the page goes on when the subject stands, blocks or spins.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tripoll::net::{Connection, Listener, Protocol, Watermarks, Wire};
use tripoll::{Context, Reactor, Token};

use super::clients::Clients;
use super::events::Cursor;
use super::gate::Inside;
use super::http::{self, Door, MOST_BODY, MOST_HEAD, Parsed, Request};
use super::hub::Hub;
use super::page;
use super::play;
use super::record::{Busy, Record};
use super::stage::Stage;

/// The state of the observer.
pub(super) struct Observer {
    door: Door,
    token: String,
    stage: Stage,
    clients: Clients,
    /// The connections that are sent events.
    pages: Vec<Token>,
    /// The turn and the call of which the pages were told that the subject is in it.
    busy: Option<(u64, &'static str)>,
}

/// The most connections of pages.
const MOST_CONNECTIONS: usize = 64;

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the subject is looked at, and how long a call takes that the pages are told of.
const LOOKS: Duration = Duration::from_millis(250);

/// How often a page that is sent nothing else is sent a comment.
const HEARTBEAT: Duration = Duration::from_secs(15);

impl Observer {
    pub(super) fn new(token: String, port: u16, stage: Stage) -> Self {
        let door = Door::new(token.clone(), port);
        let (hub, directory) = (Arc::clone(&stage.hub), Arc::clone(&stage.directory));
        let clients = Clients::new(hub, directory, stage.address);
        Observer { door, token, stage, clients, pages: Vec::new(), busy: None }
    }
}

impl AsMut<Stage> for Observer {
    fn as_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }
}

impl AsMut<Clients> for Observer {
    fn as_mut(&mut self) -> &mut Clients {
        &mut self.clients
    }
}

/// Serves pages on `listener`. The reactor is to be run.
pub(super) fn serve(listener: Listener, reactor: &mut Reactor<Observer>) -> io::Result<()> {
    listener.serve(&mut reactor.context(), |stream, cx| {
        let visitor = Visitor { cursor: None };
        let marks = Watermarks::default();
        Connection::new(visitor)
            .watermarks(marks)
            .max_unused(MOST_HEAD + MOST_BODY)
            .serve(stream, cx)
            .map(drop)
    })?;
    reactor.context().set_interval(LOOKS, watch_subject);
    let hub: Arc<Hub> = Arc::clone(&reactor.state().stage.hub);
    let handle = reactor.handle();
    let is_posted = Arc::new(AtomicBool::new(false));
    hub.on_record(move || {
        // One job for all records that come before it runs.
        if !is_posted.swap(true, Ordering::SeqCst) {
            let posted = Arc::clone(&is_posted);
            let _ = handle.post(move |cx| {
                posted.store(false, Ordering::SeqCst);
                notify_pages(cx);
            });
        }
    });
    Ok(())
}

/// Returns the listener of the observer at `address`.
pub(super) fn bind(address: std::net::SocketAddr) -> io::Result<Listener> {
    Listener::builder().max_connections(MOST_CONNECTIONS).bind(address)
}

/// Tells the pages when the subject has been in one call for long, and when it has left it.
fn watch_subject(cx: &mut Context<Observer>) {
    let Observer { stage, busy, .. } = cx.state;
    let inside = stage.subject.gate.inside().filter(|inside| inside.since.elapsed() > LOOKS);
    let record = match inside {
        Some(Inside { turn, fd, what, since }) => {
            *busy = Some((turn, what));
            let for_ms = since.elapsed().as_millis() as u64;
            Busy { t: turn, fd, what: what.into(), for_ms }
        }
        None => match busy.take() {
            Some((turn, _)) => Busy { t: turn, ..Busy::default() },
            None => return,
        },
    };
    stage.hub.publish(&Record::Busy(record));
}

fn notify_pages(cx: &mut Context<Observer>) {
    let pages = std::mem::take(&mut cx.state.pages);
    let left: Vec<Token> = pages.into_iter().filter(|&page| cx.notify(page).is_ok()).collect();
    cx.state.pages.extend(left);
}

/// A connection of a browser.
struct Visitor {
    /// Where it is among the events, once it has asked for them.
    cursor: Option<Cursor>,
}

/// An answer.
struct Answer {
    status: u16,
    kind: &'static str,
    body: String,
}

impl Answer {
    fn text(status: u16, body: impl Into<String>) -> Self {
        Answer { status, kind: "text/plain; charset=utf-8", body: body.into() }
    }
}

impl Visitor {
    fn answer(request: &Request, cx: &mut Context<Observer>) -> Answer {
        if !cx.state.door.opens_to(request) {
            return Answer::text(403, "Open the address that the command has printed.\n");
        }
        let is_get = request.method == "GET" || request.method == "HEAD";
        let get = |kind, body: String| match is_get {
            true => Answer { status: 200, kind, body },
            false => Answer::text(405, "This is read with GET.\n"),
        };
        match request.path.as_str() {
            "/" => get("text/html; charset=utf-8", page::index(&cx.state.token)),
            "/page.css" => get("text/css; charset=utf-8", page::css().into()),
            "/page.js" => get("text/javascript; charset=utf-8", page::js().into()),
            "/strings.json" => get("application/json", page::STRINGS.into()),
            "/control" if request.method == "POST" => {
                match play::command(&request.query, &request.body, cx) {
                    Ok(()) => Answer::text(204, ""),
                    Err(sentence) => Answer::text(409, sentence + "\n"),
                }
            }
            "/control" => Answer::text(405, "Controls are sent with POST.\n"),
            _ => Answer::text(404, "There is no such page.\n"),
        }
    }

    fn respond(&self, answer: &Answer, has_body: bool, keeps_alive: bool, wire: &mut Wire) {
        let length = Some(answer.body.len());
        wire.write(http::head(answer.status, answer.kind, length, keeps_alive).as_bytes());
        if has_body && answer.status != 204 {
            wire.write(answer.body.as_bytes());
        }
        if !keeps_alive {
            wire.close();
        }
    }

    /// Begins to send events.
    fn subscribe(&mut self, request: &Request, wire: &mut Wire, cx: &mut Context<Observer>) {
        wire.write(http::head(200, "text/event-stream; charset=utf-8", None, false).as_bytes());
        let hub = Arc::clone(&cx.state.stage.hub);
        self.cursor = Some(Cursor::begin(&hub, request.last_event));
        cx.state.pages.push(wire.token());
        self.send_events(wire, &hub);
    }

    fn send_events(&mut self, wire: &mut Wire, hub: &Hub) {
        let Some(cursor) = &mut self.cursor else { return };
        if cursor.send(hub, wire) {
            wire.set_deadline(Some(HEARTBEAT));
        }
    }
}

impl Protocol<Observer> for Visitor {
    fn opened(&mut self, wire: &mut Wire, _: &mut Context<Observer>) -> io::Result<()> {
        wire.set_deadline(Some(PATIENCE));
        Ok(())
    }

    fn received(
        &mut self,
        wire: &mut Wire,
        data: &[u8],
        cx: &mut Context<Observer>,
    ) -> io::Result<usize> {
        if self.cursor.is_some() {
            return Ok(data.len()); // a page that is sent events has nothing more to say
        }
        let (request, length) = match http::parse(data) {
            Parsed::Partial => return Ok(0),
            Parsed::Whole(request, length) => (request, length),
            Parsed::Wrong(status) => {
                let answer = Answer::text(status, "This is no request.\n");
                self.respond(&answer, true, false, wire);
                return Ok(data.len());
            }
        };
        let is_events = request.path == "/events" && request.method == "GET";
        if is_events && cx.state.door.opens_to(&request) {
            self.subscribe(&request, wire, cx);
            return Ok(data.len());
        }
        wire.set_deadline(Some(PATIENCE));
        let answer = Visitor::answer(&request, cx);
        self.respond(&answer, request.method != "HEAD", request.keeps_alive, wire);
        Ok(length)
    }

    fn notified(&mut self, wire: &mut Wire, cx: &mut Context<Observer>) -> io::Result<()> {
        let hub = Arc::clone(&cx.state.stage.hub);
        self.send_events(wire, &hub);
        Ok(())
    }

    fn below_low_mark(&mut self, wire: &mut Wire, cx: &mut Context<Observer>) -> io::Result<()> {
        self.notified(wire, cx)
    }

    fn timed_out(&mut self, wire: &mut Wire, _: &mut Context<Observer>) -> io::Result<()> {
        if self.cursor.is_some() {
            wire.write(b": \n\n");
            wire.set_deadline(Some(HEARTBEAT));
            return Ok(());
        }
        wire.close();
        Ok(())
    }
}
