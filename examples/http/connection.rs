//! The session of a connection, with its socket.

use std::io;
use std::time::{Duration, Instant, SystemTime};

use tripoll::Context;
use tripoll::net::{Connection, Listener, Protocol, Watermarks, Wire};

use super::protocol::{Clock, MAX_HEAD, MAX_OUTPUT, Session, Status, Wait};

/// What all connections share.
pub struct Server {
    clock: Clock,
    /// The responses of one call.
    out: Vec<u8>,
    limits: Limits,
}

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a head, and for a body. Measured from its first byte.
    pub request: Duration,
    /// Between two requests.
    pub idle: Duration,
}

/// How long a request may be on its way when the server ends.
const LAST_CALL: Duration = Duration::from_millis(100);

impl Server {
    pub fn new(limits: Limits) -> Self {
        Server { clock: Clock::new(SystemTime::now()), out: Vec::new(), limits }
    }
}

/// Serves the clients of `listener`.
pub fn serve(listener: Listener, cx: &mut Context<Server>) -> io::Result<()> {
    let marks = Watermarks::new(MAX_OUTPUT / 4, MAX_OUTPUT, 4 * MAX_OUTPUT);
    listener.serve(cx, move |stream, cx| {
        let http = Http { session: Session::default(), since: (Wait::Idle, 0) };
        let connection = Connection::new(http).watermarks(marks).max_unused(MAX_HEAD);
        connection.serve(stream, cx).map(drop)
    })?;
    Ok(())
}

/// The protocol of one connection.
struct Http {
    session: Session,
    /// What the session waits for, and the number of responses when that began.
    since: (Wait, u64),
}

impl Http {
    /// Lets the session write its output, and does what it waits for.
    fn run<T>(
        &mut self,
        wire: &mut Wire,
        cx: &mut Context<Server>,
        run: impl FnOnce(&mut Session, &Clock, &mut Vec<u8>) -> (T, Wait),
    ) -> io::Result<T> {
        let Server { clock, out, .. } = cx.state;
        clock.set(SystemTime::now());
        out.clear();
        let (result, wait) = run(&mut self.session, clock, out);
        wire.write(out); // all responses at once
        if wait == Wait::Nothing {
            wire.close();
        }
        // A slow client gets no further time for each of its bytes.
        let since = (wait, self.session.responses());
        if self.since != since {
            self.since = since;
            self.set_deadline(wire, cx)?;
        }
        Ok(result)
    }

    /// Sets how long the session may wait from now on.
    fn set_deadline(&self, wire: &Wire, cx: &mut Context<Server>) -> io::Result<()> {
        let Limits { request, idle } = cx.state.limits;
        let time = match self.since.0 {
            Wait::Idle if cx.is_shutting_down() => Some(LAST_CALL),
            Wait::Idle => Some(idle),
            Wait::Head | Wait::Body => Some(request),
            Wait::Output | Wait::Nothing => None,
        };
        cx.set_deadline(wire.token(), time.map(|time| Instant::now() + time))
    }

    /// Ends the wait for input: with `status` if a request is incomplete.
    fn end(&mut self, status: Status, wire: &mut Wire, cx: &mut Context<Server>) -> io::Result<()> {
        let wait = self.since.0;
        self.run(wire, cx, |session, clock, out| {
            session.end(wait, status, clock, out);
            ((), Wait::Nothing)
        })
    }
}

impl Protocol<Server> for Http {
    fn opened(&mut self, wire: &mut Wire, cx: &mut Context<Server>) -> io::Result<()> {
        if cx.is_shutting_down() {
            self.session.finish();
        }
        self.set_deadline(wire, cx)
    }

    fn received(
        &mut self,
        wire: &mut Wire,
        data: &[u8],
        cx: &mut Context<Server>,
    ) -> io::Result<usize> {
        self.run(wire, cx, |session, clock, out| session.receive(data, clock, out))
    }

    fn ended(&mut self, wire: &mut Wire, _: &[u8], cx: &mut Context<Server>) -> io::Result<()> {
        self.end(Status::BAD_REQUEST, wire, cx)
    }

    fn timed_out(&mut self, wire: &mut Wire, cx: &mut Context<Server>) -> io::Result<()> {
        if wire.is_reading() {
            return self.end(Status::REQUEST_TIMEOUT, wire, cx);
        }
        // The rest of the request is not read before the client has read its answers. For that it has
        // the time of `Connection::write_timeout`.
        self.set_deadline(wire, cx)
    }

    /// A request that has been sent by now is answered. The others are not waited for.
    fn shutting_down(&mut self, wire: &mut Wire, cx: &mut Context<Server>) -> io::Result<()> {
        self.session.finish();
        if self.since.0 == Wait::Idle { self.set_deadline(wire, cx) } else { Ok(()) }
    }
}
