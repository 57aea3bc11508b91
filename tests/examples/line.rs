//! CPython's own test program, `readline` and `write`, on all four transports and with each
//! `--concurrency`.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{fs, thread};

use crate::requests::{self, CONCURRENCIES, each};
use rustix::process::Signal;
use support::example::{Server, example, on_every_backend, run};
use support::{LONG, pattern};

fn assert_served(client: &mut TcpStream) {
    assert_eq!(ask(client, b"hello world\n"), b"hello world\n");
}

/// Returns all that comes back.
fn ask(client: &mut (impl Read + Write), question: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    client.write_all(question).unwrap();
    client.read_to_end(&mut answer).unwrap();
    answer
}

/// Returns a path for each server.
fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("tripoll-line-{name}-{}", std::process::id()))
}

fn start(name: &str, address: &str, concurrency: &str) -> Server {
    let mut command = example(name);
    Server::start_with(command.args(["--listen", address, "--concurrency", concurrency]))
}

#[test]
fn over_tcp_a_line_comes_back() {
    requests::on_each(&each("line_tcp", assert_served), |subject, mut server| {
        subject.assert_serves(&server);
        for line in [&b"\n"[..], b"a\0\xFF\n", &[&[b'x'; 20_000][..], b"\n"].concat()] {
            assert_eq!(ask(&mut server.connect(), line), line);
        }
        // One line, and more data after it.
        assert_eq!(ask(&mut server.connect(), b"one\ntwo\nthree"), b"one\n");
        // Piece by piece.
        let mut client = server.connect();
        for byte in b"piece by piec" {
            client.write_all(&[*byte]).unwrap();
        }
        assert_eq!(ask(&mut client, b"e\n"), b"piece by piece\n");
        // The last line may have no newline, and may be empty.
        for rest in [&b"no end"[..], b""] {
            let mut client = server.connect();
            client.write_all(rest).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(ask(&mut client, b""), rest);
        }
        server.stop(Signal::TERM).assert_graceful();
    });
}

/// The longest line, as the help says.
const LONGEST: usize = 1 << 20;

/// Asks for a line of which the server may read a part only.
fn ask_for_long(mut client: TcpStream, line: &[u8]) -> Vec<u8> {
    let mut writer = client.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            let _ = writer.write_all(line); // the server may close before
            let _ = writer.shutdown(Shutdown::Write);
        });
        let mut answer = Vec::new();
        // With a part of it unread, the end may be a reset.
        let _ = client.read_to_end(&mut answer);
        answer
    })
}

#[test]
fn a_long_line_comes_back_whole_or_is_an_error() {
    requests::on_each(&each("line_tcp", assert_served), |subject, mut server| {
        for length in [65_535, 65_536, 65_537, 100_000, LONGEST] {
            let line = [vec![b'x'; length - 1], b"\n".to_vec()].concat();
            let answer = ask_for_long(server.connect(), &line);
            assert!(answer == line, "{} bytes of {length} came back", answer.len());
        }
        let too_long = [vec![b'x'; LONGEST], b"\n".to_vec()].concat();
        assert_eq!(ask_for_long(server.connect(), &too_long), b"", "a part came back");
        subject.assert_serves(&server);
        let stopped = server.stop(Signal::TERM);
        let told = stopped.log.iter().filter(|line| line.contains("longer than 1048576 bytes"));
        assert_eq!(told.count(), 1, "{stopped:?}");
    });
}

#[test]
fn the_help_states_the_longest_line() {
    for (name, bound) in [
        ("line_tcp", "1 MiB"),
        ("line_unix", "1 MiB"),
        ("line_udp", "8,192 bytes"),
        ("line_unixgram", "8,192 bytes"),
        ("broadcast", "1 MiB"),
        ("upper_once", "1,024 bytes"),
        ("udp_sink", "8,192 bytes"),
        ("image", "256 MiB"),
    ] {
        let help = crate::help::help(name).replace('\n', " ");
        assert!(help.contains(bound), "{name}: {help}");
    }
}

#[test]
fn hostile_clients_harm_no_other() {
    requests::hostile_clients_harm_no_other(&each("line_tcp", assert_served));
}

#[test]
fn over_tcp_with_ipv6() {
    for concurrency in CONCURRENCIES {
        let mut server = start("line_tcp", "[::1]:0", concurrency);
        assert_served(&mut server.connect());
        server.stop(Signal::TERM).assert_graceful();
    }
}

#[test]
fn through_a_unix_socket_a_line_comes_back() {
    for concurrency in CONCURRENCIES {
        let path = path(&format!("unix-{concurrency}"));
        let mut server = start("line_unix", path.to_str().unwrap(), concurrency);
        assert_eq!(Path::new(&server.address), path);
        for line in [&b"hello world\n"[..], b"\n", &[&[b'x'; 20_000][..], b"\n"].concat()] {
            let mut client = UnixStream::connect(&path).unwrap();
            client.set_read_timeout(Some(LONG)).unwrap();
            assert_eq!(ask(&mut client, line), line, "{concurrency}");
        }
        let mut silent = UnixStream::connect(&path).unwrap();
        silent.set_read_timeout(Some(LONG)).unwrap();
        requests::assert_in_order(&server.stop(Signal::TERM));
        let _ = silent.read(&mut [0]); // the end, or a reset: it may not have been accepted
        assert!(!path.exists(), "{concurrency}");
    }
}

#[test]
fn datagrams_come_back_over_udp() {
    for concurrency in CONCURRENCIES {
        let mut server = start("line_udp", "127.0.0.1:0", concurrency);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(&server.address).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        assert_datagrams(concurrency, |sent, buffer| {
            client.send(sent).unwrap();
            client.recv(buffer).unwrap()
        });
        // A client that has left is not an error of the server.
        drop(client);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(&server.address).unwrap();
        client.send(b"farewell\n").unwrap();
        drop(client);
        requests::assert_in_order(&server.stop(Signal::TERM));
    }
}

#[test]
fn datagrams_come_back_through_a_unix_socket() {
    for concurrency in CONCURRENCIES {
        let path = path(&format!("unixgram-{concurrency}"));
        let name = path.with_extension("client");
        let mut server = start("line_unixgram", path.to_str().unwrap(), concurrency);
        let client = UnixDatagram::bind(&name).unwrap();
        client.connect(&path).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        assert_datagrams(concurrency, |sent, buffer| {
            client.send(sent).unwrap();
            client.recv(buffer).unwrap()
        });
        // A client without a name cannot be answered, and harms no other.
        let nameless = UnixDatagram::unbound().unwrap();
        nameless.send_to(b"who am I?\n", &path).unwrap();
        client.send(b"hello\n").unwrap();
        let mut buffer = [0; 64];
        let count = client.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"hello\n", "{concurrency}");
        requests::assert_in_order(&server.stop(Signal::TERM));
        assert!(!path.exists(), "{concurrency}");
        fs::remove_file(&name).unwrap();
    }
}

#[test]
fn the_client_connects_to_paths_and_names() {
    let path = path("client");
    let path = path.to_str().unwrap();
    let name = format!("@tripoll-line-{}", std::process::id());
    for address in [path, &name] {
        let server = start("line_unix", address, "inline");
        let mut client = example("client");
        client.args(["chat", "--connect", &server.address]);
        let mut child = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"hello world\n").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(str::from_utf8(&output.stdout), Ok("hello world\n"));
        drop(server);
        let _ = fs::remove_file(path); // it was killed

        let _server = start("line_unixgram", address, "inline");
        let output = run("client", &["udp", "--connect", address]);
        assert_eq!(str::from_utf8(&output.stdout), Ok("123123\n"), "{output:?}");
        let _ = fs::remove_file(path);
    }
    let output = run("client", &["chat", "--connect", path]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(path) && said.lines().count() == 1, "{said}");
}

/// Through a Unix socket a full receiver blocks the sender: for ever, if the send has no timeout.
#[test]
fn a_client_that_does_not_read_its_datagrams_blocks_no_other() {
    for concurrency in CONCURRENCIES {
        on_every_backend(|backend, trigger| {
            let path = path(&format!("full-{concurrency}-{backend}-{trigger}"));
            let arguments = support::example::arguments(path.to_str().unwrap(), backend, trigger);
            let mut command = example("line_unixgram");
            command.args(arguments).args(["--concurrency", concurrency]);
            let mut server = Server::start_with(&mut command);

            let names = [path.with_extension("full"), path.with_extension("client")];
            let [full, client] = names.each_ref().map(|name| UnixDatagram::bind(name).unwrap());
            let ask = |asker: &UnixDatagram, times| {
                for _ in 0..times {
                    asker.send_to(b"hello\n", &path).unwrap();
                }
            };
            full.set_write_timeout(Some(LONG)).unwrap();
            ask(&full, 30); // the kernel keeps some ten answers for it
            client.set_write_timeout(Some(LONG)).unwrap();
            ask(&client, 1);
            client.set_read_timeout(Some(LONG)).unwrap();
            assert_eq!(client.recv(&mut [0; 64]).unwrap(), 6, "{concurrency}");
            ask(&full, 10);
            requests::assert_in_order(&server.stop(Signal::TERM));
            names.iter().for_each(|name| fs::remove_file(name).unwrap());
        });
    }
}

/// Asserts that the first line of each datagram comes back, and an empty datagram for an empty one.
fn assert_datagrams(concurrency: &str, exchange: impl Fn(&[u8], &mut [u8]) -> usize) {
    let mut buffer = vec![0; 65_536];
    for (sent, answer) in [
        (&b"hello world\n"[..], &b"hello world\n"[..]),
        (b"no end", b"no end"),
        (b"one\ntwo\n", b"one\n"),
        (b"", b""),
    ] {
        let count = exchange(sent, &mut buffer);
        assert_eq!(&buffer[..count], answer, "{concurrency}");
    }
    let mut long: Vec<_> = pattern(9_000).iter().map(|&byte| byte | 0x80).collect(); // no newline
    assert_eq!(exchange(&long, &mut buffer), 0, "{concurrency}: a part of a line came back");
    long[8_191] = b'\n';
    let count = exchange(&long, &mut buffer);
    assert!(buffer[..count] == long[..8_192], "{concurrency}: {count} bytes came back");
}

#[test]
fn an_address_of_another_kind_ends_it_with_one_line() {
    let path = path("none");
    let path = path.to_str().unwrap();
    for (name, address) in [
        ("line_tcp", path),
        ("line_udp", path),
        ("line_unix", "127.0.0.1:0"),
        ("line_unixgram", "127.0.0.1:0"),
    ] {
        let output = run(name, &["--listen", address]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(address) && said.lines().count() == 1, "{said}");
    }
}
