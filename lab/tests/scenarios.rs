//! The scenarios of the lab: each is played without a browser, and its records show what it promises.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tripoll_lab::live::{Lab, Options, scenarios};

/// How long a scenario may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A scenario that was played, as its records.
struct Played {
    records: Vec<(&'static str, Value)>,
}

/// Runs this test in a process of its own: the others open and close descriptors, too, and a limit is
/// that of the process.
fn alone(name: &str, body: impl FnOnce()) {
    const MARK: &str = "LAB_ALONE";
    if std::env::var_os(MARK).is_some() {
        return body();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args([name, "--exact", "--nocapture"]).env(MARK, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Begins a scenario, and plays its steps.
fn play(id: &str) -> Played {
    let scenario = Some(id.to_string());
    let lab = Lab::begin(&Options { scenario, ..Options::default() }).unwrap();
    let mut played = Played { records: Vec::new() };
    let mut place = 0;
    played.until_script_ends(&lab, &mut place);
    lab.control("op=play", b"").unwrap();
    played.until_script_ends(&lab, &mut place);
    if std::env::var_os("LAB_SHOW").is_some() {
        played.show();
    }
    lab.end().unwrap();
    played
}

impl Played {
    /// Returns the turns.
    fn turns(&self) -> Vec<&Value> {
        self.of("turn")
    }

    fn of(&self, name: &str) -> Vec<&Value> {
        let records = self.records.iter().filter(|(found, _)| *found == name);
        records.map(|(_, record)| record).collect()
    }

    /// Returns the turn with this number.
    fn turn(&self, t: u64) -> &Value {
        self.turns().into_iter().find(|turn| turn["t"] == t).expect("such a turn")
    }

    /// Returns the last that is known of a client.
    fn client(&self, id: u64) -> Value {
        let mut of_events = self.of("client").into_iter().map(|it| &it["client"]);
        of_events.rfind(|it| it["id"] == id).expect("such a client").clone()
    }

    fn until_script_ends(&mut self, lab: &Lab, place: &mut u64) {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < LIMIT, "the script has not ended");
            let Some(entry) = lab.hub().wait(*place, Duration::from_secs(1)) else { continue };
            *place = entry.place + 1;
            let record: Value = serde_json::from_str(&entry.json).unwrap();
            let is_end = entry.name == "control" && record["op"] == "script";
            self.records.push((entry.name, record));
            if is_end {
                return;
            }
        }
    }

    /// Prints the records, for those who write scenarios.
    fn show(&self) {
        for (name, it) in &self.records {
            match *name {
                "turn" => eprintln!(
                    "turn {} {} reported {} calls {} ghosts {} lints {} skipped {} died {}",
                    it["t"],
                    it["wait"]["raw"],
                    it["reported"].as_array().map_or(0, Vec::len),
                    it["calls"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .take(6)
                        .map(|call| format!(
                            "{}({})={}{}",
                            call["what"], call["fd"], call["result"], call["error"]
                        ))
                        .collect::<String>(),
                    it["ghosts"],
                    it["lints"],
                    it["skipped"],
                    it["died"]
                ),
                "snapshot" => eprintln!("  snapshot {} {}", it["turn"], it["gate"]),
                "hello" => eprintln!("hello {} {}", it["scenario"], it["handler"]),
                _ => eprintln!("  {name} {it}"),
            }
        }
    }
}

#[test]
fn show_one() {
    let Some(id) = std::env::var("LAB_SHOW").ok() else { return };
    for scenario in scenarios::all() {
        if id == "all" || scenario.id == id {
            play(&scenario.id);
        }
    }
}

/// Returns the row of a client.
fn row<'t>(turn: &'t Value, name: &str) -> &'t Value {
    let rows = turn["sources"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap_or(&Value::Null)
}

/// Returns the mask with which the wait has reported a descriptor.
fn mask<'t>(turn: &'t Value, fd: &Value) -> Option<&'t str> {
    let raw = turn["wait"]["raw"].as_array().unwrap();
    raw.iter().find(|raw| raw["fd"] == *fd)?["mask"].as_str()
}

/// Returns the results of the calls of this name: a number, or an error.
fn results<'t>(turn: &'t Value, what: &str) -> Vec<&'t Value> {
    let calls = turn["calls"].as_array().unwrap().iter().filter(|call| call["what"] == what);
    calls
        .map(|call| if call["error"].is_null() { &call["result"] } else { &call["error"] })
        .collect()
}

fn lints(turn: &Value) -> Vec<&str> {
    let lints = turn["lints"].as_array().unwrap();
    lints.iter().map(|lint| lint["id"].as_str().unwrap()).collect()
}

/// Returns how many turns each run had: from a control to the next.
fn turns_of_runs(played: &Played) -> Vec<u64> {
    let mut runs = Vec::new();
    let (mut began, mut last) = (None, 0);
    for (name, record) in &played.records {
        match *name {
            "turn" => last = record["t"].as_u64().unwrap(),
            "snapshot" => last = last.max(record["turn"].as_u64().unwrap()),
            "control" => {
                runs.extend(began.take().map(|began| last - began));
                began = (record["value"] == "running").then_some(last);
            }
            _ => {}
        }
    }
    runs
}

#[test]
fn an_edge_that_is_not_drained_stalls() {
    let played = play("edge-stall");
    let fd = &row(played.turn(2), "client 1")["fd"];
    assert_eq!(results(played.turn(2), "read"), [1_024]);
    for t in [3, 4] {
        let turn = played.turn(t);
        assert_eq!((&turn["wait"]["returned"], &turn["ghosts"][0]), (&0.into(), fd));
        assert_eq!(row(turn, "client 1")["read_queue"], 1_024);
    }
    assert_eq!(lints(played.turn(4)), ["lost-edge"]);
    // One more byte is a new edge. The level trigger reports what is left.
    assert_eq!(mask(played.turn(5), fd), Some("IN"));
    assert_eq!(
        (mask(played.turn(6), fd), results(played.turn(6), "read")),
        (Some("IN"), vec![&1.into()])
    );
}

#[test]
fn an_end_that_is_ignored_spins_within_a_second() {
    let played = play("eof-spin");
    let first = played.turn(4);
    assert_eq!((results(first, "read"), lints(first)), (vec![&0.into()], vec!["end-ignored"]));
    let spin = played.turns().into_iter().find(|turn| lints(turn).contains(&"spin")).unwrap();
    let took = spin["at_us"].as_u64().unwrap() - played.turn(5)["at_us"].as_u64().unwrap();
    assert!(took < 1_000_000, "{took} µs");
    assert!(turns_of_runs(&played)[0] > 1_000);
}

#[test]
fn a_write_interest_without_data_spins_unless_it_is_edge_triggered() {
    let played = play("write-always");
    assert_eq!(lints(played.turn(4)), ["write-idle"]);
    let [level, edge] = turns_of_runs(&played)[..] else { panic!("two runs") };
    assert!(level > 1_000 && edge < 20, "{level} and {edge}");
    assert!(!played.turns().iter().any(|turn| lints(turn).contains(&"lost-edge")));
}

#[test]
fn a_slow_reader_costs_memory_or_stops_all_others() {
    let played = play("slow-reader");
    let buffered = row(played.turn(2), "client 1")["buffered"].as_u64().unwrap();
    assert!(buffered > 10_000_000, "{buffered}");
    assert!(lints(played.turn(2)).contains(&"growing-buffer"));
    assert_eq!(results(played.turn(3), "write")[0], 5, "client 2 is answered meanwhile");
    assert!(played.of("busy").iter().any(|it| it["what"] == "write"), "no write blocks");
    let (sent, received) = (played.client(2)["sent"].clone(), played.client(2)["received"].clone());
    assert_eq!((sent, received), (10.into(), 10.into()), "it is answered at last");
    // Its answer came after the blocking call.
    let place = |is: &dyn Fn(&str, &Value) -> bool| {
        played.records.iter().position(|(name, it)| is(name, it))
    };
    let asked = place(&|name, it| name == "client" && it["client"]["sent"] == 10).unwrap();
    let answered = place(&|name, it| name == "client" && it["client"]["received"] == 10).unwrap();
    let blocked = place(&|name, it| name == "busy" && it["what"] == "write").unwrap();
    assert!(blocked < asked && asked < answered);
}

#[test]
fn the_costs_depend_on_how_many_are_active() {
    let played = play("crossover");
    let looked = |t, call: &str| played.turn(t)["cost"][call]["looked"].as_u64().unwrap();
    assert_eq!(looked(3, "epoll"), 1);
    assert_eq!(looked(4, "epoll"), 30);
    assert!(looked(3, "poll") >= 31 && looked(4, "poll") >= 31);
    assert_eq!(played.turn(5)["wait"]["call"], "poll");
}

#[test]
fn goodbyes_have_these_masks() {
    let played = play("goodbyes");
    let first = played.turn(5);
    let fds: Vec<Value> =
        (1..=4).map(|id| row(played.turn(4), &format!("client {id}"))["fd"].clone()).collect();
    let masks: Vec<_> = fds.iter().map(|fd| mask(first, fd).unwrap_or_default()).collect();
    assert_eq!(masks, ["IN|RDHUP", "IN|RDHUP", "IN|ERR|HUP|RDHUP", "PRI"]);
    let reads = results(first, "read");
    assert_eq!(reads, [&0.into(), &0.into(), &Value::from("ECONNRESET")]);
    // A write tells a close from a half-close, and the program dies of it.
    let last = played.turn(7);
    assert_eq!(mask(last, &fds[0]), Some("IN|OUT|RDHUP"));
    assert_eq!(mask(last, &fds[1]), Some("IN|OUT|ERR|HUP|RDHUP"));
    assert_eq!(results(last, "write"), [&3.into(), &Value::from("EPIPE")]);
    assert_eq!(last["gate"], "dead");
}

#[test]
fn messages_stick_together_and_are_cut() {
    let played = play("sticky");
    assert_eq!(results(played.turn(2), "read"), [16]);
    assert_eq!(results(played.turn(4), "read"), [1_024]);
    assert!(played.turn(4)["died"].as_str().unwrap().contains("utf-8"));
}

#[test]
fn a_closed_descriptor_is_reported_as_long_as_a_duplicate_is_open() {
    let played = play("zombie");
    let before = row(played.turn(1), "client 2");
    for t in [2, 3, 4] {
        assert_eq!(lints(played.turn(t)), ["zombie"]);
        assert_eq!(mask(played.turn(t), &before["fd"]), Some("IN|RDHUP"));
    }
    assert_eq!(played.turn(4)["reported"], Value::from(Vec::<i32>::new()));
    let (old, new) = (row(played.turn(1), "client 1"), row(played.turn(5), "client 3"));
    assert_eq!((&old["slot"], &old["gen"], &new["gen"]), (&new["slot"], &1.into(), &2.into()));
}

#[test]
fn a_blocking_read_stops_everybody() {
    let played = play("edge-blocking");
    assert_eq!(results(played.turn(2), "write"), [6], "client 2 is answered");
    let busy = played.of("busy");
    assert_eq!(busy[0]["what"], "read");
    assert!(busy.iter().any(|busy| busy["for_ms"].as_u64() > Some(800)));
    assert_eq!(results(played.turn(3), "read"), [6, 0], "until the client has ended");
    assert_eq!(played.client(2)["received"], 11, "client 2 is answered at last");
}

#[test]
fn the_write_list_has_what_can_be_written_to() {
    let played = play("fill-sndbuf");
    let took = results(played.turn(2), "write");
    assert!(took[0].as_u64() > Some(100_000) && *took[1] == "EAGAIN", "{took:?}");
    for t in [3, 4] {
        let turn = played.turn(t);
        assert!(row(turn, "client 1")["interest"].as_str().unwrap().contains('w'));
        assert_eq!((&turn["wait"]["returned"], &turn["ghosts"][0]), (&0.into(), &Value::Null));
    }
    let turn = played.turn(5);
    assert_eq!(mask(turn, &row(turn, "client 1")["fd"]), Some("w"));
}

#[test]
fn what_is_copied_depends_on_numbers_on_descriptors_or_on_events() {
    alone("what_is_copied_depends_on_numbers_on_descriptors_or_on_events", || {
        let played = play("copied-bytes");
        let copied = |t, call: &str| {
            let cost = &played.turn(t)["cost"][call];
            (cost["in"].as_u64().unwrap(), cost["out"].as_u64().unwrap())
        };
        let highest = row(played.turn(2), "client 20")["fd"].as_u64().unwrap();
        assert!(highest > 500, "{highest}");
        let set = (highest / 64 + 1) * 8;
        assert_eq!(
            copied(2, "select").0 % set,
            0,
            "whole sets of {set} bytes: {:?}",
            copied(2, "select")
        );
        let watched = played.turn(3)["sources"].as_array().unwrap().len() as u64;
        assert_eq!(copied(3, "poll").0, 8 * watched);
        assert_eq!(copied(4, "epoll"), (0, 12));
        assert_eq!(
            ["select", "poll", "epoll_wait"],
            [2, 3, 4].map(|t| &played.turn(t)["wait"]["call"])
        );
    });
}

#[test]
fn the_third_list_has_urgent_bytes_and_no_errors() {
    let played = play("third-list");
    let turn = played.turn(3);
    let fd = |name| row(played.turn(2), name)["fd"].clone();
    assert_eq!(mask(turn, &fd("client 1")), Some("r"));
    assert_eq!(mask(turn, &fd("client 2")), Some("e"));
    assert_eq!(results(turn, "read"), ["ECONNRESET"]);
}

#[test]
fn select_takes_numbers_above_its_limit() {
    if tripoll::sys::descriptor_limit().unwrap().hard < 1_200 {
        return eprintln!("skipped: this process may not open 1,200 descriptors");
    }
    alone("select_takes_numbers_above_its_limit", || {
        let played = play("fd-1024");
        let client = row(played.turn(2), "client 1");
        let fd = client["fd"].as_u64().unwrap();
        assert!(fd > 1_100, "{fd}");
        let args = played.turn(2)["wait"]["args"].as_str().unwrap();
        assert!(args.starts_with(&format!("nfds {}", fd + 1)), "{args}");
        assert_eq!(
            (mask(played.turn(2), &client["fd"]), results(played.turn(2), "write")),
            (Some("r"), vec![&6.into()])
        );
    });
}

#[test]
fn a_slow_handler_stops_everybody_unless_a_pool_works() {
    let played = play("block-200ms");
    let ns = |turn: &Value| turn["measured"]["handler_ns"].as_u64().unwrap();
    let slow =
        played.turns().into_iter().find(|turn| lints(turn).contains(&"slow-handler")).unwrap();
    assert!(ns(slow) >= 600_000_000, "{}", ns(slow));
    let place = played.records.iter().position(|(_, it)| it["handler"] == "pool").unwrap();
    let after: Vec<&Value> = played.records[place..]
        .iter()
        .filter(|(name, _)| *name == "turn")
        .map(|(_, it)| it)
        .collect();
    assert!(after.iter().all(|turn| ns(turn) < 100_000_000));
    assert_eq!(after.iter().map(|turn| results(turn, "write").len()).sum::<usize>(), 3);
}

#[test]
fn a_worker_wakes_the_loop() {
    let played = play("pool-handoff");
    assert_eq!(played.turn(2)["dispatches"][0]["outcome"], "disarmed");
    let turn = played.turn(3);
    assert!(turn["wait"]["slept_ns"].as_u64() > Some(100_000_000));
    let waker = turn["reported"][0]["fd"].clone();
    let rows = turn["sources"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["fd"] == waker && row["role"] == "waker"));
    assert_eq!(results(turn, "write"), [6]);
}

#[test]
fn bytes_pile_up_in_the_program_or_with_the_sender() {
    let played = play("backpressure");
    let buffered = |t| row(played.turn(t), "client 1")["buffered"].as_u64().unwrap();
    // The kernel takes the first answers. After that, each one stays in the program.
    assert!(buffered(11) > buffered(10) && buffered(10) > buffered(9) && buffered(9) > 100_000);
    assert!(lints(played.turn(11)).contains(&"growing-buffer"));
    let last = row(played.turn(14), "client 1");
    assert_eq!((buffered(12), &last["interest"]), (buffered(14), &"w".into()));
    assert!(last["read_queue"].as_u64() > Some(100_000), "{last}");
}

#[test]
fn one_loop_takes_the_whole_queue() {
    let played = play("herd");
    let accepts = results(played.turn(1), "accept");
    assert_eq!((accepts.len(), accepts[10]), (11, &"EAGAIN".into()));
    for t in [2, 3, 4] {
        assert_eq!(results(played.turn(t), "accept").len(), 1);
    }
}

#[test]
fn one_shot_reports_to_one_wait_and_what_is_left_when_armed_again() {
    let played = play("oneshot");
    let revealed = played.of("snapshot").into_iter().find(|it| it["gate"] == "after").unwrap();
    assert_eq!(row(revealed, "client 1")["armed"], false);
    assert_eq!(row(played.turn(2), "client 1")["armed"], true);
    assert_eq!(
        (results(played.turn(2), "read"), results(played.turn(3), "read")),
        (vec![&1_024.into()], vec![&1_024.into()])
    );
    assert_eq!(played.turn(4)["ghosts"][0], Value::Null);
}

#[test]
fn a_listener_without_descriptors_spins() {
    alone("a_listener_without_descriptors_spins", || {
        let played = play("emfile");
        for t in [1, 2] {
            assert_eq!(results(played.turn(t), "accept"), ["EMFILE"]);
        }
        assert!(turns_of_runs(&played)[0] > 1_000, "it does not spin");
        let ends = played.turns().into_iter().rev().map(|turn| results(turn, "accept"));
        let after: Vec<_> = ends.take(2).collect();
        assert!(after.concat().iter().any(|it| it.is_u64()), "nothing was accepted: {after:?}");
    });
}

#[test]
fn the_kernel_connects_one_more_than_the_backlog() {
    let played = play("backlog");
    let before = played.of("snapshot").into_iter().rfind(|it| it["turn"] == 0).unwrap();
    let states = |state: &str| {
        let clients = before["clients"].as_array().unwrap().iter();
        clients.filter(|client| client["state"] == state).count()
    };
    assert_eq!((states("open"), states("connecting"), states("refused")), (6, 4, 0));
    let accepted: usize = played
        .turns()
        .iter()
        .map(|turn| results(turn, "accept").iter().filter(|it| it.is_u64()).count())
        .sum();
    assert_eq!(accepted, 10, "the others have tried again");
}

#[test]
fn a_connect_to_nowhere_is_refused() {
    let played = play("connect-refused");
    assert_eq!(
        (&played.client(1)["state"], &played.client(2)["state"]),
        (&"open".into(), &"refused".into())
    );
}

#[test]
fn a_client_that_was_reset_is_accepted_and_fails_then() {
    let played = play("accept-race");
    assert!(results(played.turn(1), "accept")[0].is_u64());
    assert_eq!(results(played.turn(2), "read"), ["ECONNRESET"]);
    assert_eq!(played.turn(2)["gone"][0]["why"], "ECONNRESET");
}

#[test]
fn a_budget_ends_the_calls_of_a_busy_client() {
    let played = play("firehose");
    let done = |turn: &Value, name: &str| {
        let fd = &row(turn, name)["fd"];
        let dispatches = turn["dispatches"].as_array().unwrap();
        dispatches.iter().find(|done| done["fd"] == *fd).cloned().unwrap_or_default()
    };
    let before = done(played.turn(2), "client 1");
    assert!(before["read"].as_u64() > Some(1 << 20), "{before}");
    assert!(played.turns().iter().any(|turn| lints(turn).contains(&"hog")));
    let after: Vec<_> = (22..=24).map(|t| done(played.turn(t), "client 1")).collect();
    assert!(after.iter().all(|it| it["read"].as_u64() <= Some(16_384)), "{after:?}");
    assert!(after.iter().any(|it| it["cut_off"] == true), "{after:?}");
    for name in ["client 2", "client 3"] {
        assert_eq!(done(played.turn(22), name)["written"], 6, "{name} is served in that turn");
    }
}

#[test]
fn a_file_is_always_ready_and_not_in_the_kernels_list() {
    let played = play("regular-file");
    for t in 1..=3 {
        let turn = played.turn(t);
        let fd = &row(turn, "file")["fd"];
        assert!(turn["reported"].as_array().unwrap().iter().any(|it| it["fd"] == *fd));
        assert!(turn["wait"]["slept_ns"].as_u64() < Some(50_000_000));
        if t < 3 {
            let list = turn["kernel"].as_array().unwrap();
            assert!(list.iter().all(|entry| entry["fd"] != *fd) && !list.is_empty());
        }
    }
}

#[test]
fn a_wait_of_ten_seconds_ends_when_it_is_woken() {
    let played = play("shutdown");
    let turn = played.turn(2);
    assert_eq!(
        (&turn["wait"]["timeout_ms"], &turn["wait"]["nudged"]),
        (&10_000.into(), &true.into())
    );
    assert!(turn["wait"]["slept_ns"].as_u64() < Some(3_000_000_000));
}

#[test]
fn an_unknown_scenario_is_refused_with_the_list() {
    let options = Options { scenario: Some("et-stal".into()), ..Options::default() };
    let error = Lab::begin(&options).unwrap_err().to_string();
    assert!(error.contains("no scenario et-stal; there are edge-stall, "), "{error}");
    let lab = Lab::begin(&Options::default()).unwrap();
    assert!(lab.control("scenario=x", b"").unwrap_err().contains("edge-stall, "));
    assert_eq!(lab.control("op=play", b""), Err("No scenario is running.".into()));
}

#[test]
fn each_scenario_has_its_texts_and_its_chapter() {
    let book = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../book/en/src");
    let mut last = 0;
    for scenario in scenarios::all() {
        let id = &scenario.id;
        assert!(scenario.question > last, "{id} stands in its place, and each question has one");
        last = scenario.question;
        assert!(book.join(&scenario.chapter).with_extension("md").exists(), "{id}");
        assert!((2..=3).contains(&scenario.steps.len()), "{id}");
        assert!(!scenario.play.is_empty(), "{id} runs something");
        let texts = scenario.steps.iter().chain([&scenario.title, &scenario.see]);
        for text in texts {
            let is_chinese = |c: char| ('\u{4e00}'..'\u{9fff}').contains(&c);
            assert!(text.en.len() > 10 && text.zh.chars().any(is_chinese), "{id}: {text:?}");
        }
        for action in scenario.setup.iter().chain(&scenario.play) {
            assert!(action.check().is_ok(), "{id}: {action:?}");
        }
    }
    assert_eq!((last, scenarios::all().len()), (25, 25));
}

#[test]
fn the_list_has_each_name_and_its_question() {
    let list = |language: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tripoll"));
        let output = command.args(["lab", "--list"]).env("LC_ALL", language).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let (english, chinese) = (list("C"), list("zh_CN.UTF-8"));
    assert_eq!(english.lines().count(), scenarios::all().len());
    assert!(english.starts_with(" 1  edge-stall "), "{english}");
    assert!(english.contains("Edge or level") && chinese.contains("边缘触发和水平触发"));
}

#[test]
fn each_question_of_the_book_names_its_scenario() {
    let book = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../book");
    for language in ["en", "zh"] {
        let page = std::fs::read_to_string(book.join(language).join("src/questions.md")).unwrap();
        assert!(page.contains("`cargo run --release -- lab --scenario NAME`"), "{language}");
        let rows = page.lines().filter(|line| line.starts_with("| ")).skip(1);
        let named: Vec<&str> = rows.map(|row| row.rsplit('`').nth(1).unwrap_or(row)).collect();
        let known: Vec<&str> = scenarios::all().iter().map(|it| it.id.as_str()).collect();
        assert_eq!(named, known, "{language}");
    }
}
