//! The cases over the program, on every backend and trigger.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;

use rustix::process::Signal;
use support::example::{Server, on_every_backend};
use support::sockets::reset;
use tripoll::{Backend, Trigger};

use crate::cases::{Case, LAST, PLAIN, Then, cases, responses};

pub fn start(backend: Backend, trigger: Trigger) -> Server {
    Server::start("http", backend, trigger)
}

/// Sends all that a case says, behind plain requests, and checks the answers. `send` sends bytes, and
/// `end` half-closes.
pub fn run<C: Read>(
    mut client: C,
    case: &Case,
    before: usize,
    send: impl Fn(&mut C, &[u8]),
    end: impl Fn(&mut C),
) {
    let mut output = Vec::new();
    let mut first = PLAIN.repeat(before).into_bytes();
    first.extend(case.first());
    send(&mut client, &first);
    if case.status.first() == Some(&100) {
        let mut go_on = [0; 25];
        client.read_exact(&mut go_on).unwrap();
        output.extend(go_on);
    }
    send(&mut client, case.more.as_bytes());
    match case.then {
        Then::Keep => send(&mut client, LAST.as_bytes()),
        Then::Close => {}
        Then::Wait => end(&mut client),
    }
    client.read_to_end(&mut output).unwrap_or_else(|error| panic!("{}: {error}", case.name));
    case.check(before, &output);
}

fn connect(server: &Server) -> TcpStream {
    let client = server.connect();
    client.set_nodelay(true).unwrap();
    client
}

fn half_close(client: &mut TcpStream) {
    client.shutdown(Shutdown::Write).unwrap();
}

/// The server may have closed before it has read all, and does not reset.
pub fn send_all(client: &mut TcpStream, bytes: &[u8]) {
    client.write_all(bytes).unwrap();
}

fn send_each(client: &mut TcpStream, bytes: &[u8]) {
    bytes.iter().for_each(|&byte| client.write_all(&[byte]).unwrap());
}

#[test]
fn each_case_is_answered() {
    on_every_backend(|backend, trigger| {
        let server = start(backend, trigger);
        for case in cases() {
            run(connect(&server), &case, 0, send_all, half_close);
        }
    });
}

#[test]
fn each_case_is_answered_byte_by_byte() {
    on_every_backend(|backend, trigger| {
        let server = start(backend, trigger);
        for case in cases().iter().filter(|case| case.first().len() < 400) {
            run(connect(&server), case, 0, send_each, half_close);
        }
    });
}

#[test]
fn each_case_is_answered_in_a_pipeline() {
    on_every_backend(|backend, trigger| {
        let server = start(backend, trigger);
        for case in cases().iter().filter(|case| case.status.first() != Some(&100)) {
            run(connect(&server), case, 20, send_all, half_close);
        }
    });
}

/// Asks for a text.
#[track_caller]
pub fn assert_served(client: &mut TcpStream) {
    client.write_all(PLAIN.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 1_000];
    while !answer.ends_with(b"Hello, World!") {
        let count = client.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "{}", answer.escape_ascii());
        answer.extend_from_slice(&buffer[..count]);
    }
    assert_eq!(responses(&answer, |_| false).unwrap().len(), 1);
}

#[test]
fn a_client_that_reads_only_after_it_has_sent_all_is_answered() {
    const REQUESTS: usize = 20_000;
    on_every_backend(|backend, trigger| {
        let server = start(backend, trigger);
        let mut client = server.connect();
        let mut sender = client.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                sender.write_all(PLAIN.repeat(REQUESTS).as_bytes()).unwrap();
                sender.shutdown(Shutdown::Write).unwrap();
            });
            let mut output = Vec::new();
            client.read_to_end(&mut output).unwrap();
            assert_eq!(responses(&output, |_| false).unwrap().len(), REQUESTS);
        });
    });
}

#[test]
fn clients_that_leave_harm_no_other() {
    on_every_backend(|backend, trigger| {
        let mut server = start(backend, trigger);
        let fds = server.fds();
        let mut witness = server.connect();
        assert_served(&mut witness);
        for sent in
            ["", "GET /pl", PLAIN, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab"]
        {
            let mut client = server.connect();
            client.write_all(sent.as_bytes()).unwrap();
            drop(client);
            let mut client = server.connect();
            client.write_all(sent.as_bytes()).unwrap();
            reset(client);
        }
        assert_served(&mut witness);
        drop(witness);
        support::await_that("the server closes", || server.fds() == fds);
        server.stop(Signal::TERM).assert_graceful();
    });
}

// Stopping.

#[test]
fn a_signal_ends_it_and_what_has_arrived_is_answered() {
    on_every_backend(|backend, trigger| {
        let mut server = start(backend, trigger);
        let mut silent = server.connect();
        let mut served = server.connect();
        let mut halfway = server.connect();
        assert_served(&mut served);
        assert_served(&mut halfway);
        halfway.write_all(&PLAIN.as_bytes()[..30]).unwrap();
        server.signal(Signal::STOP);
        server.signal(Signal::TERM);
        served.write_all(PLAIN.as_bytes()).unwrap();
        let mut late = server.connect(); // is in the backlog
        late.write_all(PLAIN.as_bytes()).unwrap();
        server.signal(Signal::CONT);
        for client in [&mut served, &mut late] {
            let mut output = Vec::new();
            client.read_to_end(&mut output).unwrap();
            let answers = responses(&output, |_| false).unwrap();
            assert_eq!(answers.len(), 1, "{}", output.escape_ascii());
        }
        assert_eq!(silent.read(&mut [0]).unwrap(), 0, "a FIN and no reset");
        // A request that was begun may be completed, and is the last.
        halfway.write_all(&PLAIN.as_bytes()[30..]).unwrap();
        let mut output = Vec::new();
        halfway.read_to_end(&mut output).unwrap();
        let answers = responses(&output, |_| false).unwrap();
        assert_eq!(answers[0].body, b"Hello, World!");
        assert!(answers[0].has_field("Connection: close"));
        drop((silent, served, late, halfway));
        let stopped = server.end();
        stopped.assert_graceful();
        let refused = TcpStream::connect(&server.address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn wrong_arguments_end_it_with_2_and_one_line() {
    for arguments in [
        &["--listen", "127.0.0.1:0", "--patience", "soon"][..],
        &["--listen", "127.0.0.1:0", "--idle", "-1"],
        &["--listen", "127.0.0.1:0", "--trigger", "sometimes"],
        &[],
    ] {
        let output = support::example::run("http", arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert_eq!(output.stderr.iter().filter(|&&byte| byte == b'\n').count(), 1, "{output:?}");
    }
}

#[test]
fn the_program_is_short_without_its_protocol() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/http");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sources = files.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap());
    let is_code = |line: &&str| !line.is_empty() && !line.starts_with("//");
    let lines = |source: String| source.lines().map(str::trim).filter(is_code).count();
    let lines: usize = sources.map(lines).sum();
    assert!(lines < 300, "{lines} lines of code");
}
