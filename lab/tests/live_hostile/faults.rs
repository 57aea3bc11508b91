//! Faults of clients and of the process, as the records show them. The scenarios have the others.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::alone;
use crate::live_support::{Session, calls, client_row, lab_with};
use serde_json::Value;
use tripoll_lab::live::Lab;

const LIMIT: Duration = Duration::from_secs(20);

/// Returns the results of the reads of a turn.
fn reads(turn: &Value) -> Vec<u64> {
    calls(turn, "read").iter().filter_map(|call| call["result"].as_u64()).collect()
}

#[test]
fn a_half_close_is_read_as_the_end() {
    let lab = lab_with("correct");
    let mut session = Session::begin(&lab).with_client();
    session.post("op=fault&client=1&kind=half-close");
    let client = session.next_where("client", |it| it["client"]["fault"] == "half-close");
    assert_eq!(client["client"]["state"], "half-closed");
    let turn = session.step();
    let mask = turn["wait"]["raw"][0]["mask"].as_str().unwrap();
    assert!(mask.contains("RDHUP") && !mask.split('|').any(|it| it == "HUP"), "{mask}");
    assert_eq!((reads(&turn), &turn["gone"][0]["why"]), (vec![0], &"end".into()));
}

#[test]
fn a_reset_is_an_error_of_the_read() {
    let lab = lab_with("correct");
    let mut session = Session::begin(&lab).with_client();
    session.post("op=fault&client=1&kind=reset");
    let turn = session.step();
    let mask = turn["wait"]["raw"][0]["mask"].as_str().unwrap();
    assert!(mask.contains("ERR") && mask.contains("HUP"), "{mask}");
    assert_eq!(calls(&turn, "read")[0]["error"], "ECONNRESET");
    assert_eq!(turn["gone"][0]["why"], "ECONNRESET");
}

#[test]
fn a_client_that_reads_again_is_sent_the_rest() {
    let lab = lab_with("correct");
    let mut session = Session::begin(&lab).with_client();
    session.post("op=fault&client=1&kind=stop-reading");
    session.send(b"get 20000000\n", 13);
    let turn = session.step();
    let row = client_row(&turn).unwrap();
    assert!(row["buffered"].as_u64() > Some(1_000_000), "{row}");
    assert!(row["interest"].as_str().unwrap().contains('w'), "{row}");
    session.post("op=fault&client=1&kind=read-again");
    session.post("op=run");
    session.next_where("client", |it| it["client"]["received"] == 20_000_000);
    let turn = session.next_where("turn", |turn| client_row(turn).is_some());
    assert_eq!(client_row(&turn).map(|row| &row["buffered"]), Some(&0.into()));
}

#[test]
fn a_drip_is_a_turn_for_each_byte_until_it_is_calm() {
    let lab = lab_with("correct");
    let mut session = Session::begin(&lab).with_client();
    session.post("op=fault&client=1&kind=drip");
    session.post("op=run");
    for _ in 0..3 {
        session.next_where("turn", |turn| reads(turn) == [1]);
    }
    session.post("op=fault&client=1&kind=calm");
    let calm = session.next_where("client", |it| it["client"]["fault"] == "calm");
    session.post("op=fault&client=1&kind=flood");
    session.next_where("turn", |turn| reads(turn).iter().sum::<u64>() > 1_000);
    session.next_where("client", |it| {
        it["client"]["sent"].as_u64() > calm["client"]["sent"].as_u64().map(|it| it + 10_000)
    });
}

/// A handler that reads until there is nothing does not end its turn while a flood goes on.
#[test]
fn a_flood_waits_for_its_answers() {
    let lab = lab_with("edge-drained");
    let mut session = Session::begin(&lab).with_client();
    session.post("op=fault&client=1&kind=flood");
    session.post("timeout=1");
    session.post("op=run");
    let ahead = |it: &Value| {
        let count = |what: &str| it["client"][what].as_u64().unwrap();
        count("sent").saturating_sub(count("received"))
    };
    let mut answered = 0;
    while answered < 64 << 20 {
        let it = session.next("client");
        assert!(ahead(&it) <= (16 << 20) + 4096, "{it}");
        answered = it["client"]["received"].as_u64().unwrap();
    }
}

/// In a process of its own: the limit is that of all threads, and the test opens nothing meanwhile.
#[test]
fn a_limit_refuses_a_client_until_it_is_lifted() {
    alone("faults::a_limit_refuses_a_client_until_it_is_lifted", || {
        for handler in ["correct", "pool", "broadcast", "edge-drained"] {
            lift_the_limit_of(handler);
        }
    });
}

fn lift_the_limit_of(handler: &str) {
    let lab = lab_with(handler);
    lab.control("trigger=level", b"").unwrap();
    lab.control("timeout=20", b"").unwrap();
    let mut place = 0;
    lab.control("op=spawn", b"").unwrap();
    next(&lab, &mut place, "client", |it| it["client"]["state"] == "open");
    // The kernel gives the lowest number that is free.
    let free = std::fs::File::open("/dev/null").unwrap().as_raw_fd() as u64;
    lab.control(&format!("limit={free}"), b"").unwrap();
    let control = next(&lab, &mut place, "control", |it| it["op"] == "limit");
    assert_eq!(control["value"], free);
    lab.control("op=step", b"").unwrap();
    let turn = next(&lab, &mut place, "turn", |_| true);
    assert_eq!(calls(&turn, "accept")[0]["error"], "EMFILE", "{handler}");
    assert_eq!(turn["lints"][0]["id"], "out-of-descriptors");
    // As long as it lasts, the listener stays and tries again.
    lab.control("op=run", b"").unwrap();
    let fails = |turn: &Value| calls(turn, "accept").iter().any(|it| it["error"] == "EMFILE");
    let turn = next(&lab, &mut place, "turn", fails);
    assert!(turn["sources"].as_array().unwrap().iter().any(|row| row["role"] == "listener"));
    lab.control("limit=0", b"").unwrap();
    // The client is served, and so is another.
    lab.control("op=spawn", b"").unwrap();
    for client in [1, 2] {
        let control = format!("op=send&client={client}");
        lab.control(&control, b"hello\n").unwrap();
        next(&lab, &mut place, "client", |it| {
            it["client"]["id"] == client && it["client"]["last"].as_str() == Some("hello\n")
        });
    }
}

/// Returns the next record of this name of which something holds, without a connection.
#[track_caller]
fn next(lab: &Lab, place: &mut u64, name: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + LIMIT;
    loop {
        assert!(Instant::now() < until, "no such {name} in {LIMIT:?}");
        let entry = lab.hub().wait(*place, LIMIT).expect("a record");
        *place = entry.place + 1;
        let record: Value = serde_json::from_str(&entry.json).unwrap();
        if entry.name == name && holds(&record) {
            return record;
        }
    }
}
