//! One connection without its socket: bytes come in, and responses go out.
//!
//! ```text
//!            a head          a body
//!   ┌──────┐ ───────► ┌──────┐ ─────► a response ──► HEAD, or CLOSED after the last one
//!   │ HEAD │          │ BODY │          ▲
//!   └──────┘          └──────┘ ─► FILE ─┘
//!      └── an error, or too late ──────────────────► CLOSED
//! ```

use std::io::Write as _;
use std::mem;
use std::ops::Range;

use super::body::Body;
use super::conditions::{Conditions, Part, Version};
use super::head::{Framing, Head, Scanner};
use super::response::{Clock, Persistence, Response};
use super::site::{self, Action};
use super::status::Status;

/// Above this size of its output, a session takes no further request. In bytes.
pub const MAX_OUTPUT: usize = 64 << 10;
/// The memory that a session keeps for the next body, in bytes.
const KEPT: usize = 1 << 10;

/// What a session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The next request, of which nothing has come.
    Idle,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
    /// The file at [`Session::file`]: [`Session::answer_file`] continues.
    File,
    /// Its output to be sent, of which there is enough for now.
    Output,
    /// Nothing: the connection is to be closed after its output.
    Nothing,
}

/// A connection: what it has received and not answered.
#[derive(Debug)]
pub struct Session {
    state: State,
    /// What was received of a body that the answer needs.
    content: Vec<u8>,
    has_files: bool,
    /// Whether the next response is the last.
    is_last: bool,
    responses: u64,
}

#[derive(Debug)]
enum State {
    Head(Scanner),
    Body(Request, Body),
    File(Request),
    Closed,
}

impl Default for State {
    fn default() -> Self {
        State::Head(Scanner::default())
    }
}

/// What is kept of a head until the response.
#[derive(Debug)]
struct Request {
    action: Action,
    /// Whether the response has no body, because the method was HEAD.
    is_head: bool,
    persistence: Persistence,
    /// What is wanted of a file, if it is not all of it.
    conditions: Option<Box<Conditions>>,
}

impl Session {
    /// Returns a session. `has_files` says whether the server has files.
    pub fn new(has_files: bool) -> Self {
        let state = State::default();
        Session { state, content: Vec::new(), has_files, is_last: false, responses: 0 }
    }

    /// Returns the number of responses.
    pub fn responses(&self) -> u64 {
        self.responses
    }

    /// Returns the path of the file that the session waits for, below the root.
    pub fn file(&self) -> Option<&str> {
        match &self.state {
            State::File(Request { action: Action::File(path), .. }) => Some(path),
            _ => None,
        }
    }

    /// Makes the next response the last one.
    pub fn finish(&mut self) {
        self.is_last = true;
    }

    /// Uses as much of `input` as it can, and appends responses to `out`. Returns how many bytes were
    /// used, and what the session waits for. The rest is to be passed again, with more behind it.
    pub fn receive(&mut self, input: &[u8], clock: &Clock, out: &mut Vec<u8>) -> (usize, Wait) {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let step = match &self.state {
                State::Head(_) if out.len() > MAX_OUTPUT => return (used, Wait::Output),
                State::Head(_) => self.receive_head(rest, out),
                State::Body(..) => self.receive_body(rest, clock, out),
                State::File(_) => return (used, Wait::File),
                State::Closed => return (input.len(), Wait::Nothing),
            };
            match step {
                Ok(Some(count)) => used += count,
                Ok(None) if matches!(self.state, State::Body(..)) => return (used, Wait::Body),
                Ok(None) if rest.is_empty() => return (used, Wait::Idle),
                Ok(None) => return (used, Wait::Head),
                Err(status) => self.refuse(status, clock, out),
            }
        }
    }

    /// Receives a head. Returns how many bytes were used. `None` if it is not complete.
    fn receive_head(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Option<usize>, Status> {
        let State::Head(scanner) = &mut self.state else { return Ok(None) };
        match scanner.skip_empty_line(input)? {
            0 if matches!(input, [] | [b'\r']) => return Ok(None),
            0 => {}
            length => return Ok(Some(length)),
        }
        let Some(length) = scanner.length_of_head(input)? else { return Ok(None) };
        let head = Head::parse(&input[..length])?;
        let mut body = Body::new(head.framing)?;
        let action = site::find(&head, self.has_files)?;
        let mut persistence = Persistence { closes: !head.keeps_alive, is_1_0: head.is_1_0 };
        if head.expects_continue && head.has_body() {
            if action.is_refusal() {
                // Whether the client sends the body all the same is not known.
                body = Body::new(Framing::Length(0))?;
                persistence.closes = true;
            } else if input.len() == length {
                out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
        }
        let is_head = head.method == "HEAD";
        let conditions = match action {
            Action::File(_) => Conditions::parse(&input[..length], !is_head),
            _ => None,
        };
        let request = Request { action, is_head, persistence, conditions };
        self.state = State::Body(request, body);
        Ok(Some(length))
    }

    /// Receives a body, and answers. Returns how many bytes were used. `None` if more are needed.
    fn receive_body(
        &mut self,
        input: &[u8],
        clock: &Clock,
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, Status> {
        let State::Body(request, body) = &mut self.state else { return Ok(None) };
        let content = request.action.needs_body().then_some(&mut self.content);
        let used = body.decode(input, content)?;
        if !body.is_complete() {
            return Ok((used > 0).then_some(used));
        }
        if let State::Body(request, _) = mem::replace(&mut self.state, State::Closed) {
            self.answer(request, clock, out)?;
        }
        Ok(Some(used))
    }

    /// Answers a request, or begins to wait for its file.
    fn answer(&mut self, request: Request, clock: &Clock, out: &mut Vec<u8>) -> Result<(), Status> {
        let mut response = Response::new(Status::OK);
        let mut number = [0; 20]; // the digits and the sign of 64 bits
        let mut content = mem::take(&mut self.content);
        let body = match request.action {
            Action::File(_) => {
                self.state = State::File(request);
                return Ok(());
            }
            Action::Text(text) => {
                response.content_type = "text/plain";
                text.as_bytes()
            }
            Action::Sum { query, with_body } => {
                response.content_type = "text/plain";
                let sum = if with_body { site::add(query, &content)? } else { query };
                let mut rest = &mut number[..];
                let _ = write!(rest, "{sum}"); // there is room
                let length = 20 - rest.len();
                &number[..length]
            }
            Action::Echo => {
                response.content_type = "application/octet-stream";
                &content
            }
            Action::Options(methods) => {
                response = Response { allow: methods, ..Response::new(Status::NO_CONTENT) };
                b""
            }
            Action::NotAllowed(methods) => {
                response = Response { allow: methods, ..Response::new(Status::METHOD_NOT_ALLOWED) };
                b""
            }
            Action::Refuse(status) => {
                response = Response::new(status);
                b""
            }
        };
        response.length = body.len() as u64;
        self.respond(request.persistence, response, clock, out);
        if !request.is_head {
            out.extend_from_slice(body);
        }
        content.clear();
        content.shrink_to(KEPT);
        self.content = content;
        Ok(())
    }

    /// Answers the request for a file, of which there is this version, or with an error. Returns which
    /// bytes of the file must follow, if any, and what the session waits for then.
    pub fn answer_file(
        &mut self,
        file: Result<Version, Status>,
        clock: &Clock,
        out: &mut Vec<u8>,
    ) -> (Option<Range<u64>>, Wait) {
        let State::File(request) = &self.state else { return (None, Wait::Nothing) };
        let &Request { is_head, persistence, .. } = request;
        let part = |version: &Version| {
            request.conditions.as_ref().map_or(Part::Whole, |conditions| conditions.part(version))
        };
        let file = file.map(|version| (version, part(&version)));
        let content_type = self.file().map_or("", site::content_type);
        let response = match file {
            Ok((version, part)) => Response::of_file(version, part, content_type),
            Err(status) => Response::new(status),
        };
        self.respond(persistence, response, clock, out);
        let closes = matches!(self.state, State::Closed);
        let follows = match file {
            _ if is_head => None,
            Ok((version, Part::Whole)) => Some(0..version.length),
            Ok((_, Part::Range(first, last))) => Some(first..last + 1),
            _ => None,
        };
        (follows, if closes { Wait::Nothing } else { Wait::Idle })
    }

    /// Ends the wait for input. A request that is incomplete is answered with `status`.
    pub fn end(&mut self, wait: Wait, status: Status, clock: &Clock, out: &mut Vec<u8>) {
        match wait {
            Wait::Head | Wait::Body => self.refuse(status, clock, out),
            _ => self.state = State::Closed,
        }
    }

    /// Answers with an error, and closes: where the next request begins is not known.
    fn refuse(&mut self, status: Status, clock: &Clock, out: &mut Vec<u8>) {
        let persistence = Persistence { closes: true, is_1_0: false };
        self.respond(persistence, Response::new(status), clock, out);
    }

    /// Writes the head of a response. What comes next is another request, or the end.
    fn respond(
        &mut self,
        mut persistence: Persistence,
        response: Response,
        clock: &Clock,
        out: &mut Vec<u8>,
    ) {
        persistence.closes |= self.is_last;
        response.write_head(persistence, clock, out);
        self.responses += 1;
        self.state = match persistence.closes {
            true => State::Closed,
            false => State::default(),
        };
    }
}
