//! A page without a browser: it reads the events of a lab and posts controls.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;
use tripoll_lab::live::{Lab, Options};

/// How long an event is waited for.
const LIMIT: Duration = Duration::from_secs(20);

/// Returns the address and the token of a lab.
pub fn parts(lab: &Lab) -> (String, String) {
    let (address, token) = lab.url().trim_start_matches("http://").split_once("/?t=").unwrap();
    (address.to_string(), token.to_string())
}

/// Sends a request and returns the whole answer.
pub fn request(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Gets a page of a lab, with its token.
pub fn get(lab: &Lab, path: &str) -> String {
    let (address, token) = parts(lab);
    let fields = "Connection: close\r\n";
    request(&address, &format!("GET {path}?t={token} HTTP/1.1\r\nHost: {address}\r\n{fields}\r\n"))
}

/// Returns the row of the first client in a table.
pub fn client_row(record: &Value) -> Option<&Value> {
    record["sources"].as_array()?.iter().find(|row| row["role"] == "client")
}

/// Returns the calls of a turn that have this name.
pub fn calls<'a>(turn: &'a Value, what: &str) -> Vec<&'a Value> {
    let calls = turn["calls"].as_array().unwrap().iter();
    calls.filter(|call| call["what"] == what).collect()
}

/// Begins a lab with a handler.
pub fn lab_with(handler: &str) -> Lab {
    Lab::begin(&Options { handler: handler.to_string(), ..Options::default() }).unwrap()
}

/// The events of a lab.
pub struct Session {
    address: String,
    token: String,
    events: BufReader<TcpStream>,
}

impl Session {
    pub fn begin(lab: &Lab) -> Self {
        Session::after(lab, None)
    }

    /// Begins after the turn `last`.
    pub fn after(lab: &Lab, last: Option<u64>) -> Self {
        let (address, token) = parts(lab);
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let last = last.map_or(String::new(), |turn| format!("Last-Event-ID: {turn}\r\n"));
        let head = format!("GET /events?t={token} HTTP/1.1\r\nHost: {address}\r\n{last}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut events = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert!(events.read_line(&mut line).unwrap() > 0, "the stream has ended");
            assert!(!line.starts_with("HTTP/") || line.contains(" 200 "), "{line}");
        }
        Session { address, token, events }
    }

    /// Lets a client of the lab connect and be accepted.
    pub fn with_client(mut self) -> Self {
        self.post("op=spawn");
        self.next_where("client", |it| it["client"]["state"] == "open");
        self.post("op=step");
        self.next("turn");
        self
    }

    /// Makes one step, and returns its record.
    pub fn step(&mut self) -> Value {
        self.post("op=step");
        self.next("turn")
    }

    /// Lets client 1 send, and waits until that has arrived: `total` bytes are unread then.
    pub fn send(&mut self, body: &[u8], total: u64) {
        self.post_body("op=send&client=1", body);
        self.next_where("snapshot", |it| {
            client_row(it).is_some_and(|row| row["read_queue"] == total)
        });
    }

    /// Returns the next event, whatever it is.
    pub fn any(&mut self) -> (String, Value) {
        let (mut name, mut data) = (String::new(), Value::Null);
        loop {
            let mut line = String::new();
            assert!(self.events.read_line(&mut line).unwrap() > 0, "the stream has ended");
            let line = line.trim_end();
            if let Some(text) = line.strip_prefix("event: ") {
                name = text.to_string();
            } else if let Some(json) = line.strip_prefix("data: ") {
                data = serde_json::from_str(json).unwrap();
            } else if line.is_empty() && !name.is_empty() {
                return (name, data);
            }
        }
    }

    /// Returns the next event of this name.
    pub fn next(&mut self, name: &str) -> Value {
        self.next_where(name, |_| true)
    }

    /// Returns the next event of this name of which something holds.
    pub fn next_where(&mut self, name: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + LIMIT;
        let mut seen = Vec::new();
        while Instant::now() < until {
            let (found, data) = self.any();
            if found == name && holds(&data) {
                return data;
            }
            seen.push(format!("{found} {data}"));
        }
        panic!("no such {name} in {LIMIT:?}; the last ones are {:#?}", seen.iter().rev().take(3));
    }

    /// Posts a control, which must succeed.
    pub fn post(&self, query: &str) {
        self.post_body(query, b"");
    }

    /// As `post`, with a body.
    pub fn post_body(&self, query: &str, body: &[u8]) {
        let answer = self.control(query, body);
        assert!(answer.starts_with("HTTP/1.1 204 "), "{query}: {answer}");
    }

    /// Posts a control, and returns the answer.
    pub fn control(&self, query: &str, body: &[u8]) -> String {
        let Session { address, token, .. } = self;
        let head = format!(
            "POST /control?t={token}&{query} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        request(address, &(head + str::from_utf8(body).unwrap()))
    }
}
