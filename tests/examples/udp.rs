//! `udp_sink`: datagrams that are shown, and with `--reply` sent back.

use std::net::UdpSocket;

use crate::hostile::assert_idle;
use rustix::process::Signal;
use support::example::{Server, example, on_every_backend, run};
use support::{LONG, await_that, pattern};

fn start(arguments: &[&str]) -> Server {
    Server::start_with(example("udp_sink").args(["--listen", "127.0.0.1:0"]).args(arguments))
}

fn client(server: &Server) -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(&server.address).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    client
}

fn ask(client: &UdpSocket, data: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    client.send(data).unwrap();
    let count = client.recv(&mut buffer).unwrap();
    buffer.truncate(count);
    buffer
}

#[test]
fn a_datagram_is_shown_and_not_answered() {
    let mut server = start(&[]);
    let client = client(&server);
    let (from, to) = (client.local_addr().unwrap(), server.address.clone());
    for (sent, shown) in [(&b"123123"[..], "123123"), (b"", ""), (b"a\n\xFF", "a\\n\\xff")] {
        client.send(sent).unwrap();
        assert_eq!(server.next_line(), format!("{from} to {to}: {shown}\n"));
    }
    client.set_nonblocking(true).unwrap();
    client.recv(&mut [0]).unwrap_err();
    server.stop(Signal::TERM).assert_graceful();
}

#[test]
fn with_reply_a_datagram_comes_back() {
    on_every_backend(|backend, trigger| {
        let arguments = ["--reply", "--backend", backend.name(), "--trigger", &trigger.to_string()];
        let mut server = start(&arguments);
        server.let_it_talk();
        let clients = [client(&server), client(&server)];
        for client in &clients {
            assert_eq!(ask(client, b"123123"), b"123123");
            assert_eq!(ask(client, b""), b"", "an empty datagram is one too");
            assert_eq!(ask(client, pattern(8_192)), pattern(8_192));
            client.send(pattern(8_193)).unwrap();
            assert_eq!(ask(client, b"next"), b"next", "a part of a longer one came back");
        }
        assert_idle(&server);
        server.stop(Signal::INT).assert_graceful();
    });
}

#[test]
fn a_truncated_datagram_is_shown_to_be() {
    let mut server = start(&[]);
    client(&server).send(&[b'x'; 8_200]).unwrap();
    let line = server.next_line();
    assert!(line.ends_with("x (and more, which is lost)\n"), "{}", &line[line.len() - 40..]);
}

/// A thousand in groups that are small enough for the kernel's buffer.
#[test]
fn a_thousand_datagrams_are_answered_and_leave_no_thread() {
    const GROUP: usize = 20;
    let mut server = start(&["--reply"]);
    server.let_it_talk();
    let client = client(&server);
    assert_eq!(ask(&client, b"first"), b"first");
    await_that("the thread ends", || server.threads() == 1);
    let fds = server.fds();
    for _ in 0..1_000 / GROUP {
        let mut answers: Vec<usize> = Vec::new();
        for number in 0..GROUP {
            client.send(&number.to_ne_bytes()).unwrap();
        }
        for _ in 0..GROUP {
            let mut answer = [0; size_of::<usize>()];
            client.recv(&mut answer).unwrap();
            answers.push(usize::from_ne_bytes(answer));
        }
        answers.sort_unstable(); // each has a thread of its own, so any order will do
        assert!(answers.into_iter().eq(0..GROUP));
    }
    await_that("the threads end", || server.threads() == 1 && server.fds() == fds);
    server.stop(Signal::TERM).assert_graceful();
}

#[test]
fn a_client_that_has_left_before_its_answer_harms_no_other() {
    let mut server = start(&["--reply"]);
    server.let_it_talk();
    server.signal(Signal::STOP);
    for _ in 0..20 {
        client(&server).send(b"farewell").unwrap();
    }
    server.signal(Signal::CONT);
    assert_eq!(ask(&client(&server), b"hello"), b"hello");
    server.stop(Signal::TERM).assert_graceful();
}

#[test]
fn the_client_is_answered_or_gives_up() {
    let server = start(&["--reply"]);
    let output = run("client", &["udp", "--connect", &server.address]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"123123\n");

    let server = start(&[]);
    let output = run("client", &["udp", "--connect", &server.address]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("has not answered") && said.lines().count() == 1, "{said}");

    // No server has this port.
    drop(server);
    let unused = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = unused.local_addr().unwrap().to_string();
    drop(unused);
    let output = run("client", &["udp", "--connect", &address]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}
