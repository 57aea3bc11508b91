//! `inspect`: what it shows of its own loop is true, on every backend and trigger.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;
use support::await_that;
use support::example::on_every_backend;

use crate::hostile::{self, Subject};

const INSPECT: Subject = Subject { name: "inspect", arguments: &[], assert_served };

fn assert_served(client: &mut TcpStream) {
    assert!(get(client, "/sources").contains("\tdescriptor\t"));
}

/// Sends a request. Returns the whole answer.
fn ask(client: &mut TcpStream, request: &str) -> String {
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

/// Returns the body of a page, and asserts that its length is the one that was announced.
fn get(client: &mut TcpStream, path: &str) -> String {
    let answer = ask(client, &format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
    body.to_owned()
}

/// Returns the value of a metric.
fn metric(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(&format!("{name}{{"))).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn each_page_shows_what_is_there() {
    on_every_backend(|backend, trigger| {
        let mut server = INSPECT.start(backend, trigger);
        let others = [server.connect(), server.connect(), server.connect()];
        let has_others_alone = || server.fds() == server.fds_at_start + others.len();
        await_that("all are accepted", has_others_alone);
        let get = |path| {
            let text = get(&mut server.connect(), path);
            await_that("the one that asked is gone", has_others_alone);
            text
        };

        let sources = get("/sources");
        assert_eq!(sources.matches("Connection<").count(), 4, "{sources}"); // and the one that asks
        assert!(sources.contains("Listener") && sources.contains("Signals"), "{sources}");

        let connections = get("/connections");
        let rows: Vec<Vec<&str>> =
            connections.lines().skip(1).map(|line| line.split('\t').collect()).collect();
        assert_eq!(rows.len(), 4, "{connections}");
        for other in &others {
            let peer = other.local_addr().unwrap().to_string();
            let row = rows.iter().find(|row| row[1] == peer).unwrap();
            assert_eq!(row[3..], ["0", "0", "open"], "{connections}");
        }
        let asker = rows.iter().find(|row| row[3] != "0").unwrap();
        assert_eq!(asker[3], "GET /connections HTTP/1.1\r\nHost: here\r\n\r\n".len().to_string());

        let timers = get("/timers");
        assert!(timers.starts_with("timers and deadlines: 4\n"), "{timers}");
        assert_eq!(timers.lines().count(), 7, "{timers}"); // each connection has a deadline
        let metrics = get("/metrics");
        assert!(metrics.contains(&format!("backend=\"{backend}\"")), "{metrics}");
        assert_eq!(metric(&metrics, "tripoll_listener_alive"), 4);
        assert_eq!(metric(&metrics, "tripoll_listener_accepted_total"), 7);
        assert_eq!(metric(&metrics, "tripoll_loop_sources"), 6);
        assert!(metric(&metrics, "tripoll_loop_dispatches_total") >= 7);
        assert_eq!(metric(&metrics, "tripoll_loop_panics_total"), 0);
        server.stop(Signal::TERM).assert_graceful();
    });
}

/// The name of a type, of a closure for example, is no markup.
#[test]
fn the_overview_needs_no_other_file_and_is_escaped() {
    on_every_backend(|backend, trigger| {
        let mut server = INSPECT.start(backend, trigger);
        let page = get(&mut server.connect(), "/");
        assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
        assert!(page.contains(&format!("{backend}, {trigger}-triggered")), "{page}");
        assert!(page.contains("&lt;") && !page.contains("src=") && !page.contains("://"), "{page}");
        let known =
            ["html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "a", "table"];
        for tag in page.split('<').skip(1) {
            let name = tag.trim_start_matches(['/', '!']);
            let name = &name[..name.find(|c: char| !c.is_alphanumeric()).unwrap()];
            let is_known = known.contains(&name) || ["tr", "th", "td", "DOCTYPE"].contains(&name);
            assert!(is_known, "<{tag}");
        }
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn what_is_no_request_for_a_page_is_refused() {
    on_every_backend(|backend, trigger| {
        let mut server = INSPECT.start(backend, trigger);
        for (request, status) in [
            ("GET /other HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "405"),
            ("GET / HTTP/1.1\r\n\r\n", "400"),
            ("GET /favicon.ico HTTP/1.1\r\nHost: a\r\n\r\n", "204"),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", "413"),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"),
            ("\u{16}\u{3}", "400"),
        ] {
            let answer = ask(&mut server.connect(), request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer:?}");
        }
        let head = ask(&mut server.connect(), "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head:?}");
        let mut slow = server.connect();
        for byte in b"GET /timers HTTP/1.1\r\nHost: a\r\n\r" {
            slow.write_all(&[*byte]).unwrap();
        }
        assert!(ask(&mut slow, "\n").starts_with("HTTP/1.1 200 "));
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn a_signal_ends_it_with_clients_connected() {
    hostile::a_signal_ends_it_with_clients_connected(INSPECT);
}
