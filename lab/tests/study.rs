//! The workloads of `compare --workload`: their reports, exports and widths.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

const TRIPOLL: &str = env!("CARGO_BIN_EXE_tripoll");

fn compare(arguments: &[&str]) -> Output {
    Command::new(TRIPOLL).arg("compare").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn words(bytes: &[u8]) -> String {
    text(bytes).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A folder of its own, which is removed.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("tripoll-study-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a workload with all exports, checks what they have in common, and returns the text in words,
/// and the JSON.
fn study(workload: &str) -> (String, Value) {
    let folder = Folder::new(workload);
    let [json, markdown, csv, html] = ["a.json", "a.md", "a.csv", "a.html"].map(|f| folder.file(f));
    let output = compare(&[
        "--workload",
        workload,
        "--quick",
        "--export-json",
        &json,
        "--export-markdown",
        &markdown,
        "--export-csv",
        &csv,
        "--report",
        &html,
    ]);
    assert!(output.status.success(), "{workload}: {}", text(&output.stderr));
    let report = text(&output.stdout);
    assert!(report.lines().all(|line| line.chars().count() <= 80), "{report}");

    let json: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(json["workload"], workload);
    let figures = json["figures"].as_array().unwrap();
    assert!(!figures.is_empty());
    for figure in figures {
        assert!(!figure["samples"].as_array().unwrap().is_empty(), "{figure}");
    }
    let rows = fs::read_to_string(csv).unwrap();
    assert_eq!(rows.lines().count(), 1 + figures.len());
    let first = json["sentences"][0].as_str().unwrap();
    assert!(fs::read_to_string(markdown).unwrap().contains(&format!("**{first}**")));
    let page = fs::read_to_string(html).unwrap();
    assert!(page.contains("class=\"answer\"") && !page.contains("<script"));
    assert!(page.len() < 300_000, "{}", page.len());
    (words(&output.stdout), json)
}

#[test]
fn auto_stands_beside_both_calls_and_a_rule_by_count() {
    let (said, json) = study("auto");
    for part in ["Always epoll costs up to", "QEMU's rule (poll below 64", "times the oracle"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let of = |what: &str, unit: &str| {
        let figures = json["figures"].as_array().unwrap();
        figures.iter().filter(|figure| figure["what"] == what && figure["unit"] == unit).count()
    };
    assert!(of("auto", "cpu_ns") >= 20 && of("auto", "of oracle") == 2);
    assert_eq!(of("epoll", "cpu_ns"), of("auto", "cpu_ns"));
}

#[test]
fn the_history_says_of_each_published_figure_whether_it_is_still_true() {
    let (said, json) = study("history");
    for part in ["published", "true here?", "66", "never was", "still true"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    for source in ["TLPI", "libevent", "libev:", "Chandra", "Gammo", "tutorials", "QEMU"] {
        assert!(said.contains(source), "{source}: {said}");
    }
    let first = json["sentences"][0].as_str().unwrap();
    assert!(first.starts_with("Of 1") && first.contains("still true"), "{first}");
    // The option is a short form, and stands alone.
    let output = compare(&["--history", "--fds", "10"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_latency_counts_from_when_a_request_was_due_beside_idle_neighbours() {
    let (said, json) = study("latency");
    for part in ["Beside 1,000 idle connections", "p99.9", "open loop", "epoll 1,000", "poll 0"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let figures = json["figures"].as_array().unwrap();
    for what in ["epoll p50", "poll p99.9", "select server", "epoll p99 uncorrected"] {
        assert!(figures.iter().any(|figure| figure["what"] == what), "{what}");
    }
}

#[test]
fn what_comes_and_goes_has_its_costs_and_system_calls() {
    let (said, _) = study("churn");
    for part in ["two system calls", "A connection of one byte", "bare epoll 1,000", "calls"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_wake_is_measured_beside_a_bare_loop() {
    let (said, _) = study("wake");
    for part in ["a loop on epoll that sleeps", "bare eventfd", "busy", "CPU ns"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn timers_are_measured_among_a_million_others() {
    let (said, _) = study("timers");
    for part in ["among 1,000,000 others", "arm, map", "cancel", "fire"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn the_ways_to_accept_are_compared_by_evenness_and_by_the_slowest_clients() {
    let (said, json) = study("balance");
    for part in ["loads 4 loops the most evenly", "99 of 100 clients", "EPOLLEXCLUSIVE 2"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let figures = json["figures"].as_array().unwrap();
    for what in ["one acceptor open", "SO_REUSEPORT accepted", "EPOLLEXCLUSIVE p99"] {
        assert_eq!(figures.iter().filter(|one| one["what"] == what).count(), 2, "{what}");
    }
    // An acceptor that counts the connections of each loop is even.
    let open = figures.iter().filter(|one| one["what"] == "one acceptor open");
    assert!(open.into_iter().all(|one| one["median"].as_f64().unwrap() < 2.0), "{said}");
}
