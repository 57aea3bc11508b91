//! `tripoll lab`: the page, its events and its control.

mod live_support;

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use live_support::{Session, calls, client_row, get, lab_with, request};
use tripoll_lab::live::{Lab, Options};

fn lab() -> Lab {
    lab_with("correct")
}

#[test]
fn the_page_and_its_files_are_served_with_their_policy() {
    let lab = lab();
    for (path, kind) in [
        ("/", "text/html"),
        ("/page.css", "text/css"),
        ("/page.js", "text/javascript"),
        ("/strings.json", "application/json"),
    ] {
        let answer = get(&lab, path);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {answer}");
        assert!(answer.contains(&format!("Content-Type: {kind}")), "{path}");
        assert!(answer.contains("Content-Security-Policy: default-src 'none';"), "{path}");
        assert!(!answer.contains("Access-Control-Allow"), "{path}");
    }
    assert!(get(&lab, "/other").starts_with("HTTP/1.1 404 "));
}

#[test]
fn a_step_is_a_turn_with_its_record() {
    let lab = lab();
    let mut session = Session::begin(&lab);
    let hello = session.next("hello");
    assert_eq!((&hello["v"], &hello["backend"]), (&1.into(), &"epoll".into()));
    let snapshot = session.next("snapshot");
    assert_eq!(snapshot["gate"], "before");
    let listener = &snapshot["sources"][0];
    assert_eq!((&listener["role"], &listener["interest"]), (&"listener".into(), &"r".into()));
    session.post("op=spawn&n=1");
    session.post("op=step");
    let turn = session.next("turn");
    assert_eq!((&turn["t"], &turn["wait"]["returned"]), (&1.into(), &1.into()));
    assert_eq!(turn["reported"][0]["fd"], listener["fd"]);
    assert_eq!(turn["calls"][0]["what"], "accept");
    let client = &turn["sources"][1];
    assert_eq!((&client["role"], &client["name"]), (&"client".into(), &"client 1".into()));

    session.send(b"hello\n", 6);
    let turn = session.step();
    assert_eq!(calls(&turn, "read")[0]["result"], 6);
    assert_eq!(calls(&turn, "write")[0]["text"], "hello\n");
    session.next_where("client", |it| it["client"]["last"] == "hello\n");
    lab.end().unwrap();
}

#[test]
fn a_wait_can_be_looked_at_before_its_dispatch_and_predicted() {
    let lab = lab();
    let mut session = Session::begin(&lab).with_client();
    session.send(b"hello\n", 6);
    session.post("op=predict&fds=");
    session.post("op=reveal");
    let snapshot = session.next_where("snapshot", |it| it["gate"] == "after");
    assert_eq!(snapshot["predicted"]["right"], false);
    let fd = &client_row(&snapshot).unwrap()["fd"];
    assert_eq!((&snapshot["reported"][0]["fd"], &snapshot["turn"]), (fd, &1.into()));
    session.post("op=step");
    let turn = session.next("turn");
    assert_eq!((&turn["t"], &turn["gate"]), (&2.into(), &"before".into()));
    assert_eq!(calls(&turn, "read")[0]["result"], 6);
    session.send(b"hello\n", 6);
    session.post(&format!("op=predict&fds={fd}"));
    let predicted = &session.step()["predicted"];
    assert_eq!((&predicted["right"], &predicted["of"]), (&true.into(), &2.into()));
}

#[test]
fn a_page_that_comes_back_is_sent_what_it_has_missed() {
    let lab = lab();
    let mut session = Session::begin(&lab).with_client();
    session.post("timeout=1");
    session.post("op=step&n=5");
    session.next_where("turn", |turn| turn["t"] == 6);
    let mut again = Session::after(&lab, Some(3));
    for number in 4..=6 {
        assert_eq!(again.next("turn")["t"], number);
    }
    let mut lost = Session::after(&lab, Some(1_000));
    assert_eq!(lost.any().0, "hello");
}

#[test]
fn a_run_ends_where_it_is_told_to() {
    let lab = lab();
    let mut session = Session::begin(&lab).with_client();
    session.post("timeout=5");
    session.post("op=until&until=turn&n=9");
    session.next_where("turn", |turn| turn["t"] == 9 && turn["gate"] == "before");
    session.post("until=end");
    session.post("op=fault&client=1&kind=half-close");
    let turn = session.next_where("turn", |turn| turn["gate"] == "before");
    assert_eq!((&turn["gone"][0]["why"], &calls(&turn, "write").len()), (&"end".into(), &0));
}

#[test]
fn ten_pages_see_the_same_and_one_that_does_not_read_costs_little() {
    let lab = lab();
    let mut pages: Vec<Session> = (0..10).map(|_| Session::begin(&lab)).collect();
    let lazy = Session::begin(&lab);
    lazy.post("timeout=1");
    lazy.post("burn=40");
    for _ in 0..4 {
        lazy.post("op=step&n=1000");
        let end = lab.hub().end() + 900;
        assert!(lab.hub().wait(end, std::time::Duration::from_secs(20)).is_some());
    }
    for page in &mut pages {
        page.next_where("turn", |turn| turn["t"].as_u64() > Some(3_000));
    }
    // The lazy one reads now: it has lost turns, and is told how many.
    let mut lazy = lazy;
    let turn = lazy.next_where("turn", |turn| turn["dropped"].as_u64() > Some(0));
    assert!(turn["t"].as_u64() > turn["dropped"].as_u64(), "{turn}");
}

#[test]
fn a_request_from_elsewhere_is_refused() {
    let lab = lab();
    let (address, token) = live_support::parts(&lab);
    let host = format!("Host: {address}");
    for (target, fields) in [
        ("/", host.clone()),
        ("/?t=00000000000000000000000000000000", host.clone()),
        (&*format!("/?t={token}"), "Host: evil.example".into()),
        (&*format!("/?t={token}"), "Host: 127.0.0.1:1".into()),
        (&*format!("/?t={token}"), String::new()),
        (&*format!("/?t={token}"), format!("{host}\r\nOrigin: http://evil.example")),
        (&*format!("/events?t={token}"), format!("{host}\r\nOrigin: null")),
        ("/events", host.clone()),
    ] {
        let fields = if fields.is_empty() { fields } else { fields + "\r\n" };
        let answer = request(&address, &format!("GET {target} HTTP/1.1\r\n{fields}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 403 "), "{target} {fields}: {answer}");
    }
    let post = format!("POST /control?op=step HTTP/1.1\r\n{host}\r\n\r\n");
    assert!(request(&address, &post).starts_with("HTTP/1.1 403 "));
    assert!(lab.hub().wait(3, Duration::from_millis(50)).is_none_or(|it| it.name != "turn"));
}

#[test]
fn hostile_requests_change_nothing() {
    let lab = lab();
    let (address, token) = live_support::parts(&lab);
    for (input, status) in [
        (format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(20_000)), "431"),
        ("\x16\x03\x01\x02\x00\x01".into(), "400"),
        ("GET / HTTP/9.9\r\n\r\n".into(), "400"),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1_000)), "431"),
        ("POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n".into(), "413"),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".into(), "411"),
        (format!("DELETE /?t={token} HTTP/1.1\r\nHost: {address}\r\n\r\n"), "405"),
        (format!("GET /control?op=run&t={token} HTTP/1.1\r\nHost: {address}\r\n\r\n"), "405"),
        (format!("POST /control?op=x&t={token} HTTP/1.1\r\nHost: {address}\r\n\r\n"), "409"),
    ] {
        let answer = request(&address, &input);
        let start: String = input.chars().take(40).collect();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{start}: {answer}");
    }
    // Many connections that say nothing: the page is still answered.
    let silent: Vec<_> = (0..40).map(|_| TcpStream::connect(&address).unwrap()).collect();
    assert!(get(&lab, "/").starts_with("HTTP/1.1 200 "));
    drop(silent);
}

#[test]
fn only_this_machine_is_listened_to() {
    let options = Options { listen: "0.0.0.0:0".parse().unwrap(), ..Options::default() };
    let error = Lab::begin(&options).unwrap_err();
    assert!(error.to_string().contains("this machine alone"), "{error}");
}

#[test]
fn ctrl_c_ends_the_command_with_success() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_tripoll"))
        .args(["lab", "--backend", "poll"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 64];
    let count = child.stdout.as_mut().unwrap().read(&mut line).unwrap();
    assert!(line[..count].starts_with(b"lab:     http://127.0.0.1:"), "{line:?}");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(child.wait().unwrap().success());
}
