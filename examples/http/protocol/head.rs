//! The head of a request: the request line and the fields (RFC 9112, sections 2 to 6).
//!
//! What two programs might read in two ways is refused, even where the RFC allows to repair it: a
//! proxy in front of this server may have read it in the other way.

use std::net::Ipv6Addr;

use httparse::{EMPTY_HEADER, Header};
use memchr::memchr;

use super::status::Status;

/// The longest request line, in bytes. RFC 9112 recommends 8,000 at least.
pub const MAX_LINE: usize = 8 << 10;
/// The longest head, in bytes.
pub const MAX_HEAD: usize = 16 << 10;
/// The most fields of a head.
pub const MAX_FIELDS: usize = 64;
/// The most empty lines before a head.
const MAX_EMPTY_LINES: u32 = 8;

/// How the length of a body is given (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Length(u64),
    Chunked,
}

/// What the server needs of the head of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Head<'a> {
    pub method: &'a str,
    /// The path, which begins with `/`, or `*`.
    pub path: &'a str,
    pub query: &'a str,
    pub framing: Framing,
    /// Whether the client does not know HTTP/1.1.
    pub is_1_0: bool,
    /// Whether the connection may be used for another request.
    pub keeps_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// Finds the end of a head that arrives in pieces. It looks at each byte once.
#[derive(Debug, Default)]
pub struct Scanner {
    /// Number of bytes that were looked at.
    seen: usize,
    /// Where the line begins that is not complete yet.
    line: usize,
    /// Number of empty lines before the head.
    empty_lines: u32,
}

impl Scanner {
    /// Skips an empty line before the head (RFC 9112, section 2.2). Returns its length: 0 if there is
    /// none.
    pub fn skip_empty_line(&mut self, input: &[u8]) -> Result<usize, Status> {
        if self.seen > 0 || !input.starts_with(b"\r\n") {
            return Ok(0);
        }
        self.empty_lines += 1;
        if self.empty_lines > MAX_EMPTY_LINES { Err(Status::BAD_REQUEST) } else { Ok(2) }
    }

    /// Returns the length of the head, if `input` contains all of it. `input` begins with the head,
    /// and with the bytes that earlier calls have seen.
    pub fn length_of_head(&mut self, input: &[u8]) -> Result<Option<usize>, Status> {
        // A client that speaks another protocol need not be waited for.
        if self.seen == 0 && input.first().is_some_and(|&byte| !is_token(&[byte])) {
            return Err(Status::BAD_REQUEST);
        }
        while let Some(offset) = memchr(b'\n', &input[self.seen..]) {
            let end = self.seen + offset;
            // A bare LF may be the end of a line, but not for all programs.
            if end == 0 || input[end - 1] != b'\r' {
                return Err(Status::BAD_REQUEST);
            }
            self.check_length(end, input)?;
            let is_empty = end == self.line + 1;
            (self.seen, self.line) = (end + 1, end + 1);
            if is_empty {
                return Ok(Some(end + 1));
            }
        }
        self.seen = input.len();
        self.check_length(self.seen, input)?;
        Ok(None)
    }

    /// Checks the length of the head up to now.
    fn check_length(&self, length: usize, input: &[u8]) -> Result<(), Status> {
        if self.line == 0 && length > MAX_LINE {
            // It is the method that is too long, or the target.
            let has_method = memchr(b' ', &input[..MAX_LINE]).is_some();
            return Err(if has_method { Status::URI_TOO_LONG } else { Status::NOT_IMPLEMENTED });
        }
        if length > MAX_HEAD { Err(Status::FIELDS_TOO_LARGE) } else { Ok(()) }
    }
}

impl<'a> Head<'a> {
    /// Parses a head. It ends with an empty line, and all its lines end with CRLF.
    pub fn parse(head: &'a [u8]) -> Result<Self, Status> {
        let end = memchr(b'\n', head).ok_or(Status::BAD_REQUEST)?;
        let line = head[..end].strip_suffix(b"\r").ok_or(Status::BAD_REQUEST)?;
        let (method, target, minor_version) = request_line(line)?;
        let is_1_0 = minor_version == 0;

        let fields = &head[end + 1..];
        // To clear so few takes less time than to parse them. Most heads have no more.
        let fields = match Fields::parse(fields, &mut [EMPTY_HEADER; 12]) {
            Err(Status::FIELDS_TOO_LARGE) => {
                Fields::parse(fields, &mut [EMPTY_HEADER; MAX_FIELDS])?
            }
            fields => fields?,
        };

        // Without a host, an HTTP/1.1 request has no complete target (RFC 9112, section 3.2).
        match fields.host {
            Some(host) if is_host(host) => {}
            None if is_1_0 => {}
            _ => return Err(Status::BAD_REQUEST),
        }
        let (path, query) = path_and_query(method, target)?;
        Ok(Head {
            method,
            path,
            query,
            framing: fields.framing(is_1_0)?,
            is_1_0,
            keeps_alive: !fields.has_close && (!is_1_0 || fields.has_keep_alive),
            expects_continue: fields.expects_continue(is_1_0)?,
        })
    }

    /// Returns whether a body follows.
    pub fn has_body(&self) -> bool {
        self.framing != Framing::Length(0)
    }
}

/// Splits a request line into method, target and minor version (RFC 9112, section 3).
fn request_line(line: &[u8]) -> Result<(&str, &str, u8), Status> {
    let line = str::from_utf8(line).map_err(|_| Status::BAD_REQUEST)?;
    let (method, rest) = split(line, b' ').ok_or(Status::BAD_REQUEST)?;
    let (target, version) = split(rest, b' ').ok_or(Status::BAD_REQUEST)?;
    if !is_token(method.as_bytes()) || target.is_empty() {
        return Err(Status::BAD_REQUEST);
    }
    match version.as_bytes() {
        // A higher minor version is read as the highest that is known (RFC 9110, section 2.5).
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] => {
            Ok((method, target, minor - b'0'))
        }
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Err(Status::VERSION_NOT_SUPPORTED)
        }
        _ => Err(Status::BAD_REQUEST),
    }
}

/// Splits a text at the first such byte. `str::split_once` takes several times as long for a short one.
fn split(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|other| other == byte)?;
    Some((&text[..at], &text[at + 1..]))
}

/// The fields that the server understands.
#[derive(Debug, Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    length: Option<&'a [u8]>,
    codings: Option<Codings>,
    has_close: bool,
    has_keep_alive: bool,
    expects_continue: bool,
    expects_more: bool,
}

impl<'a> Fields<'a> {
    /// Parses all fields of a head. `room` says how many there may be.
    fn parse(fields: &'a [u8], room: &mut [Header<'a>]) -> Result<Self, Status> {
        match httparse::parse_headers(fields, room) {
            Ok(httparse::Status::Complete((_, fields))) => Fields::collect(fields),
            Err(httparse::Error::TooManyHeaders) => Err(Status::FIELDS_TOO_LARGE),
            Ok(httparse::Status::Partial) | Err(_) => Err(Status::BAD_REQUEST),
        }
    }

    fn collect(fields: &[Header<'a>]) -> Result<Self, Status> {
        let mut found = Fields::default();
        for &Header { name, value } in fields {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            if is("host") {
                only(&mut found.host, value)?;
            } else if is("content-length") {
                only(&mut found.length, value)?;
            } else if is("transfer-encoding") {
                let codings = found.codings.get_or_insert_default();
                list(value).for_each(|coding| codings.push(coding));
            } else if is("connection") {
                for option in list(value) {
                    found.has_close |= option.eq_ignore_ascii_case(b"close");
                    found.has_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            } else if is("expect") {
                for expectation in list(value) {
                    let is_known = expectation.eq_ignore_ascii_case(b"100-continue");
                    found.expects_continue |= is_known;
                    found.expects_more |= !is_known;
                }
            }
        }
        Ok(found)
    }

    fn framing(&self, is_1_0: bool) -> Result<Framing, Status> {
        match (&self.codings, self.length) {
            (None, None) => Ok(Framing::Length(0)),
            (None, Some(length)) => content_length(length).map(Framing::Length),
            // The two fields contradict each other: this may be an attempt at request smuggling.
            // HTTP/1.0 has no transfer codings (RFC 9112, section 6.1).
            (Some(_), Some(_)) => Err(Status::BAD_REQUEST),
            (Some(_), None) if is_1_0 => Err(Status::BAD_REQUEST),
            (Some(codings), None) => codings.framing(),
        }
    }

    fn expects_continue(&self, is_1_0: bool) -> Result<bool, Status> {
        match self.expects_more {
            _ if is_1_0 => Ok(false),
            true => Err(Status::EXPECTATION_FAILED),
            false => Ok(self.expects_continue),
        }
    }
}

/// Sets a field that a request has once.
fn only<'a>(field: &mut Option<&'a [u8]>, value: &'a [u8]) -> Result<(), Status> {
    if field.replace(value).is_some() { Err(Status::BAD_REQUEST) } else { Ok(()) }
}

/// The transfer codings of a request, in the order of all its `Transfer-Encoding` fields.
#[derive(Debug, Default)]
struct Codings {
    /// Number of times that `chunked` was given.
    chunked: usize,
    is_chunked_last: bool,
    has_other: bool,
    is_malformed: bool,
}

impl Codings {
    fn push(&mut self, coding: &[u8]) {
        self.is_chunked_last = coding.eq_ignore_ascii_case(b"chunked");
        self.chunked += usize::from(self.is_chunked_last);
        self.has_other |= !self.is_chunked_last;
        self.is_malformed |= !is_token(coding);
    }

    fn framing(&self) -> Result<Framing, Status> {
        // Otherwise the length of the body is not known (RFC 9112, section 6.3).
        if self.is_malformed || self.chunked != 1 || !self.is_chunked_last {
            return Err(Status::BAD_REQUEST);
        }
        if self.has_other { Err(Status::NOT_IMPLEMENTED) } else { Ok(Framing::Chunked) }
    }
}

/// Returns the members of a list, without the empty ones (RFC 9110, section 5.6.1).
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// Parses a `Content-Length`: digits alone. Signs and lists are refused.
fn content_length(value: &[u8]) -> Result<u64, Status> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Status::BAD_REQUEST);
    }
    let digits = str::from_utf8(value).unwrap_or_default();
    digits.parse().map_err(|_| Status::CONTENT_TOO_LARGE) // more than 64 bits
}

/// Splits a target into path and query (RFC 9112, section 3.2).
fn path_and_query<'a>(method: &str, target: &'a str) -> Result<(&'a str, &'a str), Status> {
    let target = match target {
        "*" if method == "OPTIONS" => return Ok((target, "")),
        _ if method == "CONNECT" => return Err(Status::NOT_IMPLEMENTED),
        _ if target.starts_with('/') => target,
        _ => without_authority(target)?,
    };
    let (path, query) = split(target, b'?').unwrap_or((target, ""));
    if !is_made_of(path.as_bytes(), b"/:@") || !is_made_of(query.as_bytes(), b"/:@?") {
        return Err(Status::BAD_REQUEST);
    }
    match path {
        "" if method == "OPTIONS" && query.is_empty() => Ok(("*", "")),
        "" => Ok(("/", query)),
        _ => Ok((path, query)),
    }
}

/// Removes scheme and authority from the absolute form of a target.
fn without_authority(target: &str) -> Result<&str, Status> {
    let (scheme, rest) = target.split_once("://").ok_or(Status::BAD_REQUEST)?;
    let is_http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if !is_http || authority.is_empty() || !is_host(authority.as_bytes()) {
        return Err(Status::BAD_REQUEST);
    }
    Ok(rest)
}

/// Returns whether `value` is a host with or without a port (RFC 3986, section 3.2). An empty one is
/// allowed in the field `Host`.
fn is_host(value: &[u8]) -> bool {
    let at = |end: u8| value.iter().position(|&byte| byte == end);
    let (is_good, port) = if value.starts_with(b"[") {
        let Some(end) = at(b']') else { return false };
        (is_ipv6(&value[1..end]), &value[end + 1..])
    } else {
        let (host, port) = value.split_at(at(b':').unwrap_or(value.len()));
        (is_made_of(host, b"") && host.is_empty() <= port.is_empty(), port)
    };
    match port {
        [] => is_good,
        [b':', digits @ ..] => is_good && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn is_ipv6(address: &[u8]) -> bool {
    str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// Returns whether `text` consists of unreserved characters, delimiters and percent-encoded bytes
/// (RFC 3986, section 2), and of the characters in `more`.
fn is_made_of(text: &[u8], more: &[u8]) -> bool {
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        let mut is_digit = || bytes.next().is_some_and(u8::is_ascii_hexdigit);
        let mut is_escape = || is_digit() && is_digit();
        if !(IN_URI[usize::from(byte)] || more.contains(&byte) || byte == b'%' && is_escape()) {
            return false;
        }
    }
    true
}

/// Returns whether `word` is a token (RFC 9110, section 5.6.2).
pub fn is_token(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(|&byte| IN_TOKEN[usize::from(byte)])
}

static IN_URI: [bool; 256] = letters_and(b"-._~!$&'()*+,;=");
static IN_TOKEN: [bool; 256] = letters_and(b"!#$%&'*+-.^_`|~");

/// Returns a table of all bytes, in which letters, digits and the bytes in `others` are true.
const fn letters_and(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut index = 0;
    while index < others.len() {
        table[others[index] as usize] = true;
        index += 1;
    }
    table
}
