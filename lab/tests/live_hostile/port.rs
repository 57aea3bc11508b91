//! The lab's port under hostile clients: slow, random, many, and what is left of all of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::alone;
use crate::live_support::{Session, get, lab_with, parts, request};
use tripoll_lab::live::{Lab, Options};

const LIMIT: Duration = Duration::from_secs(20);

fn connect(lab: &Lab) -> TcpStream {
    let stream = TcpStream::connect(parts(lab).0).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Returns whether the page is served, and the subject still stands before its first turn.
fn is_untouched(lab: &Lab) -> bool {
    let mut session = Session::begin(lab);
    let snapshot = session.next("snapshot");
    get(lab, "/").starts_with("HTTP/1.1 200 ")
        && (&snapshot["turn"], &snapshot["gate"]) == (&0.into(), &"before".into())
}

#[test]
fn a_slow_body_holds_nobody_up_and_is_cut_off() {
    let lab = lab_with("correct");
    let (address, token) = parts(&lab);
    let mut slow = connect(&lab);
    let head = format!(
        "POST /control?op=step&t={token} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 100\r\n\r\n"
    );
    let began = Instant::now();
    slow.write_all(head.as_bytes()).unwrap();
    slow.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    // A byte now and then does not lengthen the time that a request may take.
    loop {
        let mut answer = [0; 64];
        match slow.read(&mut answer) {
            Ok(0) => break,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break, // reset: there was unread input
            Ok(count) => panic!("{:?}", String::from_utf8_lossy(&answer[..count])),
        }
        assert!(began.elapsed() < LIMIT, "the connection is still open");
        let _ = slow.write_all(b"x"); // it may have been closed meanwhile
        assert!(is_untouched(&lab));
    }
    assert!(is_untouched(&lab));
}

#[test]
fn random_bytes_change_nothing() {
    let lab = lab_with("correct");
    let mut seed: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for round in 0..200 {
        let mut stream = connect(&lab);
        let mut bytes = Vec::new();
        if round % 2 == 1 {
            bytes.extend_from_slice(b"POST /control?op=run HTTP/1.1\r\n");
        }
        let length = next() % 4_000;
        bytes.extend((0..length).map(|_| next() as u8));
        let _ = stream.write_all(&bytes); // it may be refused before the last byte
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer); // it may be reset
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert!(is_untouched(&lab));
}

#[test]
fn more_connections_than_it_takes_wait_for_their_turn() {
    let lab = lab_with("correct");
    let (address, token) = parts(&lab);
    let silent: Vec<TcpStream> = (0..64).map(|_| connect(&lab)).collect();
    let mut late: Vec<TcpStream> = (0..16).map(|_| connect(&lab)).collect();
    for stream in &mut late {
        let head =
            format!("GET /?t={token} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
    }
    let mut first = [0; 1];
    late[0].set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(late[0].read(&mut first).is_err(), "64 are silent, and it is served");
    drop(silent);
    for mut stream in late {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert!(is_untouched(&lab));
}

#[test]
fn ten_pages_at_once_are_all_served() {
    let lab = lab_with("correct");
    std::thread::scope(|scope| {
        let pages: Vec<_> = (0..10)
            .map(|_| {
                scope.spawn(|| {
                    for path in ["/", "/page.css", "/page.js", "/strings.json"] {
                        assert!(get(&lab, path).starts_with("HTTP/1.1 200 "), "{path}");
                    }
                    let mut session = Session::begin(&lab);
                    session.next("snapshot");
                    session
                })
            })
            .collect();
        let mut pages: Vec<Session> = pages.into_iter().map(|it| it.join().unwrap()).collect();
        pages[9].post("timeout=1");
        pages[9].post("op=step&n=20");
        for page in &mut pages {
            page.next_where("turn", |turn| turn["t"] == 20);
        }
    });
}

#[test]
fn hostile_controls_change_nothing() {
    let lab = lab_with("correct");
    let (address, token) = parts(&lab);
    let other = "0".repeat(token.len());
    let cut = &token[..token.len() - 1];
    let host = format!("Host: {address}");
    for (t, fields) in [
        (&*token, "Host: evil.example".to_string()),
        (&*token, format!("Host: {address}.evil.example")),
        (&*token, format!("{host}\r\nHost: evil.example")),
        (&*token, format!("{host}\r\nOrigin: http://evil.example")),
        (&*token, format!("{host}\r\nOrigin: null")),
        (&*token, format!("{host}\r\nOrigin: http://{address}.evil.example")),
        (&*other, host.clone()),
        (cut, host.clone()),
        ("", host.clone()),
    ] {
        for op in
            ["op=run", "op=step", "op=spawn&n=9", "backend=poll", "limit=20", "scenario=emfile"]
        {
            let post = format!("POST /control?{op}&t={t} HTTP/1.1\r\n{fields}\r\n\r\n");
            let answer = request(&address, &post);
            let is_refused = ["403", "400"].iter().any(|it| answer[9..].starts_with(it));
            assert!(is_refused, "{op} {t} {fields}: {answer}");
        }
    }
    let mut session = Session::begin(&lab);
    let hello = session.next("hello");
    assert_eq!(
        (&hello["backend"], &hello["scenario"]),
        (&"epoll".into(), &serde_json::Value::Null)
    );
    let snapshot = session.next("snapshot");
    assert_eq!((&snapshot["turn"], snapshot["clients"].as_array().unwrap().len()), (&0.into(), 0));
    assert!(is_untouched(&lab));
}

/// Descriptors and threads of this process.
fn held() -> (usize, usize) {
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    (count("fd"), count("task"))
}

#[test]
fn nothing_is_left_of_a_lab() {
    alone("port::nothing_is_left_of_a_lab", || {
        let before = held();
        for handler in ["correct", "tutorial", "edge-drained", "pool", "broadcast"] {
            let lab = lab_with(handler);
            let mut session = Session::begin(&lab).with_client();
            let _silent = connect(&lab);
            session.post("op=spawn&n=5");
            session.post("burn=20");
            session.post("op=fault&client=1&kind=duplicate");
            session.post("op=fault&client=1&kind=flood");
            session.post("timeout=1");
            session.post("op=run");
            session.next_where("turn", |turn| turn["t"].as_u64() > Some(20));
            lab.end().unwrap();
        }
        for scenario in ["zombie", "firehose", "herd", "pool-handoff"] {
            let scenario = Some(scenario.to_string());
            let lab = Lab::begin(&Options { scenario, ..Options::default() }).unwrap();
            assert!(lab.hub().wait(3, LIMIT).is_some());
            drop(lab);
        }
        // A thread that was joined may still be listed for a moment.
        let began = Instant::now();
        while held() != before && began.elapsed() < LIMIT {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(held(), before, "descriptors and threads");
    });
}
