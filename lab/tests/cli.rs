//! The command line: its output and its exit codes.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

const TRIPOLL: &str = env!("CARGO_BIN_EXE_tripoll");

fn tripoll(arguments: &str) -> Output {
    Command::new(TRIPOLL).args(arguments.split(' ')).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Parses the line of three figures of a single run.
fn figures(line: &str) -> Vec<f64> {
    let fields: Vec<_> = line.trim_end().split(' ').map(|f| f.split_once('=').unwrap()).collect();
    assert_eq!(
        fields.iter().map(|f| f.0).collect::<Vec<_>>(),
        ["ns", "cpu_ns", "reg_ns"],
        "{line}"
    );
    fields.iter().map(|f| f.1.parse().unwrap()).collect()
}

#[test]
fn a_single_run_prints_one_line_of_three_figures() {
    for arguments in [
        "ring --n 20 --active 3 --writes 2000 --backend poll --layer raw-zero",
        "ring --n 5 --active 5 --writes 2000 --backend epoll --trigger edge --layer selector",
        "ring --n 5 --writes 2000 --backend mio",
        "watch --n 20 --ops 2000 --backend select --trigger level --layer raw",
        "ring --n 5 --writes 2000 --backend epoll --trigger edge --layer reactor",
        "watch --n 5 --ops 2000 --backend poll --layer reactor",
    ] {
        let output = tripoll(arguments);
        assert!(output.status.success(), "{arguments}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout).lines().count(), 1);
        assert!(figures(text(&output.stdout)).iter().all(|&ns| ns > 0.0), "{arguments}");
        assert_eq!(text(&output.stderr), "", "{arguments}");
    }
}

#[test]
fn a_handoff_prints_what_a_job_costs_in_lines_of_80_columns() {
    for arguments in
        ["", " --in-flight 1 --workers 1 --backend poll", " --in-flight 5 --backend mio --peers"]
    {
        let output = tripoll(&format!("handoff --jobs 2000{arguments}"));
        assert!(output.status.success(), "{output:?}");
        let report = text(&output.stdout);
        assert!(report.lines().all(|line| line.chars().count() <= 80), "{report}");
        for what in ["  time ", "  processor time", "  waits of the loop", "  sleeps of threads"] {
            let line = report.lines().find(|line| line.starts_with(what)).expect(report);
            let figure = line.split_whitespace().find_map(|word| word.parse::<f64>().ok());
            assert!(figure.is_some_and(|figure| figure >= 0.0), "{line}");
        }
        let of_peers = report.lines().filter(|line| line.starts_with("  time, ")).count();
        assert_eq!(of_peers >= 2, arguments.ends_with("--peers"), "{report}");
        // A wake of the loop is a system call, or is saved: each job has one.
        let wakes = report.lines().filter(|line| line.starts_with("  wakes of the loop"));
        let wakes =
            wakes.map(|line| line.split_whitespace().find_map(|word| word.parse::<f64>().ok()));
        let sum: f64 = wakes.map(Option::unwrap).sum();
        assert!((0.9..1.1).contains(&sum), "{report}");
    }
}

#[test]
fn the_reactor_takes_every_trigger_and_prints_the_effective_one() {
    for (backend, trigger, effective) in [
        ("select", "edge", "level"),
        ("poll", "edge", "level"),
        ("poll", "oneshot", "level"),
        ("epoll", "oneshot", "level"),
        ("mio", "level", "edge"),
        ("mio", "oneshot", "edge"),
    ] {
        let output = tripoll(&format!(
            "ring --n 20 --active 3 --writes 2000 --layer reactor --backend {backend} --trigger \
             {trigger}"
        ));
        let said = text(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(figures(text(&output.stdout)).iter().all(|&ns| ns > 0.0));
        assert_eq!(said, format!("--trigger {trigger}: {backend} is asked by {effective}\n"));
    }
}

/// The line of a way has four counts and their ratio, twice.
#[test]
fn balance_accounts_for_all_connections_of_each_way() {
    for backend in ["select", "poll", "epoll", "mio"] {
        let output = tripoll(&format!("balance --connections 400 --backend {backend}"));
        assert!(output.status.success(), "{}", text(&output.stderr));
        let report = text(&output.stdout);
        assert!(report.starts_with(&format!("400 connections to 4 loops on {backend}, ")));
        let mut lines = report.lines().skip_while(|line| !line.contains("max/min  ")).skip(1);
        let mut all_open = Vec::new();
        for way in
            ["least-connections", "round-robin", "peer-address", "reuse-port", "shared-listener"]
        {
            let line = lines.next().unwrap();
            let fields: Vec<&str> = line.split_whitespace().collect();
            assert_eq!((fields[0], fields.len()), (way, 11), "{line}");
            let sum =
                |counts: &[&str]| -> u64 { counts.iter().map(|n| n.parse::<u64>().unwrap()).sum() };
            assert_eq!(sum(&fields[1..5]), 400, "{line}");
            all_open.push(sum(&fields[6..10]));
            if way == "least-connections" {
                assert!(fields[10].parse::<f64>().unwrap() <= 1.5, "{line}");
            }
        }
        // The same clients came each time.
        assert!(all_open[0] > 0 && all_open.iter().all(|&open| open == all_open[0]), "{report}");
        assert_eq!(lines.next(), None);
    }
}

#[test]
fn wrong_arguments_exit_with_2_and_one_line_that_names_the_option() {
    for (arguments, named) in [
        ("ring --n 10 --active 11", "--active 11"),
        ("ring --n 0", "--n"),
        ("ring --writes many", "--writes"),
        ("ring --backend kqueue", "--backend"),
        ("ring --backend select --trigger edge", "--trigger edge"),
        ("ring --backend mio --trigger level", "--trigger level"),
        ("ring --backend epoll --layer raw-zero", "--layer raw-zero"),
        ("ring --backend epoll --trigger oneshot", "--trigger oneshot"),
        ("ring --layer cooked", "--layer"),
        ("handoff --in-flight 0", "--in-flight"),
        ("handoff --workers 2000", "--workers"),
        ("watch --active 3", "--active"),
        ("compare --rapidly", "--rapidly"),
        ("compare --layer raw", "--layer"),
        ("compare --fds 0", "--fds"),
        ("compare --fds 9..3", "--fds"),
        ("compare --fds 10 --active 11", "--active 11 is more than --fds 10"),
        ("compare --active 101%", "--active"),
        ("compare --changes 3", "--changes"),
        ("compare --kind fifo", "--kind"),
        ("compare --trigger oneshot", "--trigger oneshot"),
        ("compare --preset all", "--preset"),
        ("compare --preset full --fds 10", "--fds"),
        ("compare --sleep --active 2", "--active"),
        ("compare --fail-if tripoll/raw=1", "--fail-if"),
        ("compare --fail-if tripoll/bare>1", "`bare` is not known"),
        ("compare --fail-if tripoll/libuv>1", "--fail-if 'tripoll/libuv > 1'"),
        ("compare --fail-if tripoll/baseline>1", "it needs --baseline FILE"),
        ("compare --baseline Cargo.toml", "--baseline Cargo.toml: it is no report"),
        ("compare --workload juggling", "--workload"),
        ("compare --workload auto --fds 10", "--fds"),
        ("compare --preset auto --fail-if tripoll/raw>1", "--fail-if cannot be used"),
        ("balance --threads 0", "--threads"),
        ("balance --connections 1000000000 --one-stays-of 1", "--connections 1000000000"),
        ("juggle", "juggle"),
        ("compair", "a similar subcommand exists: 'compare'"),
        ("ring --layr raw", "a similar argument exists: '--layer'"),
        ("ring --backend epol", "a similar value exists: 'epoll'"),
    ] {
        let output = tripoll(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments}");
        let reason = text(&output.stderr);
        assert_eq!(reason.lines().count(), 1, "{arguments}: {reason}");
        assert!(reason.starts_with("error: ") && reason.contains(named), "{arguments}: {reason}");
        assert!(output.stdout.is_empty());
    }
}

/// A load of few points takes a second, even here. What its figures are is not looked at.
#[test]
fn compare_answers_for_the_load_that_it_is_asked_about() {
    for (arguments, said) in [
        ("--fds 20 --active 10%", "At 20 watched and 2 ready, times epoll: select costs "),
        ("--fds 20 --active 2 --changes 1 --kind unix", "2 ready on Unix sockets with a change of"),
        ("--fds 10 --kind tcp --trigger edge", "times edge-triggered epoll: select costs "),
        ("--fds 5 --kind pipe,tcp", "At 5 watched and one ready on TCP connections, times epoll: "),
        ("--fds 10 --sleep --layer reactor", "one ready while the wait sleeps"),
        ("--fds 2,5..10 --kind unix", "an event on a Unix socket: its share of the wait"),
    ] {
        let output = tripoll(&format!("compare --quick {arguments}"));
        assert!(output.status.success(), "{arguments}: {}", text(&output.stderr));
        let report = text(&output.stdout);
        let words = report.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(report.starts_with("Take ") && words.contains(said), "{arguments}: {report}");
        assert!(report.lines().all(|line| line.chars().count() <= 80), "{report}");
    }
}

#[test]
fn the_presets_are_listed_with_what_they_measure() {
    let output = tripoll("compare --list");
    assert!(output.status.success());
    let names: Vec<&str> =
        text(&output.stdout).lines().filter_map(|line| line.split(' ').next()).collect();
    let presets = ["--preset", "crossover", "c10k", "peers", "full", "", "--workload"];
    assert_eq!(names[..presets.len()], presets);
    assert_eq!(names[presets.len()], "auto");
}

#[test]
fn more_pipes_than_the_limit_allows_are_refused_with_both_numbers() {
    let limited = format!("ulimit -n 80; exec {TRIPOLL} ring --n 50");
    let output = Command::new("sh").args(["-c", &limited]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let reason = text(&output.stderr);
    assert!(reason.contains("--n 50") && reason.contains("80"), "{reason}");
    assert_eq!(reason.lines().count(), 1, "{reason}");
}

#[test]
fn a_file_that_cannot_be_written_is_refused_before_the_measurement() {
    let output = tripoll("compare --quick --export-json /dev/null/report.json");
    assert_eq!(output.status.code(), Some(1));
    let reason = text(&output.stderr);
    assert!(reason.starts_with("error: --export-json /dev/null/report.json: "), "{reason}");
    assert_eq!(reason.lines().count(), 1, "{reason}");
}

#[test]
fn a_page_is_written_where_it_is_asked_for() {
    let path = std::env::temp_dir().join(format!("tripoll-page-{}.html", std::process::id()));
    let arguments = format!("compare --quick --fds 2,5,10 --report {}", path.display());
    let output = tripoll(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let page = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(page.contains(&format!("tripoll {arguments}")) && page.contains("<svg "));

    let refused = tripoll("compare --quick --report /dev/null/report.html");
    assert!(text(&refused.stderr).starts_with("error: --report /dev/null/report.html: "));
}

/// A file of its own, which is removed.
struct File(std::path::PathBuf);

impl File {
    fn new(ending: &str) -> Self {
        let name = format!("tripoll-{}-{ending}", std::process::id());
        File(std::env::temp_dir().join(name))
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.0).unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn the_results_are_exported_and_are_the_baseline_of_the_next_run() {
    let files = ["export.json", "export.md", "export.csv"].map(File::new);
    let [json, markdown, csv] = files.each_ref().map(|file| file.0.display());
    let output = tripoll(&format!(
        "compare --quick --fds 4,20 --export-json {json} --export-markdown {markdown} \
         --export-csv {csv}"
    ));
    assert!(output.status.success(), "{}", text(&output.stderr));

    let report: serde_json::Value = serde_json::from_str(&files[0].text()).unwrap();
    assert_eq!(report["schema"], 5);
    for known in ["kernel", "load", "load_after", "cpu"] {
        assert!(report["machine"].get(known).is_some(), "{known}");
    }
    let cells = report["cells"].as_array().unwrap();
    for samples in ["samples_cpu_ns", "samples_wall_ns", "samples_registration_ns"] {
        assert!(cells.iter().all(|cell| cell[samples].as_array().unwrap().len() == 5), "{samples}");
    }
    let rows = files[2].text();
    let columns = |row: &str| row.split(',').count();
    let head = rows.lines().next().unwrap();
    assert!(head.starts_with("workload,watched,ready,"), "{head}");
    assert_eq!(rows.lines().count(), 1 + cells.len());
    assert!(rows.lines().all(|row| columns(row) == columns(head)), "{rows}");
    let page = files[1].text();
    let table: Vec<&str> = page.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(table.len(), 2 + 2, "{page}");
    let bars = |row: &str| row.matches('|').count();
    assert!(table.iter().all(|row| bars(row) == bars(table[0])), "{page}");

    let again = |more: &[&str]| {
        let json = json.to_string();
        let arguments = ["compare", "--quick", "--fds", "4", "--baseline", &json];
        Command::new(TRIPOLL).args(arguments).args(more).output().unwrap()
    };
    // Nothing is a thousand times as dear, and nothing is free.
    let output = again(&["--fail-if", "tripoll/baseline > 1000", "--fail-if", "epoll/poll < 0"]);
    let said = text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(said.contains(&format!("Since {json} (tripoll ")), "{said}");
    assert!(said.contains("'tripoll/baseline > 1000': it does not hold: "), "{said}");
    let output = again(&["--fail-if", "tripoll/raw > 0.001"]);
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("--fail-if 'tripoll/raw > 0.001': it holds: "), "{said}");

    let other = tripoll(&format!("compare --fds 4 --kind unix --baseline {json}"));
    assert_eq!(other.status.code(), Some(2));
    assert!(text(&other.stderr).contains("it was measured with --kind pipe, not unix"));
}

#[test]
fn ctrl_c_exits_with_130_and_one_line() {
    let mut compare = Command::new(TRIPOLL)
        .args(["compare", "--quick"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut progress = BufReader::new(compare.stderr.take().unwrap());
    let mut line = String::new();
    progress.read_line(&mut line).unwrap();
    assert!(line.starts_with("measuring"), "{line}");

    kill_process(Pid::from_child(&compare), Signal::INT).unwrap();
    assert_eq!(compare.wait().unwrap().code(), Some(130));
    let mut rest = String::new();
    progress.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "stopped\n");
    let mut report = String::new();
    compare.stdout.take().unwrap().read_to_string(&mut report).unwrap();
    assert_eq!(report, "");
}

#[test]
fn without_a_command_it_prints_its_help() {
    let output = Command::new(TRIPOLL).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("Usage: tripoll <COMMAND>"), "{output:?}");
}

#[test]
fn help_is_not_an_error() {
    let output = tripoll("ring --help");
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("cpu_ns="));
}
