//! Chapters 15 to 19: a thread or a process for each client.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::check::client::PATIENCE;
use crate::check::exercise::{Exercise, Role};
use crate::check::subject::until;
use crate::check::verdict::{Verdict, expect};

pub(super) const TWO_LOOPS: Exercise = Exercise {
    name: "15",
    title: "a connection loop and a communication loop",
    page: "ch15-two-loops",
    anchor: "exercise",
    task: "Write a server that sends what it receives back in capitals, until the client has finished. \
           Several clients are served at the same time.",
    hints: &[
        "The connection loop accepts one client after the other. The communication loop reads one \
         message after the other.",
    ],
    example: Some("upper_loop"),
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
        bob.ask("he", "HE")?;
        bob.ask("llo", "LLO").map_err(|wrong| wrong.and("it was bob's second message"))?;
        trial.ok("a second message is answered, too");
        ann.ask("me too", "ME TOO")?;
        bob.ask("again", "AGAIN")?;
        trial.ok("two clients are served at the same time");
        ann.send("last")?;
        ann.half_close()?;
        ann.expect("LAST")?;
        ann.expect_end()?;
        trial.ok("a client that has finished reads the end");
        bob.ask("still here?", "STILL HERE?")
    },
};

pub(super) const THREADS: Exercise = Exercise {
    name: "16",
    title: "a thread for each client, and no longer than that",
    page: "ch16-threads",
    anchor: "check",
    task: "Write a server that sends back what it receives, with a thread for each client. When a \
           client leaves, in whatever way, its thread ends.",
    hints: &[
        "A `recv` of nothing is the end. A loop that goes on with it turns for ever.",
        "A reset is an error of `recv` or `send`.",
    ],
    example: Some("echo --concurrency threading"),
    role: Role::Server,
    scenario: |trial| {
        const CLIENTS: usize = 8;
        let server = trial.server()?;
        server.client("ann")?.ask("hello", "hello")?;
        let settled = || until(PATIENCE, || server.threads(), |&now| now <= 1);
        let (threads, descriptors) = (settled(), server.descriptors());
        let mut clients = Vec::new();
        for number in 1..=CLIENTS {
            let mut client = server.client(&format!("client {number}"))?;
            client.ask("hello", "hello")?;
            clients.push(client);
        }
        let now = server.threads();
        let what = format!("{CLIENTS} more threads for {CLIENTS} clients");
        expect(now >= threads + CLIENTS, what, format!("{threads} before, and {now} now"))?;
        trial.ok("each client has a thread");
        server.sleeps_while("all clients are silent")?;
        for (number, client) in clients.into_iter().enumerate() {
            match number % 2 {
                0 => drop(client),
                _ => client.reset()?,
            }
        }
        let now = until(PATIENCE, || server.threads(), |&now| now <= threads);
        expect(
            now <= threads,
            format!("{threads} threads after all clients have left, as before"),
            now,
        )?;
        trial.ok("a thread ends with its client");
        server.client("bob")?.ask("still here?", "still here?")?;
        server.has_descriptors_again(descriptors)
    },
};

pub(super) const PROCESSES: Exercise = Exercise {
    name: "17",
    title: "a process for each client, and one that counts",
    page: "ch17-processes",
    anchor: "exercise",
    task: "Write a server with a process for each client. It sends each client its number and a line \
           end: 1 to the first, 2 to the second. Then it sends back what it receives, until the client \
           has finished. No child is left then, not even a zombie.",
    hints: &[
        "A child has a copy of the counter. What it changes there is lost with it.",
        "After the fork the parent closes its copy of the connection.",
        "A child that has ended must be waited for.",
    ],
    example: None,
    role: Role::Server,
    scenario: |trial| {
        const CLIENTS: usize = 5;
        let server = trial.server()?;
        let (processes, descriptors) = (server.processes().len(), server.descriptors());
        let mut clients = Vec::new();
        for number in 1..=CLIENTS {
            let mut client = server.client(&format!("client {number}"))?;
            client.expect(format!("{number}\n"))?;
            client.ask("hello", "hello")?;
            clients.push(client);
        }
        trial.ok("each client gets its number");
        let now = server.processes().len();
        expect(
            now >= processes + CLIENTS,
            format!("{CLIENTS} more processes for {CLIENTS} clients"),
            format!("{processes} before, and {now} now"),
        )?;
        trial.ok("each client has a process");
        for client in &mut clients {
            client.half_close()?;
            client.expect_end()?;
        }
        trial.ok("a client that has finished reads the end");
        let all = || (server.processes().len(), server.zombies());
        let (now, zombies) = until(PATIENCE, all, |&now| now == (processes, 0));
        let what = "that no child is left, not even a zombie";
        expect(now == processes && zombies == 0, what, {
            let children = now.saturating_sub(processes);
            format!("{children} children and {zombies} zombies")
        })?;
        trial.ok("no child is left");
        server.has_descriptors_again(descriptors)
    },
};

pub(super) const POOL: Exercise = Exercise {
    name: "18",
    title: "a silent client takes no worker",
    page: "ch18-pool",
    anchor: "exercise",
    task: "Write a server with at most eight threads. It sends `hello` and a line end to each client, \
           and then each line back with its number in front: `1: one`, `2: two`. Fifty clients are \
           connected and silent, and the fifty-first is served.",
    hints: &[
        "A worker that waits for a silent client serves no other.",
        "Silent clients stay in a loop. Only the work for a line goes to the pool.",
    ],
    example: Some("keep_alive"),
    role: Role::Server,
    scenario: |trial| {
        const MOST: usize = 10;
        let server = trial.server()?;
        let mut silent = Vec::new();
        for number in 1..=50 {
            silent.push(server.client(&format!("client {number}"))?);
        }
        let mut ann = server.client("ann")?;
        ann.expect("hello\n").map_err(|wrong| wrong.and("fifty silent clients came before"))?;
        ann.ask("one\n", "1: one\n")?;
        ann.ask("two\n", "2: two\n")?;
        trial.ok("fifty silent clients stop no other");
        let threads = server.all_threads();
        expect(threads <= MOST, "at most eight threads of workers", format!("{threads} threads"))?;
        trial.ok("they have no threads");
        server.sleeps_while("all clients are silent")?;
        for client in silent.iter_mut().step_by(7) {
            client.expect("hello\n")?;
            client.ask("now\n", "1: now\n")?;
        }
        ann.ask("three\n", "3: three\n")?;
        trial.ok("each of them is served when it sends");
        Ok(())
    },
};

pub(super) const SHUTDOWN: Exercise = Exercise {
    name: "19",
    title: "a shutdown that answers first",
    page: "ch19-shutdown",
    anchor: "what-you-saw",
    task: "Write a server that sends back each line. To the line `slow` it answers `done`, half a \
           second later. At SIGTERM it answers what clients have sent, closes each connection without \
           a reset, and ends with status 0, within two seconds. Silent clients do not delay it.",
    hints: &[
        "A signal must become an event of the loop: a pipe, `signal.set_wakeup_fd`, a signalfd.",
        "Finish the reading half of a client while its handler blocks: the handler then reads the end.",
    ],
    example: None,
    role: Role::Server,
    scenario: |trial| {
        let mut server = trial.server()?;
        let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
        bob.ask("hello\n", "hello\n")?;
        ann.send("slow\n")?;
        ann.expect_silence(Duration::from_millis(100))?;
        server.signal(Signal::TERM);
        ann.expect("done\n").map_err(|wrong| wrong.and("SIGTERM came before"))?;
        trial.ok("what was asked before the signal is answered");
        ann.expect_end()?;
        bob.expect_end()?;
        trial.ok("each client reads the end");
        let status = server.ends_within(Duration::from_secs(2), "after SIGTERM")?;
        expect(status.success(), "that it ends with status 0", status)?;
        trial.ok("it ends with status 0");
        thread::sleep(Duration::from_millis(20));
        ends_alone(&server.address().to_string())
    },
};

/// The port is free again.
fn ends_alone(address: &str) -> Verdict {
    let bound = TcpListener::bind(address);
    let seen = bound.as_ref().err().map(ToString::to_string).unwrap_or_default();
    expect(bound.is_ok(), format!("that {address} is free again"), seen)
}
