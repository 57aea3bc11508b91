//! The cases over the protocol alone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use support::alone::in_own_process;

use crate::ALLOCATOR;
use crate::cases::{Case, LAST, MODIFIED, PLAIN, Then, cases, file_cases};
use crate::protocol::{Clock, MAX_HEAD, MAX_OUTPUT, Session, Status, Version, Wait};

/// A session, and what surrounds it.
pub struct Peer {
    session: Session,
    clock: Clock,
    unused: Vec<u8>,
    pub output: Vec<u8>,
    pub wait: Wait,
}

impl Peer {
    pub fn new() -> Self {
        Peer {
            session: Session::new(false),
            clock: Clock::new(SystemTime::now()),
            unused: Vec::new(),
            output: Vec::new(),
            wait: Wait::Idle,
        }
    }

    fn with_files() -> Self {
        Peer { session: Session::new(true), ..Peer::new() }
    }

    /// Passes input on, as a connection does.
    pub fn send(&mut self, input: &[u8]) {
        if self.wait == Wait::Nothing {
            return;
        }
        self.unused.extend_from_slice(input);
        loop {
            let mut out = Vec::new();
            let (used, wait) = self.session.receive(&self.unused, &self.clock, &mut out);
            assert!(out.len() <= 2 * MAX_OUTPUT + 1_000, "{} bytes at once", out.len());
            self.unused.drain(..used);
            self.output.extend(out);
            self.wait = wait;
            if wait != Wait::Output {
                break;
            }
            assert!(used > 0);
        }
        assert!(self.unused.len() <= MAX_HEAD, "{} bytes are kept", self.unused.len());
    }

    pub fn end(&mut self, status: Status) {
        self.session.end(self.wait, status, &self.clock, &mut self.output);
        self.wait = Wait::Nothing;
    }

    /// Sends what follows a case.
    fn send_rest(&mut self, case: &Case) {
        match case.then {
            Then::Keep => {
                assert_eq!(self.wait, Wait::Idle, "{}", case.name);
                self.send(LAST.as_bytes());
            }
            Then::Close => {}
            Then::Wait => {
                assert!(matches!(self.wait, Wait::Head | Wait::Body), "{}", case.name);
                self.end(Status::BAD_REQUEST);
            }
        }
        assert_eq!(self.wait, Wait::Nothing, "{}", case.name);
    }
}

/// Runs a case. Its bytes come in the given pieces.
fn run<'a>(case: &Case, first: impl Iterator<Item = &'a [u8]>) {
    let mut peer = Peer::new();
    first.for_each(|piece| peer.send(piece));
    case.more.bytes().for_each(|byte| peer.send(&[byte]));
    peer.send_rest(case);
    case.check(0, &peer.output);
}

#[test]
fn each_case_in_one_piece() {
    for case in cases() {
        run(&case, [&*case.first()].into_iter());
    }
}

#[test]
fn each_case_byte_by_byte() {
    for case in cases() {
        run(&case, case.first().chunks(1));
    }
}

#[test]
fn each_case_split_at_each_byte() {
    for case in cases() {
        let first = case.first();
        // Of a long request, the ends and some places between them.
        let step = first.len().div_ceil(1_000);
        for at in (0..first.len()).step_by(step) {
            let (head, tail) = first.split_at(at);
            run(&case, [head, tail].into_iter());
        }
    }
}

#[test]
fn each_case_in_a_pipeline() {
    for case in cases().iter().filter(|case| case.more.is_empty()) {
        let mut all = PLAIN.repeat(3).into_bytes();
        all.extend(case.first());
        // What comes behind the last request is not answered.
        match case.then {
            Then::Keep => all.extend(LAST.bytes()),
            Then::Close => all.extend(PLAIN.bytes()),
            Then::Wait => {}
        }
        let mut peer = Peer::new();
        peer.send(&all);
        if case.then == Then::Wait {
            peer.end(Status::BAD_REQUEST);
        }
        assert_eq!(peer.wait, Wait::Nothing, "{}", case.name);
        case.check(3, &peer.output);
    }
}

#[test]
fn an_incomplete_request_is_too_late() {
    for case in cases().iter().filter(|case| case.then == Then::Wait) {
        let mut peer = Peer::new();
        peer.send(&case.first());
        let answered = peer.output.len();
        peer.end(Status::REQUEST_TIMEOUT);
        let answer = String::from_utf8_lossy(&peer.output[answered..]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    }
}

#[test]
fn a_client_that_is_silent_is_not_answered() {
    let mut peer = Peer::new();
    peer.end(Status::REQUEST_TIMEOUT);
    assert_eq!(peer.output, b"");
    let mut peer = Peer::new();
    peer.send(PLAIN.as_bytes());
    assert_eq!((peer.wait, peer.session.responses()), (Wait::Idle, 1));
    let answered = peer.output.len();
    peer.end(Status::REQUEST_TIMEOUT);
    assert_eq!(peer.output.len(), answered);
}

#[test]
fn a_session_that_finishes_closes_after_its_next_response() {
    let mut peer = Peer::new();
    peer.send(&PLAIN.as_bytes()[..20]);
    peer.session.finish();
    peer.send(&PLAIN.as_bytes()[20..]);
    assert_eq!(peer.wait, Wait::Nothing);
    let answer = String::from_utf8(peer.output).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
}

#[test]
fn a_long_pipeline_is_answered_in_parts() {
    let mut peer = Peer::new();
    peer.send(PLAIN.repeat(5_000).as_bytes()); // asserts how long the parts are
    let answers = peer.output.windows(13).filter(|bytes| bytes == b"Hello, World!").count();
    assert_eq!((answers, peer.wait), (5_000, Wait::Idle));
}

#[test]
fn a_large_body_comes_back_whole() {
    let body = support::pattern(64 << 10);
    let head = format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut peer = Peer::new();
    peer.send(head.as_bytes());
    body.chunks(1_000).for_each(|piece| peer.send(piece));
    assert!(peer.output.ends_with(body));
    // The same in the smallest chunks.
    let mut peer = Peer::new();
    peer.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for byte in body {
        peer.send(&[b"1\r\n", &[*byte][..], b"\r\n"].concat());
    }
    peer.send(b"0\r\n\r\n");
    assert!(peer.output.ends_with(body));
    // One more is too many.
    let mut peer = Peer::new();
    peer.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n");
    peer.send(body);
    peer.send(b"\r\n1\r\n");
    assert!(peer.output.starts_with(b"HTTP/1.1 413 "));
}

#[test]
fn endless_chunk_extensions_are_refused() {
    let mut peer = Peer::new();
    peer.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = format!("1;{}\r\nx\r\n", "a".repeat(200));
    let sent = (0..1_000).take_while(|_| {
        peer.send(chunk.as_bytes());
        peer.wait != Wait::Nothing
    });
    assert_eq!(sent.count(), 20);
    assert!(peer.output.starts_with(b"HTTP/1.1 400 "));
}

#[test]
fn endless_trailers_are_refused() {
    let mut peer = Peer::new();
    peer.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
    let trailer = format!("X: {}\r\n", "a".repeat(95));
    let sent = (0..1_000).take_while(|_| {
        peer.send(trailer.as_bytes());
        peer.wait != Wait::Nothing
    });
    assert_eq!(sent.count(), 40);
    assert!(peer.output.starts_with(b"HTTP/1.1 431 "));
}

#[test]
fn plain_requests_allocate_nothing() {
    in_own_process("in_memory::plain_requests_allocate_nothing", || {
        let post = "POST /baseline11?a=1&b=2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n39";
        let head = PLAIN.replace("GET", "HEAD");
        let sum = post.replace("POST", "GET").replace("2\r\n\r\n39", "0\r\n\r\n");
        let lost = PLAIN.replace("plaintext", "nowhere");
        let requests = [PLAIN, &head, &sum, &lost].concat().repeat(20);
        let clock = Clock::new(SystemTime::now());
        let mut session = Session::new(false);
        let mut out = Vec::with_capacity(2 * MAX_OUTPUT);
        let before = ALLOCATOR.stats().allocations;
        let mut receive = |requests: &str| {
            out.clear();
            session.receive(requests.as_bytes(), &clock, &mut out)
        };
        for _ in 0..100 {
            assert_eq!(receive(&requests), (requests.len(), Wait::Idle));
        }
        // The harness may allocate something meanwhile.
        let plain = ALLOCATOR.stats().allocations - before;
        assert!(plain < 10, "{plain} allocations for 8,000 requests");
        // A short body has a buffer, which is kept.
        for _ in 0..100 {
            assert_eq!(receive(post), (post.len(), Wait::Idle));
        }
        let all = ALLOCATOR.stats().allocations - before;
        assert!(all < 20, "{all} allocations with 100 bodies");
        assert_eq!(session.responses(), 100 * 81);
        assert!(out.ends_with(b"\r\n\r\n42"));
    });
}

#[test]
fn the_date_is_that_of_the_clock() {
    let mut peer = Peer::new();
    // The example of RFC 9110, section 5.6.7.
    peer.clock.set(UNIX_EPOCH + Duration::from_secs(784_111_777));
    peer.send(PLAIN.as_bytes());
    let answer = String::from_utf8(peer.output.clone()).unwrap();
    assert!(answer.contains("\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), "{answer}");
    peer.clock.set(UNIX_EPOCH + Duration::from_millis(784_111_778_500));
    peer.send(PLAIN.as_bytes());
    let answer = String::from_utf8(peer.output).unwrap();
    assert!(answer.contains("\r\nDate: Sun, 06 Nov 1994 08:49:38 GMT\r\n"), "{answer}");
}

#[test]
fn a_file_is_asked_for_by_its_normal_path() {
    for (path, file) in [
        ("/", ""),
        ("/a/b.txt", "a/b.txt"),
        ("/a/", "a/"),
        ("/a/./b/../%63.txt?query", "a/c.txt"),
        ("//a///b", "a/b"),
        ("/%E4%BD%A0", "你"),
        ("/a%20b", "a b"),
    ] {
        let mut peer = Peer::with_files();
        peer.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n{PLAIN}").as_bytes());
        assert_eq!((peer.wait, peer.session.file()), (Wait::File, Some(file)), "{path}");
        // The next request waits.
        assert_eq!((peer.output.len(), peer.unused.len()), (0, PLAIN.len()));
    }
}

/// Asks for a file, which is there or not, and has so many bytes.
fn ask(request: &str, length: Result<u64, Status>) -> (String, bool, Wait) {
    let mut peer = Peer::with_files();
    peer.send(request.as_bytes());
    assert_eq!(peer.wait, Wait::File);
    let file = length.map(version);
    let (follows, wait) = peer.session.answer_file(file, &peer.clock, &mut peer.output);
    assert_eq!(peer.session.file(), None);
    (String::from_utf8(peer.output).unwrap(), follows.is_some(), wait)
}

fn version(length: u64) -> Version {
    Version { length, modified: (MODIFIED as i64, 0) }
}

#[test]
fn each_case_with_a_file() {
    for case in file_cases() {
        let mut peer = Peer::with_files();
        peer.send(case.request("/letters.txt").as_bytes());
        let file = Ok(version(case.content().len() as u64));
        let (follows, wait) = peer.session.answer_file(file, &peer.clock, &mut peer.output);
        assert_eq!(wait, Wait::Idle, "{}", case.name);
        let follows = follows.map_or(0..0, |range| range.start as usize..range.end as usize);
        peer.output.extend_from_slice(&case.content().as_bytes()[follows]);
        case.check(&peer.output);
    }
}

#[test]
fn no_time_of_a_file_is_too_early_or_too_late() {
    for seconds in [i64::MIN, -1, 0, 1 << 40, i64::MAX] {
        let mut peer = Peer::with_files();
        peer.send(b"GET /a HTTP/1.1\r\nHost: a\r\nIf-Range: x\r\nRange: bytes=0-0\r\n\r\n");
        let file = Ok(Version { length: 1, modified: (seconds, 999_999_999) });
        let _ = peer.session.answer_file(file, &peer.clock, &mut peer.output);
        let answer = String::from_utf8(peer.output).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert_eq!(answer.contains("\r\nLast-Modified: "), seconds >= 0, "{answer}");
    }
}

#[test]
fn the_answer_to_a_file_has_its_type_and_length() {
    let get = "GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    let file = Ok(1_000);
    let (answer, follows, wait) = ask(get, file);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\nContent-Type: text/plain; charset=utf-8\r\n"), "{answer}");
    assert!(answer.contains("\r\nContent-Length: 1000\r\n"), "{answer}");
    assert_eq!((follows, wait), (true, Wait::Idle));

    let (answer, follows, wait) = ask(&get.replace("GET", "HEAD"), file);
    assert!(answer.contains("\r\nContent-Length: 1000\r\n"), "{answer}");
    assert_eq!((follows, wait), (false, Wait::Idle));

    let (answer, follows, wait) = ask(&get.replace("Host", "Connection: close\r\nHost"), file);
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    assert_eq!((follows, wait), (true, Wait::Nothing));

    for status in [Status::NOT_FOUND, Status::UNAVAILABLE] {
        let (answer, follows, wait) = ask(get, Err(status));
        assert!(answer.starts_with(&format!("HTTP/1.1 {}\r\n", status.text())), "{answer}");
        assert_eq!((follows, wait), (false, Wait::Idle));
    }
}

#[test]
fn a_file_is_read_and_not_written() {
    let mut peer = Peer::with_files();
    peer.send(b"POST /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    assert!(peer.output.starts_with(b"HTTP/1.1 405 "));
}
