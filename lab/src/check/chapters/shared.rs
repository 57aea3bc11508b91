//! Chapters 26, 27, 29 and 31: several loops, several threads, several processes.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::check::client::{Client, PATIENCE};
use crate::check::exercise::{Exercise, Role};
use crate::check::subject::{Subject, until};
use crate::check::trial::Trial;
use crate::check::verdict::{Verdict, expect};

/// The loops of an exercise.
const LOOPS: usize = 4;

pub(super) const ONE_LISTENER: Exercise = Exercise {
    name: "26",
    title: "one client wakes one loop",
    page: "ch26-one-listener",
    anchor: "what-you-saw",
    task: "Write a server with four loops on one port, in threads or processes. Each client gets `hello` \
           and a line end, and then its lines back. To the line `sleep` its loop sleeps for a second \
           before it goes on; the other loops serve clients meanwhile. A client that comes wakes one \
           loop, and not all four.",
    hints: &[
        "EPOLLEXCLUSIVE, or a listener with SO_REUSEPORT for each loop.",
        "Or one thread accepts, and gives each client to a loop.",
    ],
    example: None,
    role: Role::Server,
    scenario: one_listener,
};

fn one_listener(trial: &Trial) -> Verdict {
    const CLIENTS: usize = 30;
    let server = trial.server()?;
    let mut ann = welcome(&server, "ann")?;
    ann.ask("one\ntwo\n", "one\ntwo\n")?;
    server.has_loops()?;
    server.sleeps_while("no client comes")?;
    let (mut clients, mut fewest) = (Vec::new(), u64::MAX);
    for _ in 0..3 {
        let before = server.work().sleeps;
        for number in 1..=CLIENTS {
            clients.push(welcome(&server, &format!("client {number}"))?);
            thread::sleep(Duration::from_millis(10)); // those that woke up in vain sleep again
        }
        fewest = fewest.min(server.work().sleeps - before);
    }
    let what = format!("that {CLIENTS} clients wake one loop each");
    expect(
        fewest as usize <= CLIENTS * 5 / 2,
        what,
        format!("{fewest} times that a thread slept"),
    )?;
    trial.ok("a client wakes one loop");
    ann.send("sleep\n")?;
    thread::sleep(Duration::from_millis(50));
    let begin = Instant::now();
    let mut late: Vec<_> = Vec::new();
    for number in 1..=10 {
        late.push(server.client(&format!("late client {number}"))?);
    }
    let mut served = 0;
    while served == 0 && begin.elapsed() < Duration::from_millis(700) {
        for client in &mut late {
            served += usize::from(client.has_input()?);
        }
        thread::sleep(Duration::from_millis(5));
    }
    let what = "that one of ten new clients is served while the loop of ann sleeps";
    expect(served > 0, what, "no greeting for 700 ms")?;
    trial.ok("a loop that sleeps does not stop the others");
    late.iter_mut().try_for_each(|client| client.expect("hello\n"))?;
    ann.expect("sleep\n")?;
    clients.iter_mut().try_for_each(|client| client.ask("still here?\n", "still here?\n"))
}

fn welcome(server: &Subject, name: &str) -> Verdict<Client> {
    let mut client = server.client(name)?;
    client.expect("hello\n")?;
    Ok(client)
}

pub(super) const ONE_SHOT: Exercise = Exercise {
    name: "27",
    title: "a client belongs to one thread at a time",
    page: "ch27-one-shot",
    anchor: "what-you-saw",
    task: "Write a server with four to sixteen threads that wait for all clients \
           together. It sends back \
           what it receives. For each digit it works before: it sleeps ten milliseconds for a 1, ninety \
           for a 9. The bytes of a client come back in their order, and clients do not wait for each \
           other.",
    hints: &[
        "EPOLLONESHOT: after a report the client belongs to one thread, until it is armed again.",
        "What comes before it is armed again is reported then.",
    ],
    example: None,
    role: Role::Server,
    scenario: one_shot,
};

fn one_shot(trial: &Trial) -> Verdict {
    let server = trial.server()?;
    let mut silent = Vec::new();
    for number in 1..=24 {
        silent.push(server.client(&format!("silent client {number}"))?);
    }
    let mut ann = server.client("ann")?;
    ann.ask("hello", "hello").map_err(|wrong| wrong.and("24 silent clients came before"))?;
    server.has_loops()?;
    let threads = server.all_threads();
    expect(threads <= 20, "that silent clients have no threads", format!("{threads} threads"))?;
    trial.ok("silent clients take no thread");
    let before = server.descriptors();
    for _ in 0..5 {
        ann.send("9")?;
        thread::sleep(Duration::from_millis(30)); // the 9 is read, and its thread works
        ann.send("0")?;
        ann.expect("90").map_err(|wrong| wrong.and("the 0 came while a thread worked on the 9"))?;
    }
    trial.ok("bytes come back in their order");
    ann.send("3")?;
    for piece in ["a", "5", "b", "1", "c"] {
        thread::sleep(Duration::from_millis(15));
        ann.send(piece)?;
    }
    ann.expect("3a5b1c")?;
    trial.ok("and none is lost that comes while a thread works");
    let mut busy = server.clients(["bob", "cy", "dora"])?;
    let mut fred = server.client("fred")?;
    fred.ask("x", "x")?;
    for client in &mut busy {
        client.send("99999")?;
    }
    thread::sleep(Duration::from_millis(30));
    fred.ask("0", "0").map_err(|wrong| wrong.and("three threads work for others"))?;
    for client in &mut busy {
        let what = "that fred is served while three threads work for others";
        expect(!client.has_input()?, what, "an answer for one of the others before")?;
    }
    busy.iter_mut().try_for_each(|client| client.expect("99999"))?;
    trial.ok("clients do not wait for each other");
    server.sleeps_while("no client sends")?;
    for mut client in busy {
        client.half_close()?;
        client.expect_end()?;
    }
    fred.reset()?;
    ann.ask("still here?", "still here?")?;
    trial.ok("a client that has finished reads the end");
    server.has_descriptors_again(before)?;
    let mut last = silent.pop().expect("there are twenty-four");
    last.ask("1", "1")
}

pub(super) const NO_PROMISE: Exercise = Exercise {
    name: "29",
    title: "another process was faster",
    page: "ch29-no-promise",
    anchor: "what-you-saw",
    task: "Write a server with four processes or threads that share one listener. Each has a loop of \
           its own, with any call that waits, and serves the clients that it has accepted. It sends \
           back what it receives. No loop may wait in `accept`.",
    hints: &[
        "A readable listener may have no connection any more. The listener must be non-blocking.",
        "`WouldBlock` is a normal answer of `accept`.",
    ],
    example: None,
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        server.has_loops()?;
        let blocks = server.listening().iter().any(|process| process.blocks_in_accept());
        expect(!blocks, "a listener that does not block", "O_NONBLOCK is not set for it")?;
        let mut clients = Vec::new();
        for number in 1..=16 {
            let mut client = server.client(&format!("client {number}"))?;
            client.ask("hello", "hello")?;
            clients.push(client);
        }
        trial.ok("sixteen clients are served");
        let others = "others have come meanwhile, and each may have woken all loops";
        for _ in 0..2 {
            let ask = |client: &mut Client| client.ask("still here?", "still here?");
            clients.iter_mut().try_for_each(ask).map_err(|wrong| wrong.and(others))?;
            for _ in 0..4 {
                server.client("a client that has left")?.reset()?;
            }
        }
        trial.ok("and no loop waits in accept");
        let before = server.descriptors();
        drop(clients.split_off(8));
        server.sleeps_while("no client sends")?;
        server.has_descriptors_again(before - 8)
    },
};

pub(super) const CHILDREN: Exercise = Exercise {
    name: "31",
    title: "a helper program inherits nothing",
    page: "ch31-signals-and-children",
    anchor: "what-you-saw",
    task: "Write a server that sends back each line. To the line `run` it starts the program `sleep 4`, \
           does not wait for it, and answers `started`. After the line `bye` it closes the connection. \
           A helper that still runs keeps no connection open, and not the port. One that has ended does \
           not remain as a zombie.",
    hints: &[
        "SOCK_CLOEXEC, accept4, O_CLOEXEC: the flag from the first moment.",
        "SIGCHLD, a pidfd, or a thread that waits for the helper.",
        "A wait may be interrupted, by a signal or by Ctrl-Z and `fg`. That is no error.",
    ],
    example: None,
    role: Role::Server,
    scenario: children,
};

fn children(trial: &Trial) -> Verdict {
    let mut server = trial.server()?;
    let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
    bob.ask("hello\n", "hello\n")?;
    server.frozen(|| {
        thread::sleep(Duration::from_millis(50));
        Ok(())
    })?;
    ann.ask("hello\n", "hello\n").map_err(|wrong| wrong.and("it was stopped, and went on"))?;
    for _ in 0..3 {
        let mut cy = server.client("cy")?;
        server.frozen(|| {
            cy.send("to a peer that is gone\n".repeat(2_000))?;
            cy.reset()
        })?;
    }
    ann.ask("again\n", "again\n").map_err(|wrong| wrong.and("cy had reset connections"))?;
    trial.ok("no signal ends it");
    let processes = server.processes().len();
    ann.ask("run\n", "started\n")?;
    let now = server.processes().len();
    expect(now > processes, "a helper that runs", "no new process")?;
    bob.ask("bye\n", "bye\n")?;
    bob.expect_end().map_err(|wrong| wrong.and("a helper runs that was started before"))?;
    trial.ok("a helper keeps no connection open");
    ann.ask("still here?\n", "still here?\n")?;
    server.sleeps_while("a helper runs")?;
    let count = || (server.processes().len(), server.zombies());
    let (now, zombies) = until(Duration::from_secs(8), count, |&count| count == (processes, 0));
    let seen = format!("{} processes more, and {zombies} zombies", now.saturating_sub(processes));
    expect(
        (now, zombies) == (processes, 0),
        "that nothing is left of a helper that has ended",
        seen,
    )?;
    trial.ok("a helper that has ended leaves no zombie");
    ann.ask("run\n", "started\n")?;
    server.signal(Signal::KILL);
    server.ends_within(Duration::from_secs(3), "after SIGKILL")?;
    let bound =
        until(Duration::from_secs(1), || TcpListener::bind(server.address()), Result::is_ok);
    let seen = bound.as_ref().err().map(ToString::to_string).unwrap_or_default();
    let what = format!("that port {} is free when the server has ended", server.address().port());
    expect(bound.is_ok(), what, format!("{seen}; its helper runs"))?;
    trial.ok("a helper does not keep the port");
    Ok(())
}

impl Subject {
    /// Expects that it has enough threads for its loops.
    fn has_loops(&self) -> Verdict {
        let threads = until(PATIENCE, || self.threads(), |&threads| threads >= LOOPS);
        expect(threads >= LOOPS, format!("{LOOPS} threads or processes"), threads)
    }
}
