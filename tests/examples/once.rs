//! The servers with one answer: `once_reply`, and `operator_reply` with a test as its operator.

use std::io::{PipeWriter, Read, Write, pipe};
use std::net::{Shutdown, TcpStream};

use crate::hostile::Subject;
use crate::requests;
use rustix::process::Signal;
use support::example::{Server, example};
use support::pattern;

const ONCE_REPLY: Subject =
    Subject { name: "once_reply", arguments: &[], assert_served: assert_asked };

const REPLY: &[u8] = b"\xE4\xBA\xB2,\xE5\xAD\xA6\xE4\xBC\x9A\xE4\xBA\x86\xE5\x90\x97";

fn assert_asked(client: &mut TcpStream) {
    client.write_all(b"whatever").unwrap();
    assert_eq!(rest(client), REPLY);
}

fn rest(client: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    rest
}

#[test]
fn once_reply_is_the_same_whatever_is_said() {
    assert_eq!(REPLY, "亲,学会了吗".as_bytes());
    requests::on_each(&[ONCE_REPLY], |subject, mut server| {
        for message in [&b"x"[..], b"\xFF", pattern(1024), pattern(200_000)] {
            let mut client = server.connect();
            client.write_all(message).unwrap();
            assert_eq!(rest(&mut client), REPLY, "to {} bytes", message.len());
        }
        let mut client = server.connect();
        client.shutdown(Shutdown::Write).unwrap(); // no message is answered too
        assert_eq!(rest(&mut client), REPLY);
        subject.assert_serves(&server);
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn hostile_clients_harm_no_other() {
    requests::hostile_clients_harm_no_other(&[ONCE_REPLY]);
}

#[test]
fn the_tutorials_client_gets_the_question() {
    let server = Server::start_with(example("once_reply").args(["--listen", "127.0.0.1:0"]));
    let output = support::example::run("client", &["once", "--connect", &server.address]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(str::from_utf8(&output.stdout), Ok("亲,学会了吗\n"));
}

// The operator.

/// Starts the server, and returns it with its standard input.
fn operated() -> (Server, PipeWriter) {
    let (keyboard, typist) = pipe().unwrap();
    let mut command = example("operator_reply");
    (Server::start_with(command.args(["--listen", "127.0.0.1:0"]).stdin(keyboard)), typist)
}

#[test]
fn an_answer_goes_to_the_client_that_has_asked() {
    let (mut server, mut typist) = operated();
    let mut clients: Vec<_> = (0..5).map(|_| server.connect()).collect();
    // A silent client blocks no other.
    for (number, client) in clients.iter_mut().enumerate().skip(1) {
        client.write_all(format!("question {number}").as_bytes()).unwrap(); // in one piece
        let prompt = if number > 1 { ">>> " } else { "" };
        assert_eq!(server.next_line(), format!("{prompt}question {number}\n"));
        writeln!(typist, "answer {number}").unwrap();
        assert_eq!(rest(client), format!("answer {number}").as_bytes());
    }
    server.stop(Signal::TERM).assert_graceful();
}

#[test]
fn two_clients_that_ask_at_once_get_their_own_answers() {
    let (mut server, mut typist) = operated();
    let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        write!(client, "{number}").unwrap();
    }
    let mut asked = Vec::new();
    for turn in 0..clients.len() {
        let line = server.next_line();
        let question = if turn > 0 { line.strip_prefix(">>> ").unwrap() } else { &line };
        asked.push(question.trim_end().to_string());
        writeln!(typist, "answer to {}", question.trim_end()).unwrap();
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(rest(client), format!("answer to {number}").as_bytes());
    }
    asked.sort();
    assert_eq!(asked, ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[test]
fn an_empty_line_and_the_end_of_all_lines_are_no_answers() {
    let (mut server, mut typist) = operated();
    let mut client = server.connect();
    client.write_all(b"\xFF").unwrap(); // not UTF-8
    assert_eq!(server.next_line(), "\u{FFFD}\n");
    writeln!(typist).unwrap();
    assert_eq!(rest(&mut client), b"");

    drop(typist);
    for _ in 0..2 {
        let mut client = server.connect();
        client.write_all(b"hello?").unwrap();
        assert_eq!(rest(&mut client), b"");
    }
    server.stop(Signal::TERM).assert_graceful();
}

#[test]
fn the_shutdown_does_not_wait_for_the_operator() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut server, _typist) = operated();
        let _silent = server.connect();
        let mut client = server.connect();
        client.write_all(b"hello?").unwrap();
        assert_eq!(server.next_line(), "hello?\n");
        server.stop(signal).assert_graceful();
    }
}

#[test]
fn hostile_clients_of_the_operator_harm_no_other() {
    // The input has ended: clients are closed without an answer.
    fn assert_let_go(client: &mut TcpStream) {
        client.write_all(b"hello").unwrap();
        assert_eq!(rest(client), b"");
    }
    let subject = Subject { name: "operator_reply", arguments: &[], assert_served: assert_let_go };
    requests::hostile_clients_harm_no_other(&[subject]);
}
