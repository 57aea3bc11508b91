//! `tripoll price`: what it prints, and how many system calls each item makes.

use std::collections::HashMap;
use std::process::{Command, Stdio};

const TRIPOLL: &str = env!("CARGO_BIN_EXE_tripoll");

#[test]
fn each_item_prints_one_line_of_two_figures() {
    for arguments in ["request", "connection --trigger level", "timer --backend poll"] {
        let arguments = arguments.split(' ').chain(["--count", "200"]);
        let output = Command::new(TRIPOLL).arg("price").args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let line = String::from_utf8(output.stdout).unwrap();
        let figures: Vec<_> = line.trim_end().split(' ').collect();
        assert!(figures[0].starts_with("ns=") && figures[1].starts_with("cpu_ns="), "{line}");
    }
}

/// Returns the system calls that an item makes, on the average. `None` where `strace` is missing or may
/// not trace.
fn calls(item: &str, trigger: &str) -> Option<HashMap<String, f64>> {
    const COUNT: u32 = 1_024;
    let may_trace = Command::new("strace").arg("true").stderr(Stdio::null()).status();
    if !may_trace.is_ok_and(|status| status.success()) {
        return None;
    }
    let output = Command::new("strace")
        .args(["-f", "-c", TRIPOLL, "price", item, "--trigger", trigger])
        .args(["--count", &COUNT.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let table = String::from_utf8(output.stderr).unwrap();
    let row = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let count: u32 = fields.get(3)?.parse().ok()?;
        Some((fields.last()?.to_string(), f64::from(count) / f64::from(COUNT)))
    };
    Some(table.lines().filter_map(row).collect())
}

/// The start of the program makes some calls, too, and each of the 64 connections.
const START: f64 = 0.3;

/// A client makes three of the calls: `socket`, `connect`, `sendto`. Its end is a `close`.
#[test]
fn a_connection_makes_no_call_in_vain() {
    for trigger in ["level", "edge"] {
        let Some(calls) = calls("connection", trigger) else {
            return eprintln!("skipped: strace is not installed, or may not trace");
        };
        let count = |call: &str| calls.get(call).copied().unwrap_or(0.0);
        // What is known of a socket is not asked, and what it has inherited is not set.
        for call in ["getsockopt", "setsockopt"] {
            assert!(count(call) < START, "{trigger}: {call}: {calls:?}");
        }
        // In a debug build the standard library looks at each descriptor that it closes.
        let looks = if cfg!(debug_assertions) { count("close") } else { 0.0 };
        assert!(count("fcntl") - looks < START, "{trigger}: {calls:?}");
        // The byte, and the end.
        assert!(count("recvfrom") < 2.0 + START, "{trigger}: {calls:?}");
        // When it begins and when it ends.
        assert!(count("epoll_ctl") < 2.0 + START, "{trigger}: {calls:?}");
        // It, its byte and its end are three events.
        assert!(count("epoll_wait") < 3.0 + START, "{trigger}: {calls:?}");
    }
}

/// Both sides send and receive once.
#[test]
fn a_request_makes_no_call_in_vain() {
    for trigger in ["level", "edge"] {
        let Some(calls) = calls("request", trigger) else {
            return eprintln!("skipped: strace is not installed, or may not trace");
        };
        let count = |call: &str| calls.get(call).copied().unwrap_or(0.0);
        for (call, most) in [("recvfrom", 2.0), ("sendto", 2.0), ("epoll_ctl", 0.0)] {
            assert!(count(call) < most + START, "{trigger}: {call}: {calls:?}");
        }
        assert!(count("epoll_wait") < 0.1 + START, "{trigger}: {calls:?}");
    }
}
