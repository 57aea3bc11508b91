//! `proxy`: what passes, what fails, and what stops, on every backend and trigger; beside `haproxy` and
//! `socat` where they are installed.

mod others;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::example::{Server, arguments, example, on_every_backend, run};
use support::protocols::proxy_flow::{Flow, MOST_ON_THE_WAY};
use support::protocols::proxy_header::{Ends, MAX_BINARY, MAX_LINE, Version, parse, write};
use support::sockets::reset;
use support::{LONG, await_that, known_bytes, pattern};
use tripoll::sys::{PollFd, PollFlags, poll};
use tripoll::{Backend, Trigger};

use crate::hostile::{self, Subject};

/// The address of an echo whose calls block: it reads nothing while it writes.
fn echo() -> &'static str {
    static ECHO: LazyLock<String> = LazyLock::new(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for client in listener.incoming() {
                thread::spawn(|| send_back(client.unwrap()));
            }
        });
        address
    });
    &ECHO
}

fn send_back(mut client: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        if client.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

fn start(backend: Backend, trigger: Trigger, to: &str, more: &[&str]) -> Server {
    let mut command = example("proxy");
    command.args(arguments("127.0.0.1:0", backend, trigger)).args(["--to", to]).args(more);
    Server::start_with(&mut command)
}

/// A listener of the test, which is proxied to.
fn upstream() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

fn accept(listener: &TcpListener) -> TcpStream {
    let mut fds = [PollFd::new(listener.as_raw_fd(), PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(LONG)).unwrap(), 1, "it does not connect");
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.set_write_timeout(Some(LONG)).unwrap();
    stream
}

/// An address where nothing listens.
fn refusing() -> String {
    upstream().1
}

fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    all
}

#[track_caller]
fn assert_reset(stream: &mut TcpStream) {
    let error = stream.read(&mut [0; 100]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

// The header, without sockets.

fn ends(source: &str, destination: &str) -> Option<Ends> {
    let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
    Some(Ends { source: parse(source), destination: parse(destination) })
}

#[test]
fn a_header_that_is_written_is_parsed_to_the_same_however_it_is_cut() {
    for ends in [
        ends("1.2.3.4:5", "255.255.255.255:65535"),
        ends("[::1]:80", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
        None,
    ] {
        for version in [Version::V1, Version::V2] {
            let mut header = write(version, ends);
            let length = header.len();
            for cut in 0..length {
                assert_eq!(parse(&header[..cut]), Ok(None), "{cut} bytes of {header:?}");
            }
            assert_eq!(parse(&header), Ok(Some((length, ends))));
            header.extend_from_slice(b"GET / HTTP/1.1\r\n");
            assert_eq!(parse(&header), Ok(Some((length, ends))));
        }
    }
    let mixed = ends("1.2.3.4:5", "[::1]:6");
    assert_eq!(write(Version::V1, mixed), b"PROXY UNKNOWN\r\n");
    assert_eq!(
        write(Version::V1, ends("1.2.3.4:5", "6.7.8.9:10")),
        b"PROXY TCP4 1.2.3.4 6.7.8.9 5 10\r\n"
    );
}

#[test]
fn what_is_no_header_is_refused_as_soon_as_that_is_known() {
    let long_line = format!("PROXY UNKNOWN {}", "x".repeat(MAX_LINE));
    let mut binary = write(Version::V2, None);
    binary[14..].copy_from_slice(&(MAX_BINARY as u16).to_be_bytes());
    let mut datagram = write(Version::V2, ends("1.2.3.4:5", "6.7.8.9:10"));
    datagram[13] = 0x12;
    for (bytes, reason) in [
        (&b"G"[..], "other bytes"),
        (b"PROXX", "other bytes"),
        (b"\r\n\r\n\0\r\nQUIX", "other bytes"),
        (long_line.as_bytes(), "longer than 107 bytes"),
        (&binary, "above the limit of 2048"),
        (&datagram, "datagram"),
        (b"PROXY TCP4 1.2.3.4 6.7.8.9 +5 10\r\n", "sign"),
        (b"PROXY TCP4 1.2.3.4 6.7.8.9 05 10\r\n", "port"),
        (b"PROXY TCP4 1.2.3.4 6.7.8.9 5 65536\r\n", "port"),
        (b"PROXY TCP4 1.2.3.4 ::1 5 10\r\n", "address"),
        (b"PROXY TCP4 1.2.3.4\r\n", ""),
        (b"PROXY UDP4 1.2.3.4 6.7.8.9 5 10\r\n", ""),
    ] {
        let error = parse(bytes).expect_err(&bytes.escape_ascii().to_string()).to_string();
        assert!(error.starts_with("no header of the PROXY protocol: "), "{error}");
        assert!(error.contains(reason), "{error:?} has no {reason:?}");
    }
    let mut local = write(Version::V2, ends("1.2.3.4:5", "6.7.8.9:10"));
    local[12] = 0x20;
    assert_eq!(parse(&local), Ok(Some((local.len(), None))), "a health check has no client");
}

// Back-pressure, without sockets.

#[test]
fn a_side_pauses_with_much_on_the_way_and_resumes_when_all_is_written() {
    let mut flow = Flow::default();
    assert!(!flow.receive(MOST_ON_THE_WAY - 1));
    assert!(flow.receive(1));
    assert!(!flow.write(1, true), "there is more on the way");
    assert!(flow.write(MOST_ON_THE_WAY - 1, true));
    assert!(!flow.receive(1));
    assert!(!flow.write(1, true), "it is not paused");
}

#[test]
fn a_side_pauses_while_the_other_one_has_no_room() {
    let mut flow = Flow::default();
    assert!(!flow.receive(1));
    assert!(!flow.write(1, false), "it may receive once more");
    assert!(flow.receive(1));
    assert!(!flow.unblock(), "there is more on the way");
    assert!(flow.write(1, true));

    assert!(!flow.receive(1));
    assert!(!flow.write(1, false));
    assert!(flow.receive(1));
    assert!(!flow.write(1, false));
    assert!(flow.unblock());
    assert!(!flow.unblock(), "once");
}

// What passes.

/// Sends 64 MiB, and reads what comes back at the same time.
#[track_caller]
fn assert_64_mib_come_back(client: TcpStream) {
    let half = pattern(32 << 20);
    let mut writer = client.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            writer.write_all(half).unwrap();
            writer.write_all(half).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let (mut reader, mut buffer, mut count) = (client, vec![0; 64 << 10], 0);
        loop {
            let length = reader.read(&mut buffer).unwrap();
            if length == 0 {
                break;
            }
            let first = length.min(half.len() - count % half.len());
            assert!(buffer[..first] == half[count % half.len()..][..first], "after {count} bytes");
            assert!(buffer[first..length] == half[..length - first], "after {count} bytes");
            count += length;
        }
        assert_eq!(count, 2 * half.len());
    });
}

#[test]
fn much_passes_both_ways_to_an_echo_that_blocks_in_bounded_memory() {
    on_every_backend(|backend, trigger| {
        let mut server = start(backend, trigger, echo(), &[]);
        let before = server.memory();
        assert_64_mib_come_back(server.connect());
        let grown = server.memory().saturating_sub(before);
        assert!(grown < 8 << 10, "{grown} KiB more");
        await_that("it closes", || server.fds() == server.fds_at_start);
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn a_half_close_passes_and_the_other_direction_goes_on() {
    on_every_backend(|backend, trigger| {
        let (listener, to) = upstream();
        let mut server = start(backend, trigger, &to, &[]);
        let mut client = server.connect();
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut upstream = accept(&listener);
        assert_eq!(read_all(&mut upstream), b"question");
        upstream.write_all(b"ans").unwrap();
        let mut answer = [0; 3];
        client.read_exact(&mut answer).unwrap();
        upstream.write_all(b"wer").unwrap();
        drop(upstream);
        assert_eq!(read_all(&mut client), b"wer");
        await_that("it closes", || server.fds() == server.fds_at_start);

        // The server may be the first to finish.
        let mut client = server.connect();
        let mut upstream = accept(&listener);
        upstream.write_all(b"hello").unwrap();
        upstream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&mut client), b"hello");
        client.write_all(b"still here").unwrap();
        drop(client);
        assert_eq!(read_all(&mut upstream), b"still here");
        await_that("it closes", || server.fds() == server.fds_at_start);
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn a_reset_passes_in_both_directions() {
    on_every_backend(|backend, trigger| {
        let (listener, to) = upstream();
        let mut server = start(backend, trigger, &to, &[]);
        let mut client = server.connect();
        client.write_all(b"x").unwrap();
        let mut upstream = accept(&listener);
        upstream.read_exact(&mut [0]).unwrap();
        reset(upstream);
        assert_reset(&mut client);

        let mut client = server.connect();
        client.write_all(b"x").unwrap();
        let mut upstream = accept(&listener);
        upstream.read_exact(&mut [0]).unwrap();
        reset(client);
        assert_reset(&mut upstream);
        await_that("it closes", || server.fds() == server.fds_at_start);
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn a_peer_that_stops_reading_stops_the_other_one_and_loses_nothing() {
    on_every_backend(|backend, trigger| {
        let (listener, to) = upstream();
        let mut server = start(backend, trigger, &to, &[]);
        let before = server.memory();
        let mut client = server.connect();
        let mut upstream = accept(&listener);
        // Neither reads, and both send.
        hostile::fill(&mut client);
        hostile::fill(&mut upstream);
        assert_64_kib_come_back(server.connect(), &listener);
        let grown = server.memory().saturating_sub(before);
        assert!(grown < 4 << 10, "{grown} KiB more");
        assert_rests(&server);

        // Now both read.
        for stream in [&client, &upstream] {
            stream.shutdown(Shutdown::Write).unwrap();
        }
        thread::scope(|scope| {
            for stream in [&mut client, &mut upstream] {
                scope.spawn(move || {
                    let received = read_all(stream);
                    // `fill` sends parts of the pattern, each from its beginning.
                    assert!(received.len() > 64 << 10 && received.starts_with(pattern(64 << 10)));
                });
            }
        });
        await_that("it closes", || server.fds() == server.fds_at_start);
        server.stop(Signal::TERM).assert_graceful();
    });
}

/// Asserts that it does not spin. Now and then the kernel moves some bytes of a full connection.
fn assert_rests(server: &Server) {
    let (sleeps, ticks) = (server.sleeps(), server.cpu_ticks());
    thread::sleep(Duration::from_millis(300)); // time to spin, if it does
    let (sleeps, ticks) = (server.sleeps() - sleeps, server.cpu_ticks() - ticks);
    assert!(sleeps <= 10 && ticks <= 2, "{sleeps} sleeps, {ticks} hundredths of a second");
}

fn assert_64_kib_come_back(mut client: TcpStream, listener: &TcpListener) {
    let bytes = known_bytes(1, 64 << 10);
    thread::scope(|scope| {
        scope.spawn(|| send_back(accept(listener)));
        client.write_all(&bytes).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert!(read_all(&mut client) == bytes);
    });
}

// Connecting.

#[test]
fn the_next_address_is_tried_when_one_refuses() {
    on_every_backend(|backend, trigger| {
        let name = echo().replace("127.0.0.1", "localhost");
        for to in [
            format!("{},/no/such/socket,{}", refusing(), echo()),
            format!("{},{name}", refusing()),
            format!("no-such-host.invalid:1,{name},{}", refusing()),
        ] {
            let mut server = start(backend, trigger, &to, &[]);
            let mut client = server.connect();
            client.write_all(b"early").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(read_all(&mut client), b"early", "{to}");
            assert_eq!(server.stop(Signal::TERM).status.code(), Some(0));
        }
    });
}

#[test]
fn an_address_that_does_not_answer_is_left_after_the_time_limit() {
    on_every_backend(|backend, trigger| {
        // Its backlog is full: the kernel drops what comes.
        let silent = support::sockets::Silent::new();
        let to = format!("{},{}", silent.address, echo());
        let mut server = start(backend, trigger, &to, &["--connect-timeout", "0.3"]);
        let mut client = server.connect();
        client.write_all(b"x").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&mut client), b"x");
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn a_client_that_cannot_be_connected_is_reset_and_the_log_says_why() {
    on_every_backend(|backend, trigger| {
        let to = refusing();
        let mut server = start(backend, trigger, &to, &[]);
        for _ in 0..3 {
            assert_reset(&mut server.connect());
        }
        let stopped = server.stop(Signal::TERM);
        assert_eq!(stopped.status.code(), Some(0));
        assert!(stopped.log[0].contains("a client was not connected: "), "{stopped:?}");
        assert!(stopped.log[0].contains(&to), "{stopped:?}");
        assert_eq!(stopped.log.len(), 1, "once a second: {stopped:?}");
    });
}

#[test]
fn a_client_that_leaves_cancels_its_connect() {
    on_every_backend(|backend, trigger| {
        let silent = support::sockets::Silent::new();
        let mut server = start(backend, trigger, &silent.address.to_string(), &[]);
        let client = server.connect();
        await_that("it connects", || server.fds() > server.fds_at_start + 1);
        reset(client);
        if backend != Backend::Select {
            // `select` reports no reset while nothing is read.
            await_that("it closes", || server.fds() == server.fds_at_start);
        }
        let _waiting = server.connect();
        server.stop(Signal::TERM).assert_graceful();
    });
}

// The PROXY protocol.

#[test]
fn a_header_goes_out_and_comes_in() {
    on_every_backend(|backend, trigger| {
        let (listener, to) = upstream();
        for version in ["v1", "v2"] {
            // Two proxies: what the first one writes, the second one reads, and writes again.
            let mut second = start(backend, trigger, &to, &["--proxy-in", "--proxy-out", "v1"]);
            let mut first = start(backend, trigger, &second.address, &["--proxy-out", version]);
            let mut client = first.connect();
            let (source, destination) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
            client.write_all(b"hello").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut upstream = accept(&listener);
            let received = read_all(&mut upstream);
            let expected = write(Version::V1, Some(Ends { source, destination }));
            assert_eq!(received, [&expected[..], b"hello"].concat(), "{}", received.escape_ascii());
            upstream.write_all(b"welcome").unwrap();
            drop(upstream);
            assert_eq!(read_all(&mut client), b"welcome");
            first.stop(Signal::TERM).assert_graceful();
            second.stop(Signal::TERM).assert_graceful();
        }
    });
}

#[test]
fn a_client_without_its_header_is_closed() {
    on_every_backend(|backend, trigger| {
        let (listener, to) = upstream();
        listener.set_nonblocking(true).unwrap();
        let limits = ["--proxy-in", "--connect-timeout", "0.3"];
        let mut server = start(backend, trigger, &to, &limits);
        for beginning in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"PROXY TCP4 1.2.3.4", b""] {
            let mut client = server.connect();
            client.write_all(beginning).unwrap();
            hostile::assert_ends(client);
        }
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(server.stop(Signal::TERM).status.code(), Some(0));
    });
}

// Limits.

#[test]
fn both_sides_are_closed_when_no_byte_passes() {
    on_every_backend(|backend, trigger| {
        let (listener, to) = upstream();
        let mut server = start(backend, trigger, &to, &["--idle", "0.5"]);
        let mut client = server.connect();
        let mut upstream = accept(&listener);
        let start = Instant::now();
        for _ in 0..7 {
            client.write_all(b"x").unwrap();
            upstream.read_exact(&mut [0]).unwrap();
            thread::sleep(Duration::from_millis(100)); // longer together than the limit
        }
        assert!(start.elapsed() > Duration::from_millis(600));
        hostile::assert_ends(client);
        hostile::assert_ends(upstream);
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn clients_above_the_limit_wait() {
    on_every_backend(|backend, trigger| {
        let mut server = start(backend, trigger, echo(), &["--max-connections", "1"]);
        let (mut first, mut second) = (server.connect(), server.connect());
        second.write_all(b"second").unwrap();
        assert_served(&mut first);
        second.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert_eq!(second.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(first);
        second.set_read_timeout(Some(LONG)).unwrap();
        let mut answer = [0; 6];
        second.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"second");
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn what_was_received_before_a_signal_is_passed_on() {
    on_every_backend(|backend, trigger| {
        let (listener, to) = upstream();
        let mut server = start(backend, trigger, &to, &[]);
        let mut client = server.connect();
        let mut upstream = accept(&listener);
        server.signal(Signal::STOP);
        client.write_all(pattern(100_000)).unwrap();
        server.signal(Signal::TERM);
        server.signal(Signal::CONT);
        let received = read_all(&mut upstream);
        assert!(received == pattern(100_000), "{} bytes", received.len());
        drop((client, upstream));
        server.end().assert_graceful();
    });
}

#[test]
fn wrong_addresses_and_versions_are_refused() {
    for arguments in [["--to", "127.0.0.1"], ["--to", "a:b"], ["--to", ""], ["--proxy-out", "v3"]] {
        let output = run("proxy", &["--listen", "127.0.0.1:0", arguments[0], arguments[1]]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.lines().count() == 1 && said.contains(arguments[0]), "{said}");
    }
}

// Beside other proxies.

fn proxy() -> Subject {
    static ARGUMENTS: LazyLock<[&str; 2]> = LazyLock::new(|| ["--to", echo()]);
    Subject { name: "proxy", arguments: &*ARGUMENTS, assert_served }
}

fn assert_served(client: &mut TcpStream) {
    client.write_all(b"hello").unwrap();
    let mut answer = [0; 5];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
}

#[test]
fn clients_that_leave_leave_nothing_behind() {
    hostile::clients_that_leave_leave_nothing_behind(proxy());
}

#[test]
fn a_signal_ends_it_with_clients_connected() {
    hostile::a_signal_ends_it_with_clients_connected(proxy());
}

#[test]
fn without_descriptors_it_waits_and_goes_on_later() {
    hostile::without_descriptors_it_waits_and_goes_on_later(proxy());
}
