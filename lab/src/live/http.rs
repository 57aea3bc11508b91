//! The little of HTTP/1.1 that the lab's own page needs.
//!
//! Everything about a request is bounded: its head, its fields, its body and its time. A request without
//! the token, or from another place, is refused before anything else is looked at.

use httparse::{EMPTY_HEADER, Header, Request as Head, Status};

use super::control::Query;

/// The longest head of a request, in bytes.
pub(super) const MOST_HEAD: usize = 8 << 10;

/// The longest body of a request, in bytes.
pub(super) const MOST_BODY: usize = 64 << 10;

/// The most fields of a head.
const MOST_FIELDS: usize = 64;

/// A request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Query,
    pub(super) host: Option<String>,
    pub(super) origin: Option<String>,
    pub(super) last_event: Option<u64>,
    pub(super) body: Vec<u8>,
    pub(super) keeps_alive: bool,
}

/// What the input of a connection begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A part of a request.
    Partial,
    /// A request, and its length.
    Whole(Box<Request>, usize),
    /// No request: the answer is this status.
    Wrong(u16),
}

/// Parses the request with which `input` begins.
pub(super) fn parse(input: &[u8]) -> Parsed {
    let mut fields = [EMPTY_HEADER; MOST_FIELDS];
    let mut head = Head::new(&mut fields);
    let length = match head.parse(input) {
        Ok(Status::Complete(length)) if length > MOST_HEAD => return Parsed::Wrong(431),
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) if input.len() > MOST_HEAD => return Parsed::Wrong(431),
        Ok(Status::Partial) => return Parsed::Partial,
        Err(httparse::Error::TooManyHeaders) => return Parsed::Wrong(431),
        Err(_) => return Parsed::Wrong(400),
    };
    let fields = &*head.headers;
    // What two programs might read in two ways is refused.
    for single in ["host", "origin", "content-length"] {
        if values(fields, single).count() > 1 {
            return Parsed::Wrong(400);
        }
    }
    if values(fields, "transfer-encoding").next().is_some() {
        return Parsed::Wrong(411);
    }
    let body = match values(fields, "content-length").next() {
        None => 0,
        Some(text) => match text.parse::<usize>() {
            Ok(body) if body <= MOST_BODY => body,
            Ok(_) => return Parsed::Wrong(413),
            Err(_) => return Parsed::Wrong(400),
        },
    };
    let Some(body) = input.get(length..length + body) else { return Parsed::Partial };
    let target = head.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let closes = values(fields, "connection").any(|value| value.eq_ignore_ascii_case("close"));
    let request = Request {
        method: head.method.unwrap_or_default().to_string(),
        path: path.to_string(),
        query: Query::parse(query),
        host: values(fields, "host").next(),
        origin: values(fields, "origin").next(),
        last_event: values(fields, "last-event-id").next().and_then(|id| id.parse().ok()),
        body: body.to_vec(),
        keeps_alive: head.version == Some(1) && !closes,
    };
    let length = length + body.len();
    Parsed::Whole(Box::new(request), length)
}

/// Returns the values of the fields called `name`.
fn values<'a>(fields: &'a [Header<'_>], name: &'a str) -> impl Iterator<Item = String> + 'a {
    let fields = fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
    fields.map(|field| str::from_utf8(field.value).unwrap_or("\u{fffd}").trim().to_string())
}

/// Which requests are answered: those with the token, from the lab's own page.
#[derive(Debug)]
pub(super) struct Door {
    token: String,
    hosts: [String; 2],
}

impl Door {
    pub(super) fn new(token: String, port: u16) -> Self {
        Door { token, hosts: [format!("127.0.0.1:{port}"), format!("localhost:{port}")] }
    }

    /// Returns whether the request may come in. A foreign name of this machine (DNS rebinding) and a
    /// page from elsewhere may not.
    pub(super) fn opens_to(&self, request: &Request) -> bool {
        let is_host = |host: &str| self.hosts.iter().any(|own| own == host);
        let has_host = request.host.as_deref().is_some_and(is_host);
        let has_origin = request
            .origin
            .as_deref()
            .is_none_or(|origin| origin.strip_prefix("http://").is_some_and(is_host));
        let has_token = request.query.value("t").is_some_and(|token| same(token, &self.token));
        has_host && has_origin && has_token
    }
}

/// Compares two texts in a time that does not depend on where they differ.
fn same(one: &str, other: &str) -> bool {
    let pairs = one.bytes().zip(other.bytes());
    one.len() == other.len() && pairs.fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// Returns the reason phrase of a status.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        _ => "Error",
    }
}

/// Returns the head of an answer. `length` is `None` for one that ends with the connection.
pub(super) fn head(status: u16, kind: &str, length: Option<usize>, keeps_alive: bool) -> String {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    if let Some(length) = length.filter(|_| status != 204) {
        head += &format!("Content-Type: {kind}\r\nContent-Length: {length}\r\n");
    } else if length.is_none() {
        head += &format!("Content-Type: {kind}\r\n");
    }
    if !keeps_alive {
        head += "Connection: close\r\n";
    }
    head += "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
             Referrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n\
             X-Frame-Options: DENY\r\nContent-Security-Policy: ";
    head += super::page::CSP;
    head += "\r\n\r\n";
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(head: &str) -> Request {
        match parse(head.as_bytes()) {
            Parsed::Whole(request, _) => *request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_the_labs_own_page_with_the_token_comes_in() {
        let door = Door::new("secret".into(), 7_000);
        for (fields, may) in [
            ("Host: 127.0.0.1:7000", true),
            ("Host: localhost:7000", true),
            ("Host: 127.0.0.1:7000\r\nOrigin: http://127.0.0.1:7000", true),
            ("Host: 127.0.0.1:7000\r\nOrigin: http://evil.example", false),
            ("Host: 127.0.0.1:7000\r\nOrigin: null", false),
            ("Host: 127.0.0.1:7000\r\nOrigin: https://127.0.0.1:7000", false),
            ("Host: evil.example:7000", false),
            ("Host: 127.0.0.1", false),
            ("Accept: */*", false),
        ] {
            let head = |target: &str| format!("GET {target} HTTP/1.1\r\n{fields}\r\n\r\n");
            assert_eq!(door.opens_to(&request(&head("/?t=secret"))), may, "{fields}");
            for target in ["/", "/?t=", "/?t=secre", "/?t=secrett", "/?T=secret", "/?t=x&t=secret"]
            {
                assert!(!door.opens_to(&request(&head(target))), "{target}");
            }
        }
    }

    #[test]
    fn a_request_is_bounded() {
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(MOST_HEAD));
        assert_eq!(parse(long.as_bytes()), Parsed::Wrong(431));
        let fields = "a: b\r\n".repeat(MOST_FIELDS + 1);
        assert_eq!(parse(format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes()), Parsed::Wrong(431));
        let body = |length: &str| {
            parse(format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n").as_bytes())
        };
        assert_eq!(body("65537"), Parsed::Wrong(413));
        assert_eq!(body("65536"), Parsed::Partial);
        assert_eq!(body("x"), Parsed::Wrong(400));
        assert_eq!(body("99999999999999999999"), Parsed::Wrong(400));
        assert_eq!(parse(b"\x16\x03\x01\x00"), Parsed::Wrong(400));
        assert_eq!(parse(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), Parsed::Wrong(400));
        let chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(parse(chunked), Parsed::Wrong(411));
    }

    #[test]
    fn a_body_follows_its_head() {
        let input = b"POST /control?op=send HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET";
        let Parsed::Whole(request, length) = parse(input) else { panic!() };
        assert_eq!((request.body.as_slice(), length), (&b"hi"[..], input.len() - 3));
        assert_eq!(request.query.value("op"), Some("send"));
    }
}
