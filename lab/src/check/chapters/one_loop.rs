//! Chapters 5 to 9: servers with one loop.

use std::net::SocketAddr;
use std::time::Duration;

use crate::check::client::Client;
use crate::check::exercise::{Exercise, Role};
use crate::check::subject::Subject;
use crate::check::trial::{Trial, three_free_ports};
use crate::check::verdict::{Verdict, Wrong, expect, quoted};

pub(super) const ONE_AT_A_TIME: Exercise = Exercise {
    name: "05",
    title: "a client that has finished is closed in time",
    page: "ch05-one-client-at-a-time",
    anchor: "exercise",
    task: "Write the simplest server: it accepts a client, sends back what it receives until the \
           client has finished, and accepts the next. It closes each client at once, and not when \
           the next one comes. A client that resets its connection does not end it.",
    hints: &[
        "In Python a socket is closed when its last variable gets another value, or by `close`.",
        "`recv` may raise an error: the client is gone, and the server is not.",
    ],
    example: Some("echo --concurrency inline"),
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        let mut ann = server.client("ann")?;
        ann.ask("hello", "hello")?;
        ann.half_close()?;
        ann.expect_end()?;
        trial.ok("a client that has finished reads the end, without another client");
        let before = server.descriptors();
        let mut ann = server.client("ann")?;
        ann.ask("one", "one")?;
        let mut bob = server.client("bob")?;
        bob.send("two")?;
        ann.ask("three", "three")?;
        drop(ann);
        bob.expect("two")?;
        drop(bob);
        trial.ok("the next one is served when the first has left");
        for _ in 0..5 {
            let mut cy = server.client("cy")?;
            cy.send("hello")?;
            cy.reset()?;
        }
        server.client("dora")?.ask("still here?", "still here?")?;
        trial.ok("a reset ends no server");
        server.has_descriptors_again(before)?;
        Ok(())
    },
};

pub(super) const INPUTS: Exercise = Exercise {
    name: "06",
    title: "one list, and a short answer to each piece",
    page: "ch06-inputs",
    anchor: "what-you-saw",
    task: "Write a server with one thread. It reads at most 1,024 bytes at a time, and sends each \
           piece back with 好 behind it, in UTF-8. A character may come in two pieces. A client that \
           sends and does not read must not stop the server for the others.",
    hints: &[
        "An incremental decoder keeps the missing part of a character.",
        "`sendall` waits until the kernel has taken all. Keep what it does not take.",
    ],
    example: Some("select_rw"),
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        let [mut ann, mut bob, mut cy] = server.clients(["ann", "bob", "cy"])?;
        ann.ask("你好", "你好好")?;
        bob.ask("hello", "hello好")?;
        ann.ask("ok", "ok好")?;
        trial.ok("each piece comes back with 好 behind it");
        let letters = "x".repeat(3_000);
        bob.send(&letters)?;
        bob.half_close()?;
        let answer = String::from_utf8_lossy(&bob.read_to_end()?).into_owned();
        let count = answer.matches('好').count();
        let what = "3,000 letters, and 好 behind each 1,024 of them";
        expect(answer.replace('好', "") == letters, what, quoted(answer.as_bytes()))?;
        expect(count >= 3, what, format!("{count} times 好"))?;
        trial.ok("3,000 letters are three pieces");
        cy.send(&"你".as_bytes()[..2])?;
        std::thread::sleep(Duration::from_millis(100));
        cy.send(&"你".as_bytes()[2..])?;
        cy.half_close()?;
        let answer = cy.read_to_end()?;
        let is_whole = str::from_utf8(&answer).is_ok_and(|text| text.replace('好', "") == "你");
        expect(is_whole, "that cy gets 你 and 好, whole characters", quoted(&answer))?;
        trial.ok("a character may come in two pieces");
        a_client_that_does_not_read(trial, &server, &mut ann)
    },
};

/// A client sends, and does not read. Another one is served.
fn a_client_that_does_not_read(trial: &Trial, server: &Subject, other: &mut Client) -> Verdict {
    let mut dora = server.client("dora")?;
    dora.flood(16 << 20)?;
    let served = other.ask("and I?", "and I?好");
    served.map_err(|wrong| wrong.and("dora had sent much, and read nothing"))?;
    trial.ok("a client that does not read stops no other client");
    dora.reset()?;
    other.ask("still here?", "still here?好")
}

pub(super) const MESSAGE_DICT: Exercise = Exercise {
    name: "07",
    title: "inputs, outputs and message_dict, without the six bugs",
    page: "ch07-message-dict",
    anchor: "exercise",
    task: "The protocol of exercise 06: each piece of at most 1,024 bytes comes back with 好 behind \
           it. But the server writes only where the kernel has room. Clients leave in every way that \
           chapter 7 shows, and nothing is left of them.",
    hints: &[
        "The end is not a message, and gets no 好.",
        "A client is in `outputs` exactly while there is something to send to it.",
        "One function removes a client from all three structures.",
    ],
    example: Some("message_dict"),
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
        ann.ask("你好", "你好好")?;
        let before = server.descriptors();
        bob.ask("hello", "hello好")?;
        bob.half_close()?;
        bob.expect_end().map_err(|wrong| wrong.at("half-close"))?;
        trial.ok("a client that has finished gets the end, and no 好 for it");
        drop(bob);
        ann.ask("still here?", "still here?好")?;
        trial.ok("a client that leaves takes no other with it");
        let mut cy = server.client("cy")?;
        cy.send(&"好".as_bytes()[..2])?;
        cy.half_close()?;
        cy.read_to_end()?;
        ann.ask("still here?", "still here?好")?;
        trial.ok("half a character ends no server");
        for number in 0..8 {
            let mut cy = server.client("cy")?;
            cy.ask("hello", "hello好")?;
            if number % 2 == 0 {
                cy.send("and more")?;
            }
            cy.reset()?;
        }
        ann.ask("still here?", "still here?好")?;
        trial.ok("a reset ends no server");
        a_client_that_does_not_read(trial, &server, &mut ann)?;
        server.sleeps_while("ann is silent, and all others have left")?;
        server.has_descriptors_again(before)?;
        trial.ok("nothing is left of those that have gone");
        Ok(())
    },
};

pub(super) const BACK_PRESSURE: Exercise = Exercise {
    name: "08",
    title: "a client that does not read is not read",
    page: "ch08-back-pressure",
    anchor: "what-you-saw",
    task: "Write a server that sends back what it receives. A client sends as much as it can, and \
           reads nothing: the server keeps less than 16 MiB for it, sleeps, and serves the others. \
           When the client reads, it gets every byte back.",
    hints: &[
        "Keep what the kernel does not take, and ask for writing while there is something to write.",
        "Above a high watermark, ask no more for reading.",
    ],
    example: Some("echo"),
    role: Role::Server,
    scenario: |trial| {
        const MOST: usize = 96 << 20;
        let server = trial.server()?;
        let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
        bob.ask("hello", "hello")?;
        let before = server.memory();
        let sent = ann.flood(MOST)?;
        let grown = server.memory().saturating_sub(before) >> 20;
        bob.ask("and I?", "and I?")?;
        trial.ok("a client that does not read stops no other client");
        let what = "that the server keeps less than 16 MiB for a client that does not read";
        expect(sent < MOST, what, format!("it has taken {} MiB", sent >> 20))?;
        expect(grown < 16, what, format!("its memory has grown by {grown} MiB"))?;
        trial.ok("and costs little memory");
        server.sleeps_while("ann does not read")?;
        trial.ok("and no processor");
        ann.expect_flood(sent)?;
        ann.ask("hello", "hello")?;
        trial.ok("it gets every byte back");
        Ok(())
    },
};

pub(super) const PORTS: Exercise = Exercise {
    name: "09",
    title: "three ports in one loop",
    page: "ch09-many-ports",
    anchor: "exercise",
    task: "Write a server that listens at three ports: the one that it is given, and the next two. \
           To each client it sends `hello from PORT`, with the port of the connection and without a \
           line end, and then finishes. One thread serves all ports.",
    hints: &[
        "The kernel knows the port of a connection: `getsockname`.",
        "A close with unread bytes is a reset, which may overtake the hello. Half-close, and read \
         until the client has finished too.",
    ],
    example: None,
    role: Role::Server,
    scenario: |trial| {
        let first = three_free_ports()?;
        let server = trial.server_with(first, &[])?;
        let at = |more| SocketAddr::new(first.ip(), first.port() + more);
        for address in [at(0), at(1), at(2), at(1)] {
            let hello = format!("hello from {}", address.port());
            let mut ann = Client::connect("ann", address)?;
            ann.expect(&hello)?;
            ann.expect_end()?;
        }
        trial.ok("each port says its number");
        let threads = server.all_threads();
        expect(threads == 1, "that one thread serves three ports", format!("{threads} threads"))?;
        for _ in 0..5 {
            let mut bob = server.frozen(|| {
                let mut bob = Client::connect("bob", at(2))?;
                bob.send("x".repeat(5_000))?;
                Ok(bob)
            })?;
            let all = bob.expect(format!("hello from {}", at(2).port()));
            all.and_then(|()| bob.expect_end()).map_err(hasty)?;
        }
        trial.ok("the hello arrives though the client has sent something");
        server.sleeps_while("no client is there")
    },
};

fn hasty(wrong: Wrong) -> Wrong {
    wrong.and("bob had sent something that the server did not read").at("what-you-saw")
}
