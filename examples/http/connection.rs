//! The session of a connection, with its socket.

use std::io;
use std::time::{Duration, SystemTime};

use tripoll::Context;
use tripoll::net::{Connection, Listener, Protocol, Watermarks, Wire};
use tripoll::reactor::Id;

use super::files::{Files, Opened};
use super::protocol::{Clock, MAX_HEAD, MAX_OUTPUT, Session, Status, Wait};

/// What all connections share.
pub struct Server {
    clock: Clock,
    /// The responses of one call.
    out: Vec<u8>,
    limits: Limits,
    files: Option<Files>,
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
    pub fn new(limits: Limits, files: Option<Files>) -> Self {
        Server { clock: Clock::new(SystemTime::now()), out: Vec::new(), limits, files }
    }
}

/// What is put between a connection and its socket: TLS, or nothing.
pub type Layer = Box<dyn Fn(Connection<Http>) -> io::Result<Connection<Http>>>;

/// Serves the clients of `listener`.
pub fn serve(listener: Listener, layer: Layer, cx: &mut Context<Server>) -> io::Result<()> {
    let marks = Watermarks::new(MAX_OUTPUT / 4, MAX_OUTPUT, 4 * MAX_OUTPUT);
    listener.serve(cx, move |stream, cx| {
        let session = Session::new(cx.state.files.is_some());
        let http = Http { session, since: (Wait::Idle, 0), has_deadline: false };
        let connection = Connection::new(http).watermarks(marks).max_unused(MAX_HEAD);
        let connection = layer(connection.idle_timeout(cx.state.limits.idle))?;
        connection.serve(stream, cx).map(drop)
    })?;
    Ok(())
}

/// The protocol of one connection.
pub struct Http {
    session: Session,
    /// What the session waits for, and the number of responses when that began.
    since: (Wait, u64),
    has_deadline: bool,
}

impl Http {
    /// Lets the session write, and sends all its responses at once.
    fn write<T>(
        &mut self,
        wire: &mut Wire,
        cx: &mut Context<Server>,
        write: impl FnOnce(&mut Session, &Clock, &mut Vec<u8>) -> T,
    ) -> T {
        let Server { clock, out, .. } = cx.state;
        clock.set(SystemTime::now());
        out.clear();
        let result = write(&mut self.session, clock, out);
        wire.write(out);
        result
    }

    /// Does what the session waits for.
    fn wait_for(
        &mut self,
        wait: Wait,
        wire: &mut Wire,
        cx: &mut Context<Server>,
    ) -> io::Result<()> {
        // A slow client gets no further time for each of its bytes.
        let since = (wait, self.session.responses());
        if self.since != since {
            self.since = since;
            self.set_deadline(wire, cx);
        }
        match wait {
            Wait::File => self.open_file(wire, cx)?,
            Wait::Nothing => wire.close(),
            Wait::Idle | Wait::Head | Wait::Body | Wait::Output => {}
        }
        Ok(())
    }

    /// Sets how long the session may wait from now on. The time between two requests is a limit of the
    /// connection itself, and costs a plain request nothing.
    fn set_deadline(&mut self, wire: &mut Wire, cx: &Context<Server>) {
        let time = match self.since.0 {
            Wait::Idle => cx.is_shutting_down().then_some(LAST_CALL),
            Wait::Head | Wait::Body => Some(cx.state.limits.request),
            Wait::File | Wait::Output | Wait::Nothing => None,
        };
        if time.is_some() || self.has_deadline {
            wire.set_deadline(time);
        }
        self.has_deadline = time.is_some();
    }

    /// Sends the file that the session waits for, or begins to open it. Then what follows its request is
    /// not read yet.
    fn open_file(&mut self, wire: &mut Wire, cx: &mut Context<Server>) -> io::Result<()> {
        let (Some(files), Some(path)) = (&cx.state.files, self.session.file()) else {
            return Ok(());
        };
        if let Some(opened) = files.open_cached(path) {
            return self.send_file(Ok(opened), wire, cx);
        }
        let this: Id<Connection<Http>> = cx.id(wire.token())?;
        let job = files.job(path);
        let submitted = files.pool.submit_to(&cx.handle(), this, job, |http, wire, opened, cx| {
            http.send_file(opened.unwrap_or(Err(Status::UNAVAILABLE)), wire, cx)
        });
        wire.pause();
        match submitted {
            Ok(()) => Ok(()),
            Err(_) => self.send_file(Err(Status::UNAVAILABLE), wire, cx), // the queue is full
        }
    }

    /// Sends the file that was opened, or the reason why it was not.
    fn send_file(
        &mut self,
        opened: Opened,
        wire: &mut Wire,
        cx: &mut Context<Server>,
    ) -> io::Result<()> {
        let version = opened.as_ref().map(|(_, version)| *version).map_err(|status| *status);
        let (range, wait) =
            self.write(wire, cx, |session, clock, out| session.answer_file(version, clock, out));
        if let (Ok((file, _)), Some(range)) = (opened, range) {
            wire.send_file(file, range);
        }
        wire.resume();
        self.wait_for(wait, wire, cx)
    }

    /// Ends the wait for input: with `status` if a request is incomplete.
    fn end(&mut self, status: Status, wire: &mut Wire, cx: &mut Context<Server>) {
        let wait = self.since.0;
        self.write(wire, cx, |session, clock, out| session.end(wait, status, clock, out));
        wire.close();
    }
}

impl Protocol<Server> for Http {
    fn opened(&mut self, wire: &mut Wire, cx: &mut Context<Server>) -> io::Result<()> {
        if cx.is_shutting_down() {
            self.session.finish();
        }
        self.set_deadline(wire, cx);
        Ok(())
    }

    fn received(
        &mut self,
        wire: &mut Wire,
        data: &[u8],
        cx: &mut Context<Server>,
    ) -> io::Result<usize> {
        let (used, wait) =
            self.write(wire, cx, |session, clock, out| session.receive(data, clock, out));
        self.wait_for(wait, wire, cx)?;
        Ok(used)
    }

    fn ended(&mut self, wire: &mut Wire, _: &[u8], cx: &mut Context<Server>) -> io::Result<()> {
        self.end(Status::BAD_REQUEST, wire, cx);
        Ok(())
    }

    fn timed_out(&mut self, wire: &mut Wire, cx: &mut Context<Server>) -> io::Result<()> {
        if wire.is_reading() {
            self.end(Status::REQUEST_TIMEOUT, wire, cx);
        } else {
            // The rest of the request is not read before the client has read its answers. For that it
            // has the time of `Connection::write_timeout`.
            self.set_deadline(wire, cx);
        }
        Ok(())
    }

    /// A request that has been sent by now is answered. The others are not waited for.
    fn shutting_down(&mut self, wire: &mut Wire, cx: &mut Context<Server>) -> io::Result<()> {
        self.session.finish();
        if self.since.0 == Wait::Idle {
            self.set_deadline(wire, cx);
        }
        Ok(())
    }
}
