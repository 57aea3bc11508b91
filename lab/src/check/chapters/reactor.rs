//! Chapters 10 to 14: what a reactor does.

use std::thread;
use std::time::{Duration, Instant};

use crate::check::client::Client;
use crate::check::exercise::{Exercise, Role};
use crate::check::pace::{Pace, on_time};
use crate::check::subject::{Subject, until};
use crate::check::trial::Trial;
use crate::check::verdict::{Verdict, expect};

pub(super) const TOKENS: Exercise = Exercise {
    name: "10",
    title: "a number is not a client",
    page: "ch10-tokens",
    anchor: "what-you-saw",
    task: "Write a server that sends each complete line back, 300 ms after it has come. A client may \
           leave before that, and the next client gets the number of its descriptor. It must get \
           nothing that belongs to the other: no answer, and no half of a line.",
    hints: &[
        "What waits for later should know the client, and not only its number.",
        "Forget the input of a client when it leaves.",
    ],
    example: None,
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        let mut ann = server.client("ann")?;
        ann.send("one\n")?;
        ann.expect_silence(Duration::from_millis(150))?;
        ann.expect("one\n")?;
        trial.ok("a line comes back later");
        let before = server.descriptors();
        for _ in 0..3 {
            let mut cy = server.client("cy")?;
            cy.ask("who is next?\n", "who is next?\n")?;
            cy.send("the line of cy\nand half a")?;
            thread::sleep(Duration::from_millis(50)); // it is read
            cy.reset()?;
            until(Duration::from_secs(1), || server.descriptors(), |&now| now <= before);
            let mut dora = server.client("dora, who has the number of cy,")?;
            dora.expect_silence(Duration::from_millis(450))?;
            dora.ask("hello\n", "hello\n")?;
        }
        trial.ok("the next client with the same number gets nothing of it");
        ann.ask("two\n", "two\n")?;
        server.has_descriptors_again(before)
    },
};

pub(super) const CONTRACT: Exercise = Exercise {
    name: "11",
    title: "a short read is not the end of the data",
    page: "ch11-contract",
    anchor: "short-reads",
    task: "Write a server that sends back what it receives, with a buffer of 1,024 bytes and any call \
           that waits, level- or edge-triggered. Between the bytes the client sends urgent ones \
           (MSG_OOB), which are not part of the stream. All others come back, and the end is seen.",
    hints: &[
        "A read stops at an urgent byte. It is shorter than the buffer, and there is more behind it.",
        "Edge-triggered, read until EAGAIN or the end.",
    ],
    example: Some("echo --trigger edge"),
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
        bob.ask("hello", "hello")?;
        for _ in 0..20 {
            server.frozen(|| {
                ann.send("abc")?;
                ann.send_urgent(b'!')?;
                ann.send("def")
            })?;
            ann.expect("abcdef").map_err(|wrong| wrong.and("an urgent byte came behind abc"))?;
        }
        trial.ok("what comes behind an urgent byte is read");
        for _ in 0..5 {
            let mut cy = server.client("cy")?;
            cy.ask("hello", "hello")?;
            server.frozen(|| {
                cy.send("bye")?;
                cy.half_close()
            })?;
            cy.expect("bye")?;
            cy.expect_end()?;
        }
        trial.ok("an end that comes with the last bytes is seen");
        bob.ask("still here?", "still here?")?;
        server.sleeps_while("no client sends")
    },
};

pub(super) const ANSWERS: Exercise = Exercise {
    name: "12",
    title: "ready is not enough, it must be wanted",
    page: "ch12-answers",
    anchor: "exercise",
    task: "Write a server that sends back each line, but only one line in 100 ms to each client. It \
           keeps less than a mebibyte of a client's input. A client may send lines without end: while \
           they wait, the server sleeps, and serves the others.",
    hints: &[
        "While a client has a line that waits, ask for no more input of it.",
        "Its socket is readable all the time. A program that asks for that does not sleep.",
    ],
    example: None,
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
        bob.ask("hello\n", "hello\n")?;
        let before = server.memory();
        let line = "a line of ann\n";
        ann.pour(line.repeat(4_000).as_bytes(), 16 << 20)?;
        let grown = server.memory().saturating_sub(before) >> 20;
        bob.ask("and I?\n", "and I?\n")?;
        trial.ok("a client that sends without end stops no other");
        let what = "that the server keeps less than a mebibyte of ann's input";
        expect(grown < 8, what, format!("its memory has grown by {grown} MiB"))?;
        trial.ok("and costs little memory");
        server.sleeps_while("ann's lines wait")?;
        trial.ok("and no processor");
        for _ in 0..200 {
            let begin = Instant::now();
            ann.expect(line)?;
            if begin.elapsed() > Duration::from_millis(30) {
                break; // those that had come before are read
            }
        }
        let begin = Instant::now();
        for _ in 0..5 {
            ann.expect(line)?;
        }
        let took = begin.elapsed();
        expect(
            took > Duration::from_millis(250),
            "that five lines take half a second",
            format!("{} ms", took.as_millis()),
        )?;
        trial.ok("its lines come back one after the other");
        Ok(())
    },
};

pub(super) const TIMERS: Exercise = Exercise {
    name: "13",
    title: "a deadline that moves with every byte",
    page: "ch13-stopping",
    anchor: "exercise",
    task: "Write a server that sends back what it receives, and closes each client a second after its \
           last byte. Meanwhile it sleeps: it does not look at the clock all the time.",
    hints: &[
        "The timeout of the wait is the time until the first deadline.",
        "A deadline that has moved is found when the old one is over.",
    ],
    example: None,
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        let cy = server.client("cy")?;
        server.sleeps_while("cy is silent")?;
        on_time(Duration::from_millis(700), |pace| one_stays_and_one_leaves(&server, pace))?;
        trial.ok("a client that sends now and then stays, and a silent one is closed");
        drop(cy);
        Ok(())
    },
};

/// Ann sends a byte each 0.3 s, and is silent then. Bob is silent.
fn one_stays_and_one_leaves(server: &Subject, pace: &mut Pace) -> Verdict {
    let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
    let begin = Instant::now();
    let mut bob_left = None;
    while begin.elapsed() < Duration::from_millis(2_400) {
        ann.ask("x", "x").map_err(|wrong| wrong.and("she sends a byte each 0.3 s"))?;
        pace.beat();
        let sent = Instant::now();
        if bob_left.is_none() && bob.expect_silence(Duration::from_millis(300)).is_err() {
            bob_left = Some(begin.elapsed());
        }
        thread::sleep(Duration::from_millis(300).saturating_sub(sent.elapsed()));
    }
    closed_in_time("bob, who is silent", bob_left)?;
    let begin = Instant::now();
    ann.expect_gone()?;
    pace.beat();
    closed_in_time("ann, who is silent now", Some(begin.elapsed()))
}

/// The last byte came up to 0.3 s before.
fn closed_in_time(who: &str, time: Option<Duration>) -> Verdict {
    let what = format!("that {who}, is closed after a second");
    let seen = time.map_or("no end".into(), |time| format!("{} ms", time.as_millis()));
    let in_time = Duration::from_millis(600)..Duration::from_millis(1_900);
    expect(time.is_some_and(|time| in_time.contains(&time)), what, seen)
}

pub(super) const SWITCH: Exercise = Exercise {
    name: "14",
    title: "from poll to epoll and back",
    page: "ch14-live-switch",
    anchor: "exercise",
    task: "Write a server that sends back what it receives. It waits with `poll` as long as it has few \
           clients. With more than 100 it switches to `epoll`, and back to `poll` with fewer than 50. \
           No client notices.",
    hints: &[
        "The new call takes every descriptor before the old one is given up.",
        "Two numbers: with one, each client that comes or goes would switch the server.",
    ],
    example: None,
    role: Role::Server,
    scenario: switch,
};

fn switch(trial: &Trial) -> Verdict {
    let server = trial.server()?;
    let mut clients: Vec<Client> = Vec::new();
    let mut at = |count: usize, backend: &str| {
        while clients.len() < count {
            let mut client = server.client(&format!("client {}", clients.len() + 1))?;
            client.ask("hello", "hello")?;
            clients.push(client);
        }
        clients.truncate(count);
        let is_so = |&listed: &usize| (listed >= count) == (backend == "epoll");
        let listed = until(Duration::from_secs(2), || listed(&server), is_so);
        expect(
            is_so(&listed),
            format!("that {count} clients are watched by {backend}"),
            format!("{listed} files in the lists of its epolls"),
        )?;
        clients.iter_mut().try_for_each(|client| client.ask("still here?", "still here?"))?;
        trial.ok(&format!("{backend} watches {count} clients, and all are answered"));
        Ok(())
    };
    at(20, "poll")?;
    at(95, "poll")?;
    at(120, "epoll")?;
    at(70, "epoll")?;
    at(40, "poll")?;
    at(70, "poll")?;
    at(110, "epoll")
}

fn listed(server: &Subject) -> usize {
    server.processes().iter().flat_map(|process| process.epolls()).flatten().count()
}
