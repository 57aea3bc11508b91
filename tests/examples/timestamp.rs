//! `timestamp`, one client at a time and all at once, and hostile clients.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::hostile::{self, Subject, assert_ends, assert_idle, fill};
use chrono::{Local, NaiveDateTime};
use rustix::process::Signal;
use support::example::{Server, example, on_every_backend};
use support::sockets::reset;
use support::{await_that, pattern};

/// The server for all clients at once.
const TIMESTAMP: Subject =
    Subject { name: "timestamp", arguments: &["--concurrent"], assert_served };

/// Starts the tutorial's server.
fn one_at_a_time() -> Server {
    Server::start_with(example("timestamp").args(["--listen", "127.0.0.1:0"]))
}

const STAMP: usize = "[Sat Nov 21 07:28:12 2026] ".len();

fn assert_served(client: &mut TcpStream) {
    client.write_all("你好".as_bytes()).unwrap();
    assert_eq!(answer(client, "你好".len()), "你好");
}

/// Returns the text behind a stamp, which must be about now.
#[track_caller]
fn answer(client: &mut TcpStream, len: usize) -> String {
    let mut reply = vec![0; STAMP + len];
    client.read_exact(&mut reply).unwrap();
    let reply = String::from_utf8(reply).unwrap();
    let (stamp, text) = reply.split_at(STAMP);
    let time = stamp.strip_prefix('[').and_then(|rest| rest.strip_suffix("] ")).unwrap();
    let time = NaiveDateTime::parse_from_str(time, "%a %b %e %H:%M:%S %Y").unwrap();
    let age = Local::now().naive_local() - time;
    assert!((-1..60).contains(&age.num_seconds()), "{stamp} is {age} old");
    text.into()
}

/// Sends, half-closes, and returns all that comes back without the stamps. (They are recognised by
/// their form, which no message here has.)
fn exchange(mut client: TcpStream, sent: &[u8]) -> String {
    let mut writer = client.try_clone().unwrap();
    let mut received = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        client.read_to_end(&mut received).unwrap();
    });
    let received = String::from_utf8(received).expect("valid UTF-8");
    let pieces: Vec<_> = received.split('[').collect();
    let bodies = pieces[1..].iter().map(|piece| piece.split_at_checked(STAMP - 1).unwrap().1);
    assert_eq!(pieces[0], "");
    assert!(pieces.len() > sent.len() / 1024, "{} answers", pieces.len() - 1);
    bodies.collect()
}

fn assert_text_comes_back(server: &Server) {
    let mebibyte: String = "aé你𝄞 ".repeat((1 << 20) / 11);
    assert!(exchange(server.connect(), mebibyte.as_bytes()) == mebibyte);
    let cut = "aé你𝄞 aé你𝄞 ".as_bytes();
    for sent in
        (1..=cut.len()).map(|len| &cut[..len]).chain([&b"\xFF"[..], b"a\xFFb", &[0xFF; 3_000]])
    {
        assert_eq!(exchange(server.connect(), sent), String::from_utf8_lossy(sent));
    }
    assert_eq!(exchange(server.connect(), b""), "");
}

#[test]
fn text_comes_back_stamped() {
    on_every_backend(|backend, trigger| assert_text_comes_back(&TIMESTAMP.start(backend, trigger)));
}

#[test]
fn text_comes_back_stamped_one_at_a_time() {
    assert_text_comes_back(&one_at_a_time());
}

#[test]
fn the_time_is_local_and_its_day_is_padded() {
    // UTC+14, where it is another day half of the time.
    let mut command = example("timestamp");
    let server =
        Server::start_with(command.args(["--listen", "127.0.0.1:0"]).env("TZ", "<+14>-14"));
    let mut client = server.connect();
    client.write_all(b"x").unwrap();
    let mut reply = vec![0; STAMP + 1];
    client.read_exact(&mut reply).unwrap();
    let reply = String::from_utf8(reply).unwrap();
    let time = NaiveDateTime::parse_from_str(&reply[1..STAMP - 2], "%a %b %e %H:%M:%S %Y").unwrap();
    let ahead = time - chrono::Utc::now().naive_utc();
    assert!((13 * 60 + 58..=14 * 60).contains(&ahead.num_minutes()), "{reply}: {ahead} ahead");
}

#[test]
fn clients_that_leave_leave_nothing_behind() {
    hostile::clients_that_leave_leave_nothing_behind(TIMESTAMP);
}

#[test]
fn a_signal_ends_it_with_clients_connected() {
    hostile::a_signal_ends_it_with_clients_connected(TIMESTAMP);
}

#[test]
fn fifteen_hundred_clients_at_once_are_served() {
    hostile::fifteen_hundred_clients_at_once_are_served(TIMESTAMP);
}

#[test]
fn without_descriptors_it_waits_and_goes_on_later() {
    hostile::without_descriptors_it_waits_and_goes_on_later(TIMESTAMP);
}

// One at a time.

#[test]
fn the_next_is_served_when_the_first_has_left() {
    let server = one_at_a_time();
    let mut first = server.connect();
    assert_served(&mut first);
    let mut next = server.connect();
    next.write_all(b"me too").unwrap();
    assert_idle(&server); // while a second client waits
    next.set_nonblocking(true).unwrap();
    next.read(&mut [0]).unwrap_err();
    next.set_nonblocking(false).unwrap();
    assert_served(&mut first);
    drop(first);
    assert_eq!(answer(&mut next, "me too".len()), "me too");
}

#[test]
fn no_client_ends_it_and_each_connection_is_closed_at_once() {
    let mut server = one_at_a_time();
    for _ in 0..3 {
        reset(server.connect());
        let mut client = server.connect();
        client.write_all(b"farewell").unwrap();
        reset(client);
        let mut client = server.connect();
        client.write_all(pattern(10_000)).unwrap();
        client.peek(&mut [0]).unwrap();
        drop(client);
        let mut client = server.connect();
        fill(&mut client);
        reset(client);
        let client = server.connect();
        client.shutdown(Shutdown::Write).unwrap();
        assert_ends(client); // and not when the next client comes
        assert_served(&mut server.connect());
    }
    await_that("the server closes", || server.fds() == server.fds_at_start);
    server.stop(Signal::TERM).assert_graceful();
}

#[test]
fn a_signal_ends_it_whatever_it_waits_for() {
    for signal in [Signal::TERM, Signal::INT] {
        one_at_a_time().stop(signal).assert_graceful(); // in `accept`

        let mut server = one_at_a_time(); // in `read`
        let mut client = server.connect();
        assert_served(&mut client);
        let _next = server.connect();
        server.stop(signal).assert_graceful();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);

        let mut server = one_at_a_time(); // in `write`
        let mut client = server.connect();
        fill(&mut client);
        server.stop(signal).assert_graceful();
    }
}

#[test]
fn a_path_is_free_again_afterwards() {
    let path = std::env::temp_dir().join(format!("tripoll-timestamp-{}", std::process::id()));
    for arguments in [&[][..], &["--concurrent"]] {
        for with_client in [false, true, false] {
            let mut command = example("timestamp");
            command.arg("--listen").arg(&path).args(arguments);
            let mut server = Server::start_with(&mut command);
            let _client = with_client.then(|| UnixStream::connect(&path).unwrap());
            server.stop(Signal::INT).assert_graceful();
            assert!(!path.exists(), "{arguments:?}");
        }
    }
}

#[test]
fn data_sent_before_the_signal_is_answered() {
    let mut server = one_at_a_time();
    let mut client = server.connect();
    assert_served(&mut client);
    server.signal(Signal::STOP);
    client.write_all(b"last words").unwrap();
    server.signal(Signal::TERM);
    server.stop(Signal::CONT).assert_graceful();
    assert_eq!(answer(&mut client, "last words".len()), "last words");
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

#[test]
fn the_client_of_the_tutorial_is_answered() {
    use std::process::Stdio;
    let server = one_at_a_time();
    let mut client = example("client");
    client.args(["timestamp", "--connect", &server.address]);
    let mut child = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all("hello\n你好\n\n".as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("> [") && lines[0].ends_with("] hello"), "{said:?}");
    assert!(lines[1].starts_with("> [") && lines[1].ends_with("] 你好"), "{said:?}");
    assert_eq!(&lines[2..], ["> "]);
    // It has left, so another client is served.
    let mut next = server.connect();
    next.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_served(&mut next);
}
