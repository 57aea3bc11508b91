//! Chapters 1 to 4: the three calls.

use std::time::Duration;

use crate::check::exercise::{Exercise, Role};
use crate::check::subject::until;
use crate::check::trial::Trial;
use crate::check::verdict::{Verdict, expect};

pub(super) const SELECT: Exercise = Exercise {
    name: "01",
    title: "one thread waits for many clients",
    page: "ch01-select",
    anchor: "what-you-saw",
    task: "Write a server that sends back what it receives. One thread serves all clients, with \
           `select`. It sleeps while no client sends, also after a client has left.",
    hints: &[
        "Ask for writing only while there is something to write.",
        "A read of 0 bytes is the end: remove the client, and close it.",
    ],
    example: Some("echo"),
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        let [mut ann, mut bob, mut cy] = server.clients(["ann", "bob", "cy"])?;
        bob.ask("hello", "hello")?;
        ann.ask("I am ann", "I am ann")?;
        cy.ask("bye", "bye")?;
        bob.expect_silence(Duration::from_millis(50))?;
        trial.ok("three clients are answered, in any order");
        expect(
            server.all_threads() == 1,
            "that one thread serves three clients",
            format!("{} threads", server.all_threads()),
        )?;
        trial.ok("one thread serves them");
        server.sleeps_while("no client sends")?;
        trial.ok("it sleeps while they are silent");
        drop(cy);
        server.sleeps_while("a client has left, and the others are silent")?;
        ann.ask("still here?", "still here?")?;
        trial.ok("a client that leaves costs nothing");
        Ok(())
    },
};

pub(super) const POLL: Exercise = Exercise {
    name: "02",
    title: "a client of which nothing is wanted",
    page: "ch02-poll",
    anchor: "exercise",
    task: "Write a server with `poll`, in one thread. It sends back each line. But to the line `wait` \
           it answers `done`, a second later, and until then it wants no reports about this client. \
           The other clients are served meanwhile.",
    hints: &[
        "`poll` reports hang-ups and errors even for a line of the array without events.",
        "Take the client out of the array, or make its number negative.",
    ],
    example: None,
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
        bob.ask("hello\n", "hello\n")?;
        ann.send("wait\n")?;
        ann.expect_silence(Duration::from_millis(500))?;
        bob.ask("and I?\n", "and I?\n")?;
        ann.expect("done\n")?;
        trial.ok("`wait` is answered later, and the other client at once");
        let before = server.descriptors();
        for _ in 0..3 {
            let mut cy = server.client("cy")?;
            cy.ask("hello\n", "hello\n")?;
            cy.send("wait\n")?;
            cy.expect_silence(Duration::from_millis(100))?;
            cy.reset()?;
        }
        let work = server.work_over(Duration::from_millis(500));
        let share = work.busy / 5_000_000;
        expect(
            share < 25 && work.sleeps < 100,
            "that the server sleeps while clients wait that have reset their connections",
            format!("it is busy for {share} % of the time, and wakes up {} times", work.sleeps),
        )?;
        trial.ok("a reset meanwhile costs nothing");
        bob.ask("still here?\n", "still here?\n")?;
        server.has_descriptors_again(before)?;
        trial.ok("and leaves no descriptor behind");
        Ok(())
    },
};

pub(super) const EPOLL: Exercise = Exercise {
    name: "03",
    title: "the kernel's list has the clients that are here",
    page: "ch03-epoll-level",
    anchor: "what-you-saw",
    task: "Write a server with `epoll` that sends back what it receives. When a client has left, the \
           kernel's list does not contain it any more, even if there is a duplicate of its descriptor.",
    hints: &[
        "First delete, then close.",
        "/proc/PID/fdinfo/FD shows the list of an epoll: a line `tfd:` for each file.",
    ],
    example: Some("echo"),
    role: Role::Server,
    scenario: |trial| {
        const CLIENTS: usize = 20;
        let server = trial.server()?;
        let mut ann = server.client("ann")?;
        ann.ask("hello", "hello")?;
        let listed =
            || server.processes().iter().flat_map(|process| process.epolls()).flatten().count();
        let before = listed();
        expect(before > 0, "an epoll with ann and the listener in its list", "no such epoll")?;
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let mut client = server.client(&format!("client {number}"))?;
            client.ask("hello", "hello")?;
            clients.push(client);
        }
        let now = listed();
        expect(
            now >= before + CLIENTS,
            format!("{CLIENTS} more files in the list of the epoll with {CLIENTS} more clients"),
            format!("{before} before, and {now} now"),
        )?;
        trial.ok("each client is in the kernel's list");
        clients.truncate(CLIENTS / 2);
        let now = until(Duration::from_secs(2), listed, |&now| now <= before + CLIENTS / 2);
        expect(
            now <= before + CLIENTS / 2,
            format!("{} files in the list after {} clients have left", before + 10, CLIENTS / 2),
            now,
        )?;
        trial.ok("a client that has left is not in it");
        server.sleeps_while("no client sends, after ten have left")?;
        drop(clients);
        ann.ask("still here?", "still here?")?;
        server.sleeps_while("no client sends, after all but ann have left")?;
        trial.ok("and is not reported any more");
        Ok(())
    },
};

pub(super) const EDGE: Exercise = Exercise {
    name: "04",
    title: "an edge is not wasted",
    page: "ch04-epoll-edge",
    anchor: "what-you-saw",
    task: "Write a server with edge-triggered `epoll` (EPOLLET) that sends back what it receives, \
           with a buffer of 1,024 bytes.",
    hints: &[
        "After an edge, read until the call says EAGAIN.",
        "The same holds for the listener: accept until EAGAIN.",
    ],
    example: Some("echo --trigger edge"),
    role: Role::Server,
    scenario: edge,
};

fn edge(trial: &Trial) -> Verdict {
    let server = trial.server()?;
    let mut ann = server.client("ann")?;
    for length in [100, 1024, 2048, 5000] {
        let message = "x".repeat(length);
        ann.ask(&message, &message)?;
        ann.ask("!", "!")?;
    }
    trial.ok("messages of every length come back whole");
    let mut clients = server.frozen(|| {
        let mut clients = Vec::new();
        for number in 0..10 {
            let mut client = server.client(&format!("client {number} of 10 at once"))?;
            client.send("hello")?;
            clients.push(client);
        }
        Ok(clients)
    })?;
    clients.iter_mut().try_for_each(|client| client.expect("hello"))?;
    trial.ok("ten clients that come at once are all accepted");
    let long = "y".repeat(200 << 10);
    ann.ask(&long, &long)?;
    server.has_edges(clients.len() + 1)?;
    trial.ok("all of it edge-triggered");
    server.sleeps_while("no client sends")?;
    Ok(())
}
