//! `tripoll load`: its figures, its errors, and its exit codes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tripoll::{Backend, Trigger};
use tripoll_lab::load::{Ask, Load, Outcome};

const TRIPOLL: &str = env!("CARGO_BIN_EXE_tripoll");

/// Starts a server with a thread for each client, which lives as long as the test.
fn serve(client: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (client, stream) = (client.clone(), stream.unwrap());
            thread::spawn(move || client(stream));
        }
    });
    address
}

/// Sends back what comes. `before` is called with the number of each answer.
fn echo(mut stream: TcpStream, mut before: impl FnMut(usize)) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = [0; 4_096];
    for number in 0.. {
        let Ok(count @ 1..) = stream.read(&mut buffer) else { return };
        before(number);
        if stream.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

/// Reads a request of HTTP to its end, and returns its path.
fn request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&count| count > 0)?;
        if line == "\r\n" {
            break;
        }
        lines.push(line);
    }
    assert!(lines.iter().any(|line| line.starts_with("Host: 127.0.0.1:")), "{lines:?}");
    lines[0].split(' ').nth(1).map(String::from)
}

fn http(stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(path) = request(&mut reader) {
        let answer: &[u8] = match path.as_str() {
            "/missing" => b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone",
            "/chunks" => {
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            }
            "/close" => b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end",
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        };
        if reader.get_mut().write_all(answer).is_err() || path == "/close" {
            return;
        }
    }
}

fn load(address: SocketAddr) -> Load {
    Load {
        address: address.into(),
        ask: Ask::Line(64),
        connections: 20,
        active: 5,
        rate: 500.0,
        duration: Duration::from_millis(400),
        timeout: Duration::from_secs(30),
        backend: Backend::Epoll,
        trigger: Trigger::Edge,
    }
}

fn run(load: Load) -> Outcome {
    load.run(|_| ControlFlow::Continue(())).unwrap()
}

fn tripoll(arguments: &str) -> Output {
    Command::new(TRIPOLL).args(arguments.split(' ')).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn every_request_is_answered_and_counted_on_every_backend() {
    let address = serve(|stream| echo(stream, |_| {}));
    for &backend in Backend::ALL {
        for &trigger in Trigger::ALL {
            let outcome = run(Load { backend, trigger, ..load(address) });
            assert!(outcome.errors.is_none(), "{backend} {trigger}: {}", outcome.errors);
            assert_eq!((outcome.answered, outcome.requests), (200, 200));
            let counted: u64 = outcome.histogram.iter().map(|bucket| bucket.count).sum();
            assert_eq!((counted, outcome.latency_us.count), (200, 200));
            assert!(
                outcome.latency_us.p50 > 0.0 && outcome.latency_us.p50 <= outcome.latency_us.most
            );
        }
    }
}

/// The proof of the correction: of one second, the server sleeps for 600 ms. A generator that waits for
/// its answer would report one slow request.
#[test]
fn a_server_that_stalls_shows_in_all_requests_that_were_due_meanwhile() {
    const STALL: Duration = Duration::from_millis(600);
    let address = serve(|stream| {
        echo(stream, |number| {
            if number == 100 {
                thread::sleep(STALL);
            }
        });
    });
    let outcome = run(Load {
        connections: 1,
        active: 1,
        rate: 1_000.0,
        duration: Duration::from_secs(1),
        ..load(address)
    });
    assert!(outcome.errors.is_none(), "{}", outcome.errors);
    assert_eq!(outcome.answered, 1_000);
    let (latency, uncorrected) = (outcome.latency_us, outcome.uncorrected_us);
    // 600 of 1,000 requests were due while it slept, and have waited for 300 ms on average.
    assert!(latency.p50 >= 60_000.0 && latency.p90 >= 400_000.0, "{latency:?}");
    assert!(uncorrected.p90 < 60_000.0 && uncorrected.most >= 599_000.0, "{uncorrected:?}");
}

#[test]
fn requests_of_http_are_answered_in_each_form() {
    let address = serve(http);
    let run = |path: &str| {
        let ask = Ask::Http { host: address.to_string(), path: path.to_string() };
        run(Load { ask, rate: 100.0, ..load(address) })
    };
    for path in ["/", "/chunks", "/close"] {
        let outcome = run(path);
        assert!(outcome.errors.is_none(), "{path}: {}", outcome.errors);
        assert_eq!(outcome.answered, 40, "{path}");
    }
    let outcome = run("/missing");
    assert_eq!((outcome.answered, outcome.errors.status.get(&404)), (0, Some(&40)));
    assert_eq!(outcome.latency_us.count, 40);
}

#[test]
fn what_goes_wrong_is_counted_by_its_kind() {
    // Each connection gets one right answer, and then none.
    let run = |end: fn(TcpStream)| {
        let address = serve(move |mut stream| {
            let mut line = [0; 64];
            if stream.read_exact(&mut line).is_ok() && stream.write_all(&line).is_ok() {
                end(stream);
            }
        });
        let (connections, active) = (3, 3);
        let timeout = Duration::from_millis(300);
        run(Load { connections, active, rate: 100.0, timeout, ..load(address) })
    };
    let short = run(|mut stream| {
        if stream.read(&mut [0; 64]).is_ok_and(|count| count > 0) {
            stream.write_all(b"abc").unwrap();
        }
    });
    let reset = run(|mut stream| {
        if stream.read(&mut [0; 64]).is_ok_and(|count| count > 0) {
            set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
        }
    });
    let wrong = run(|mut stream| {
        if stream.read(&mut [0; 64]).is_ok_and(|count| count > 0) {
            let _ = stream.write_all(&[b'!'; 64]);
        }
    });
    let silent = run(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
    for (name, outcome, count) in [
        ("short", &short, short.errors.short),
        ("reset", &reset, reset.errors.reset),
        ("wrong", &wrong, wrong.errors.wrong),
        ("timed out", &silent, silent.errors.timed_out),
    ] {
        let errors = &outcome.errors;
        assert!(count > 0 && outcome.answered > 0, "{name}: {errors}");
        assert!(outcome.reconnects > 0, "{name}: {outcome:?}");
        // No request is forgotten, in the counts and in the latencies.
        assert_eq!(outcome.answered + errors.requests(), 40, "{name}: {errors}");
        assert_eq!(outcome.latency_us.count, 40, "{name}");
    }
    assert!(silent.latency_us.most >= 299_000.0, "{:?}", silent.latency_us);
}

#[test]
fn a_server_that_does_not_listen_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let output = tripoll(&format!("load {address} -d 1s"));
    assert_eq!(output.status.code(), Some(1));
    let reason = text(&output.stderr);
    assert!(
        reason.starts_with("error: cannot connect: ") && reason.contains("refused"),
        "{reason}"
    );
    assert_eq!((reason.lines().count(), output.stdout.len()), (1, 0), "{reason}");
}

#[test]
fn the_report_fits_80_columns_and_the_json_has_its_figures() {
    let address = serve(|stream| echo(stream, |_| {}));
    let load = format!("load {address} -c 30 --active 10% -r 200 -d 500ms --size 100");
    let output = tripoll(&load);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let report = text(&output.stdout);
    assert!(report.starts_with("Half of the answers took up to "), "{report}");
    assert!(report.contains(" 30 connections, 3 active\n100 bytes"), "{report}");
    assert!(report.lines().all(|line| line.chars().count() <= 80), "{report}");

    let output = tripoll(&format!("{load} --export-json -"));
    assert!(output.status.success(), "{output:?}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["version"], &json["answered"]), (&1.into(), &100.into()));
    assert_eq!(json["latency_us"]["count"], 100);
    assert!(json["latency_us"]["p99_9"].as_f64() >= json["latency_us"]["p50"].as_f64());

    let http_address = serve(http);
    let output = tripoll(&format!("load http://{http_address}/missing -r 100 -d 200ms"));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("20 of status 404"), "{output:?}");
    let expected = "error: 20 of 20 requests were not answered: 20 of status 404\n";
    assert_eq!(text(&output.stderr), expected);
}

#[test]
fn ctrl_c_prints_what_there_is() {
    let address = serve(|stream| echo(stream, |_| {}));
    let mut load = Command::new(TRIPOLL)
        .args(["load", &address.to_string(), "-d", "1h", "--export-json", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_millis(700));
    kill_process(Pid::from_child(&load), Signal::INT).unwrap();
    assert_eq!(load.wait().unwrap().code(), Some(130));
    let mut json = String::new();
    load.stdout.take().unwrap().read_to_string(&mut json).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["is_stopped"], json["requests"].as_u64() > Some(0)), (&true.into(), true));
}

#[test]
fn wrong_arguments_exit_with_2_and_one_line_that_names_the_option() {
    for (arguments, named) in [
        ("load", "<ADDRESS>"),
        ("load 127.0.0.1", "127.0.0.1"),
        ("load 127.0.0.1:1 -c 0", "--connections"),
        ("load 127.0.0.1:1 -c 3 --active 4", "--active 4 is more than --connections 3"),
        ("load 127.0.0.1:1 --active 0%", "--active"),
        ("load 127.0.0.1:1 -r 0", "--rate"),
        ("load 127.0.0.1:1 -d forever", "--duration"),
        ("load 127.0.0.1:1 --size 0", "--size"),
        ("load 127.0.0.1:1 --http=x", "--http=x"),
        ("load 127.0.0.1:1 -c 1000000000", "--connections 1000000000"),
    ] {
        let output = tripoll(arguments);
        let reason = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {reason}");
        assert!(reason.starts_with("error: ") && reason.contains(named), "{arguments}: {reason}");
        assert_eq!((reason.lines().count(), output.stdout.len()), (1, 0), "{reason}");
    }
}
