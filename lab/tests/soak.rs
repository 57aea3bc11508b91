//! `tripoll soak`: a short one, on every kind of server.

use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

const TRIPOLL: &str = env!("CARGO_BIN_EXE_tripoll");

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn soak(arguments: &[&str]) -> Output {
    Command::new(TRIPOLL).arg("soak").args(arguments).output().unwrap()
}

#[test]
fn nothing_is_left_when_the_clients_have_gone() {
    let output = soak(&["--seconds", "5", "--seed", "7"]);
    let (report, log) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{report}{log}");
    assert!(report.ends_with("nothing is left\n"), "{report}");
    assert_eq!(log, "");
    for what in ["friendly", "slow", "flooding", "resetting", "half-closing", "careless"] {
        assert!(report.contains(&format!(" {what}\n")), "{what}: {report}");
    }
}

#[test]
fn ctrl_c_ends_it_early_with_its_account() {
    let child = Command::new(TRIPOLL)
        .args(["soak", "--minutes", "30"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&child);
    // Before that it has no handler for the signal.
    let status = format!("/proc/{}/status", child.id());
    let is_caught = || {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        caught.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap_or(0) & 2 != 0)
    };
    while !is_caught() {
        thread::sleep(Duration::from_millis(1));
    }
    kill_process(pid, Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).ends_with("nothing is left\n"), "{output:?}");
}

#[test]
fn minutes_and_seconds_exclude_each_other() {
    let output = soak(&["--minutes", "1", "--seconds", "1"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stderr).lines().count(), 1, "{output:?}");
}
