//! `tripoll trace`, and recordings: what they print and write.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tripoll_lab::live::recording::Recording;

fn tripoll(arguments: &[&str], language: &str) -> (String, String, bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tripoll"));
    let output = command.args(arguments).env("LC_ALL", language).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.success())
}

fn trace(scenario: &str, form: &str) -> String {
    let (out, err, is_right) = tripoll(&["trace", "--scenario", scenario, "--trace", form], "C");
    assert!(is_right, "{err}");
    out
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn lines_have_names_descriptors_calls_and_a_legend() {
    let out = trace("edge-stall", "lines");
    assert!(out.starts_with("# turn N    the wait: call(arguments)"), "{out}");
    let lines: Vec<&str> = out.lines().collect();
    let turn = lines.iter().position(|line| line.starts_with("turn 2 ")).unwrap();
    assert!(
        lines[turn].contains("epoll_wait(epfd ") && lines[turn].contains("100 ms) = 1 "),
        "{out}"
    );
    let client = lines[turn + 1].split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(client.starts_with("client 1 127.0.0.1:"), "{client}");
    let end = "wants r reported IN done read 1,024, write 1,024 in 1,024 out 1,024";
    assert!(client.ends_with(end), "{client}");
    assert!(out.contains("GHOST ready rw, 1,024 unread"), "{out}");
    assert!(out.contains("!!        Lost edge: descriptor "), "{out}");
    assert!(out.contains("listener 127.0.0.1:") && out.contains("accept EAGAIN"), "{out}");
}

#[test]
fn sentences_are_those_of_the_page_in_both_languages() {
    let out = trace("sticky", "sentences");
    let sentence = "Turn 2: epoll_wait ";
    let line = out.lines().find(|line| line.starts_with(sentence)).unwrap();
    assert!(line.contains("(client 1) as readable. The handler read 16 bytes from "), "{line}");
    let (out, ..) =
        tripoll(&["trace", "--scenario", "sticky", "--trace", "sentences"], "zh_CN.UTF-8");
    let line = out.lines().find(|line| line.starts_with("第 2 轮：epoll_wait ")).unwrap();
    assert!(
        line.contains("（client 1）可读。处理器从 ") && line.contains("读了 16 字节"),
        "{line}"
    );
}

/// A wait that has returned something never "reported nothing".
#[test]
fn what_a_closed_descriptor_still_reports_is_said() {
    let out = trace("zombie", "sentences");
    let text = " reported none of the program’s sources. The kernel has reported descriptor ";
    assert!(out.contains(text) && out.contains(", which the program has closed."), "{out}");
    assert!(!out.contains("reported nothing"), "{out}");
}

#[test]
fn system_calls_are_those_of_each_backend() {
    let out = trace("edge-stall", "syscalls");
    assert!(
        out.contains("EPOLL_CTL_ADD, ") && out.contains("{events=EPOLLIN|EPOLLRDHUP|EPOLLET, "),
        "{out}"
    );
    assert!(out.contains(", [], 64, 100) = 0\n") && out.contains("\"..., …) = 1024\n"), "{out}");
    let out = trace("third-list", "syscalls");
    let last = out.lines().find(|line| line.contains("exc [")).unwrap();
    assert!(
        last.starts_with("select(") && last.contains("{tv_sec=0, tv_usec=100000}) = 2 (in ["),
        "{last}"
    );
    assert!(out.contains(" = -1 ECONNRESET\n"));
    let out = trace("copied-bytes", "syscalls");
    assert!(out.contains("poll([{fd=") && out.contains("revents=POLLIN}])"), "{out}");
}

/// In a process of its own: its limit of descriptors is that of all threads.
#[test]
fn without_descriptors_the_listener_spins() {
    let out = trace("emfile", "json");
    let turns: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str::<(String, Value)>(line).unwrap())
        .filter(|(name, _)| name == "turn")
        .map(|(_, turn)| turn)
        .collect();
    let error = |turn: &Value| turn["calls"][0]["error"].clone();
    assert_eq!((error(&turns[0]), error(&turns[1])), ("EMFILE".into(), "EMFILE".into()));
    let has = |turn: &Value, id: &str| {
        turn["lints"].as_array().unwrap().iter().any(|lint| lint["id"] == id)
    };
    assert!(has(&turns[0], "out-of-descriptors"));
    assert!(turns.iter().any(|turn| has(turn, "spin") && turn["skipped"].as_u64() > Some(100)));
    // With room again, the connection is accepted.
    let last = turns.iter().rev().find(|turn| turn["calls"][0]["what"] == "accept").unwrap();
    assert!(last["calls"][0]["result"].is_u64(), "{last}");
}

#[test]
fn a_lab_is_recorded_replayed_and_traced() {
    let path = file("recorded.json");
    let name = path.to_str().unwrap();
    let _ = fs::remove_file(&path);
    let mut child = Command::new(env!("CARGO_BIN_EXE_tripoll"))
        .args(["lab", "--scenario", "edge-stall", "--record", name])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let began = Instant::now();
    while !fs::read_to_string(&path).unwrap_or_default().contains("\"op\":\"script\"") {
        assert!(began.elapsed() < Duration::from_secs(20), "the setup is not recorded");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(child.wait().unwrap().success());

    let text = fs::read_to_string(&path).unwrap();
    let recording = Recording::read(&text).unwrap();
    assert!(recording.records().count() > 3 && text.contains("[\"bye\",{}]\n"), "{text}");
    let (out, err, is_right) = tripoll(&["lab", "--replay", name], "C");
    assert!(is_right && out.starts_with("page:    file://"), "{out}{err}");
    let page = fs::read_to_string(file("recorded.json.html")).unwrap();
    assert!(page.contains("\"edge-stall\"") && page.contains("id=\"recording\""));
    assert!(!page.contains("http://127.0.0.1") && !page.contains("{{token}}"));
    let (out, ..) = tripoll(&["trace", name], "C");
    assert!(out.contains("turn 1 "), "{out}");
}

#[test]
fn scenarios_are_exported_as_pages() {
    let folder = file("exported");
    let name = folder.to_str().unwrap();
    let (_, err, is_right) = tripoll(&["lab", "--export", name, "--scenario", "goodbyes"], "C");
    assert!(is_right, "{err}");
    let page = fs::read_to_string(folder.join("goodbyes.html")).unwrap();
    assert!(page.contains("IN|ERR|HUP|RDHUP") && page.contains("半关闭"));
    assert!(page.len() < 400_000, "{} bytes", page.len());
    let index = fs::read_to_string(folder.join("index.html")).unwrap();
    assert!(index.contains("<a href=\"goodbyes.html\">"), "{index}");
    let (_, err, is_right) = tripoll(&["lab", "--export", name, "--scenario", "x"], "C");
    assert!(!is_right && err.contains("edge-stall"), "{err}");
}

#[test]
fn what_is_no_recording_is_refused() {
    assert!(Recording::read("").is_err());
    assert!(
        Recording::read("[\"turn\",{\"t\":1}]\nx\n").unwrap_err().to_string().contains("line 2")
    );
    let array = Recording::read("[\n[\"turn\",{\"t\":1}],\n[\"bye\",{}]\n]\n").unwrap();
    assert_eq!(array.records().count(), 2);
    let (_, err, is_right) = tripoll(&["trace"], "C");
    assert!(!is_right && err.contains("--scenario NAME"), "{err}");
    let (_, err, is_right) = tripoll(&["trace", "/nowhere"], "C");
    assert!(!is_right && err.contains("/nowhere: "), "{err}");
}
