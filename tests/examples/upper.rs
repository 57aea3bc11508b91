//! `upper_once` and `upper_loop`, and hostile clients.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::hostile::Subject;
use crate::requests;
use rustix::process::Signal;
use support::example::{Server, example};
use support::pattern;
use support::sockets::reset;

const UPPER_ONCE: Subject =
    Subject { name: "upper_once", arguments: &[], assert_served: assert_once };
const UPPER_LOOP: Subject =
    Subject { name: "upper_loop", arguments: &[], assert_served: assert_again_and_again };

fn assert_once(client: &mut TcpStream) {
    client.write_all(b"hello").unwrap();
    assert_eq!(rest(client), b"HELLO");
}

fn assert_again_and_again(client: &mut TcpStream) {
    for _ in 0..3 {
        let mut answer = [0; 5];
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HELLO");
    }
}

fn rest(client: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    rest
}

fn start(name: &str) -> Server {
    Server::start_with(example(name).args(["--listen", "127.0.0.1:0"]))
}

#[test]
fn once_a_message_is_stripped_and_put_in_capitals() {
    let mut server = start("upper_once");
    let cases: [(&[u8], &[u8], &str); 6] = [
        (b"hello\n", b"HELLO", "hello"),
        (b"\t\n\x0B\x0C\r a B\x0Bc \r\x0C\x0B\n\t", b"A B\x0BC", "a B\\x0bc"),
        (b" \t\n\x0B\x0C\r", b"", ""),
        (b"", b"", ""),
        ("straße".as_bytes(), "STRAßE".as_bytes(), "stra\\xc3\\x9fe"), // ASCII alone has capitals
        (b"\xFFz{\x00", b"\xFFZ{\x00", "\\xffz{\\x00"),
    ];
    for (sent, answer, shown) in cases {
        let mut client = server.connect();
        client.write_all(sent).unwrap();
        if sent.is_empty() {
            client.shutdown(Shutdown::Write).unwrap();
        }
        assert_eq!(rest(&mut client), answer, "to {}", sent.escape_ascii());
        assert_eq!(server.next_line(), "127.0.0.1 wrote:\n");
        assert_eq!(server.next_line(), format!("{shown}\n"));
    }
    server.stop(Signal::TERM).assert_graceful();
}

#[test]
fn once_is_one_recv_and_what_is_too_long_is_no_reset() {
    requests::on_each(&[UPPER_ONCE], |_, server| {
        let mut client = server.connect();
        client.write_all(&[b'x'; 200_000]).unwrap();
        let answer = rest(&mut client); // all of it, and the end
        assert!((1..=1024).contains(&answer.len()) && answer.iter().all(|&byte| byte == b'X'));
    });
}

#[test]
fn message_after_message_comes_back_in_capitals() {
    let mut server = start("upper_loop");
    let mut client = server.connect();
    let from = client.local_addr().unwrap();
    for (sent, answer, shown) in [
        (&b"hello"[..], &b"HELLO"[..], "hello"),
        ("你好".as_bytes(), "你好".as_bytes(), "你好"),
        (b"\xE4\xBD", b"\xE4\xBD", "\u{FFFD}"), // half a character is answered as well
        (b" x ", b" X ", " x "),
    ] {
        client.write_all(sent).unwrap();
        let mut received = vec![0; answer.len()];
        client.read_exact(&mut received).unwrap();
        assert_eq!(received, answer);
        assert_eq!(server.next_line(), format!("{from}: {shown}\n"));
    }
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut client), b"");

    // A reset is printed, and ends this connection alone.
    let mut client = server.connect();
    client.write_all(b"x").unwrap();
    client.read_exact(&mut [0]).unwrap();
    server.next_line();
    reset(client);
    assert_eq!(server.next_line(), "出错了\n");
    server.stop(Signal::TERM).assert_graceful();
}

#[test]
fn a_mebibyte_in_one_go_comes_back_in_capitals() {
    requests::on_each(&[UPPER_LOOP], |_, mut server| {
        let sent = pattern(1 << 20);
        let mut client = server.connect();
        let mut writer = client.try_clone().unwrap();
        let answer = std::thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(sent).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            rest(&mut client)
        });
        assert!(answer == sent.to_ascii_uppercase(), "{} bytes came back", answer.len());
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn hostile_clients_harm_no_other() {
    requests::hostile_clients_harm_no_other(&[UPPER_ONCE, UPPER_LOOP]);
}

#[test]
fn the_clients_are_answered() {
    let server = start("upper_once");
    let output = support::example::run("client", &["upper", "--connect", &server.address]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(str::from_utf8(&output.stdout), Ok("Sent: hello\nReceived: HELLO\n"));

    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let mut server = start("upper_loop");
    server.let_it_talk();
    let mut client = example("client");
    client.args(["upper", "--forever", "--connect", &server.address]);
    let mut child = client.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..100 {
        assert_eq!(said.next().unwrap().unwrap(), "你好");
    }
    // It ends when the server does.
    let stopped = std::thread::scope(|scope| {
        let rest = scope.spawn(move || said.count());
        let stopped = server.stop(Signal::TERM);
        rest.join().unwrap();
        stopped
    });
    requests::assert_in_order(&stopped);
    child.wait().unwrap();
}
