//! Responses, as bytes.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

use super::conditions::{Part, Version};
use super::site::Methods;
use super::status::Status;

/// The text of the field `Date`, which is formatted once a second.
#[derive(Debug)]
pub struct Clock {
    second: u64,
    date: String,
}

impl Clock {
    pub fn new(now: SystemTime) -> Self {
        let mut clock = Clock { second: u64::MAX, date: String::new() };
        clock.set(now);
        clock
    }

    /// Sets the time.
    pub fn set(&mut self, now: SystemTime) {
        let second = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if second != self.second {
            self.second = second;
            self.date = HttpDate::from(now).to_string();
        }
    }
}

/// What becomes of the connection after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persistence {
    /// Whether it is closed.
    pub closes: bool,
    /// Whether the client speaks HTTP/1.0, and must be told that it is not closed.
    pub is_1_0: bool,
}

/// The head of a response.
#[derive(Debug, Clone, Copy)]
pub struct Response {
    pub status: Status,
    /// The type of the body. Empty if there is none.
    pub content_type: &'static str,
    /// The length of the body, in bytes.
    pub length: u64,
    /// The methods of the field `Allow`. Empty if there is none.
    pub allow: Methods,
    /// The file, and what is sent of it.
    pub file: Option<(Version, Part)>,
}

impl Response {
    pub fn new(status: Status) -> Self {
        Response { status, content_type: "", length: 0, allow: &[], file: None }
    }

    /// Returns the response with this part of a file.
    pub fn of_file(version: Version, part: Part, content_type: &'static str) -> Self {
        let (status, length) = match part {
            Part::Whole => (Status::OK, version.length),
            Part::Range(first, last) => (Status::PARTIAL_CONTENT, last - first + 1),
            Part::NotModified => (Status::NOT_MODIFIED, 0),
            Part::Unsatisfiable => (Status::RANGE_NOT_SATISFIABLE, 0),
        };
        let has_content = matches!(part, Part::Whole | Part::Range(..));
        let content_type = if has_content { content_type } else { "" };
        let file = Some((version, part));
        Response { content_type, length, file, ..Response::new(status) }
    }

    /// Appends the head to `out`.
    pub fn write_head(&self, persistence: Persistence, clock: &Clock, out: &mut Vec<u8>) {
        let mut put = |text: &str| out.extend_from_slice(text.as_bytes());
        put("HTTP/1.1 ");
        put(self.status.text());
        put("\r\nServer: tripoll\r\nDate: ");
        put(&clock.date);
        if !self.content_type.is_empty() {
            put("\r\nContent-Type: ");
            put(self.content_type);
        }
        if let Some((version, part)) = self.file {
            write_file(version, part, clock, out);
        }
        let mut put = |text: &str| out.extend_from_slice(text.as_bytes());
        if !self.allow.is_empty() {
            put("\r\nAllow: ");
            put(&self.allow.join(", "));
        }
        match persistence {
            Persistence { closes: true, .. } => put("\r\nConnection: close"),
            Persistence { is_1_0: true, .. } => put("\r\nConnection: keep-alive"),
            Persistence { .. } => {}
        }
        // A response of these has no body, and must not say how long it is.
        if self.status != Status::NO_CONTENT && self.status != Status::NOT_MODIFIED {
            put("\r\nContent-Length: ");
            write_number(self.length, out);
        }
        out.extend_from_slice(b"\r\n\r\n");
    }
}

/// Appends a number. `write!` takes several times as long.
fn write_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return out.extend_from_slice(&digits[first..]);
        }
    }
}

/// Appends the fields of a file.
fn write_file(version: Version, part: Part, clock: &Clock, out: &mut Vec<u8>) {
    let length = version.length;
    // None of these can fail.
    let _ = match part {
        Part::Range(first, last) => {
            write!(out, "\r\nContent-Range: bytes {first}-{last}/{length}")
        }
        Part::Unsatisfiable => write!(out, "\r\nContent-Range: bytes */{length}"),
        Part::Whole | Part::NotModified => Ok(()),
    };
    let _ = write!(out, "\r\nAccept-Ranges: bytes\r\nETag: {}", version.tag());
    if let Some(date) = version.date(clock.second) {
        let _ = write!(out, "\r\nLast-Modified: {date}");
    }
}
