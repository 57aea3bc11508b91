//! `tripoll lab`: what each handler does, right and wrong, as its records show it.

mod live_support;

use std::time::{Duration, Instant};

use live_support::{Session, calls, client_row, get, lab_with};
use serde_json::Value;

#[test]
fn one_read_of_an_edge_leaves_a_ghost_until_the_trigger_is_changed() {
    let lab = lab_with("edge-one-read");
    let mut session = Session::begin(&lab).with_client();
    session.post("timeout=20");
    session.send(&[b'x'; 2_048], 2_048);
    let turn = session.step();
    assert_eq!(calls(&turn, "read")[0]["result"], 1_024);
    let fd = client_row(&turn).unwrap()["fd"].clone();
    for _ in 0..2 {
        let turn = session.step();
        assert_eq!(
            (&turn["wait"]["returned"], &turn["ghosts"]),
            (&0.into(), &Value::from(vec![fd.clone()]))
        );
        let row = client_row(&turn).unwrap();
        assert_eq!((&row["ghost"], &row["read_queue"]), (&true.into(), &1_024.into()));
        assert_eq!(row["asked"], "IN|RDHUP|ET");
    }
    // The wait before a step says so, too.
    let snapshot = session.next("snapshot");
    assert_eq!(snapshot["ghosts"][0], fd);
    session.post("trigger=level");
    let control = session.next("control");
    assert_eq!((&control["op"], &control["re_reported"][0]), (&"trigger".into(), &fd));
    assert_eq!(session.step()["reported"][0]["fd"], fd);
}

#[test]
fn a_drained_edge_leaves_nothing() {
    let lab = lab_with("edge-drained");
    let mut session = Session::begin(&lab).with_client();
    session.post("timeout=20");
    session.send(&[b'x'; 2_048], 2_048);
    let turn = session.step();
    let reads = calls(&turn, "read");
    assert_eq!(reads.len(), 3);
    assert_eq!(reads[2]["error"], "EAGAIN");
    assert_eq!(session.step()["ghosts"], Value::from(Vec::<i32>::new()));
}

#[test]
fn the_tutorial_spins_after_a_half_close() {
    let lab = lab_with("tutorial");
    let mut session = Session::begin(&lab).with_client();
    session.post("op=fault&client=1&kind=half-close");
    session.post("op=run");
    let turn = session.next_where("turn", |turn| turn["skipped"].as_u64() > Some(1_000));
    assert_eq!(turn["gate"], "running");
    assert!(turn["since"]["calls"].as_u64() > Some(1_000));
    let began = Instant::now();
    let records = |session: &mut Session| {
        let mut records = 0;
        while began.elapsed() < Duration::from_secs(2) {
            session.next("turn");
            records += 1;
        }
        records
    };
    assert!((15..=45).contains(&records(&mut session)), "at most 20 in a second");
    session.post("op=pause");
    session.next_where("snapshot", |it| it["gate"] == "before");
}

#[test]
fn the_tutorial_dies_of_half_a_character_and_the_lab_does_not() {
    let lab = lab_with("tutorial");
    let mut session = Session::begin(&lab).with_client();
    let text = "好".repeat(500);
    session.send(text.as_bytes(), 1_500);
    session.post("op=step");
    let turn = session.next("turn");
    assert_eq!(turn["gate"], "dead");
    assert!(turn["died"].as_str().unwrap().contains("utf-8"), "{}", turn["died"]);
    assert!(session.control("op=step", b"").starts_with("HTTP/1.1 409 "));
    assert!(get(&lab, "/").starts_with("HTTP/1.1 200 "));
    session.post("handler=correct");
    let hello = session.next_where("hello", |it| it["handler"] == "correct");
    assert_eq!(hello["gate"], "before");
    session.post("op=step");
    let turn = session.next("turn");
    assert_eq!((&turn["t"], &calls(&turn, "accept")[0]["error"]), (&1.into(), &Value::Null));
}

#[test]
fn the_tutorial_has_its_lists_and_its_lines() {
    let lab = lab_with("tutorial");
    let mut session = Session::begin(&lab).with_client();
    session.send(b"hello", 5);
    let turn = session.step();
    let fd = client_row(&turn).unwrap()["fd"].clone();
    assert_eq!(turn["lists"]["outputs"][0], fd);
    assert_eq!(turn["lists"]["message_dict"][fd.to_string()][0], "hello");
    let python = include_str!("../src/live/handlers/tutorial.py").lines().collect::<Vec<_>>();
    let ran: Vec<&str> = turn["line"]["python"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| python[line.as_u64().unwrap() as usize - 1].trim())
        .collect();
    assert!(ran[0].starts_with("r_list, w_list, e_list = select.select("), "{ran:?}");
    assert!(ran.contains(&"data_bytes = sk1_or_conn.recv(1024)"), "{ran:?}");
    assert_eq!(ran.first(), ran.last());
    let turn = session.step();
    assert_eq!(calls(&turn, "write")[0]["result"], 8);
    session.next_where("client", |it| it["client"]["last"] == "hello好");
}

#[test]
fn a_call_that_blocks_is_seen_from_outside_and_ended_by_another_handler() {
    for (handler, text, what) in
        [("edge-drained", "hello\n", "read"), ("correct", "get 20000000\n", "write")]
    {
        let lab = lab_with(handler);
        let mut session = Session::begin(&lab).with_client();
        session.post("op=fault&client=1&kind=stop-reading");
        session.post("op=fault&client=1&kind=blocking");
        session.post_body("op=send&client=1", text.as_bytes());
        session.post("op=run");
        let busy = session.next_where("busy", |it| it["what"] != "");
        assert_eq!(busy["what"], what, "{handler}");
        assert!(busy["for_ms"].as_u64() >= Some(250), "{busy}");
        session.post("handler=broadcast");
        session.next_where("hello", |it| it["handler"] == "broadcast");
        session.post("op=step");
        session.next("turn");
    }
}

#[test]
fn the_pool_works_beside_the_loop() {
    let lab = lab_with("pool");
    let mut session = Session::begin(&lab).with_client();
    session.post("slow=300");
    session.send(b"hello\n", 6);
    let turn = session.step();
    assert_eq!(turn["dispatches"][0]["outcome"], "disarmed");
    assert!(turn["measured"]["handler_ns"].as_u64() < Some(100_000_000));
    let turn = session.step();
    assert_eq!(turn["sources"][1]["role"], "client");
    assert_eq!(calls(&turn, "write")[0]["result"], 6);
    session.next_where("client", |it| it["client"]["last"] == "hello\n");
}

#[test]
fn what_one_says_all_are_sent() {
    let lab = lab_with("broadcast");
    let mut session = Session::begin(&lab);
    session.post("op=spawn&n=3");
    session.post("op=run");
    session.next_where("turn", |turn| {
        turn["sources"]
            .as_array()
            .is_some_and(|it| it.iter().filter(|row| row["role"] == "client").count() == 3)
    });
    session.post_body("op=send&client=2", b"hello\n");
    let mut heard = [false; 3];
    while heard != [true; 3] {
        let client = session.next_where("client", |it| it["client"]["last"] == "hello\n");
        heard[client["client"]["id"].as_u64().unwrap() as usize - 1] = true;
    }
}

#[test]
fn a_slow_handler_is_measured() {
    let lab = lab_with("correct");
    let mut session = Session::begin(&lab).with_client();
    session.post("slow=120");
    session.send(b"hello\n", 6);
    let turn = session.step();
    let ns = turn["measured"]["handler_ns"].as_u64().unwrap();
    assert!((120_000_000..500_000_000).contains(&ns), "{ns}");
    assert!(turn["measured"]["probe_ns"].as_u64() > Some(0));
}

/// Every handler echoes on every backend and trigger.
#[test]
fn each_handler_answers_on_each_backend_and_trigger() {
    for handler in ["tutorial", "correct", "edge-one-read", "edge-drained", "pool", "broadcast"] {
        let lab = lab_with(handler);
        let mut session = Session::begin(&lab);
        session.post("op=spawn");
        session.post("op=run");
        session.next_where("client", |it| it["client"]["state"] == "open");
        for backend in ["select", "poll", "epoll", "mio"] {
            for trigger in ["level", "edge"] {
                session.post(&format!("backend={backend}"));
                session.next_where("control", |it| it["op"] == "backend" && it["value"] == backend);
                session.post(&format!("trigger={trigger}"));
                session.next_where("control", |it| it["op"] == "trigger" && it["value"] == trigger);
                let text = format!("{backend} {trigger}\n");
                session.post_body("op=send&client=1", text.as_bytes());
                session.next_where("client", |it| {
                    it["client"]["last"].as_str().is_some_and(|last| last.starts_with(&text))
                });
            }
        }
    }
}

#[test]
fn a_run_ends_at_what_is_wrong() {
    let lab = lab_with("edge-one-read");
    let mut session = Session::begin(&lab).with_client();
    session.post("timeout=20");
    session.send(&[b'x'; 2_048], 2_048);
    session.post("until=lint");
    let turn = session.next_where("turn", |turn| turn["gate"] == "before");
    let fd = &client_row(&turn).unwrap()["fd"];
    let lint = &turn["lints"][0];
    assert_eq!((&lint["id"], &lint["fd"], &lint["n"]), (&"lost-edge".into(), fd, &2.into()));
    session.post("trigger=level");
    assert_eq!(session.step()["lints"], Value::from(Vec::<i32>::new()));
}
