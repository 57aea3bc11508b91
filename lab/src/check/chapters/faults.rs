//! Chapters 20 to 25: what goes wrong in one loop.

use std::time::{Duration, Instant};

use crate::check::client::Client;
use crate::check::exercise::{Exercise, Role};
use crate::check::limits::Limits;
use crate::check::subject::{Subject, until};
use crate::check::trial::Trial;
use crate::check::verdict::{Verdict, Wrong, expect};

pub(super) const ALWAYS_WRITABLE: Exercise = Exercise {
    name: "20",
    title: "writable is the usual state",
    page: "ch20-always-writable",
    anchor: "what-you-saw",
    task: "Write a server that gets lines with a number. To each it answers with so many letters `x` \
           and a line end. A client may ask for four million, and read nothing for a while. The server \
           sleeps when it has nothing to send, and when the client takes nothing.",
    hints: &[
        "Ask for the write interest exactly while there is output that the kernel has not taken.",
        "Keep what the kernel does not take. Do not wait in `send`.",
    ],
    example: None,
    role: Role::Server,
    scenario: |trial| {
        const MANY: usize = 4_000_000;
        let server = trial.server()?;
        let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
        ann.ask("3\n", "xxx\n")?;
        bob.ask("0\n1\n", "\nx\n")?;
        trial.ok("small answers are right");
        server.sleeps_while("no client asks")?;
        trial.ok("and then it sleeps");
        let mut cy = server.client("cy")?;
        cy.send(format!("{MANY}\n"))?;
        ann.ask("2\n", "xx\n").map_err(|wrong| wrong.and("cy had asked for much"))?;
        server.sleeps_while("cy reads nothing")?;
        trial.ok("a client that does not read costs no processor, and stops no other");
        cy.expect("x".repeat(MANY) + "\n")?;
        trial.ok("it gets all of its answer when it reads");
        server.sleeps_while("all answers are sent")?;
        cy.ask("1\n", "x\n")
    },
};

pub(super) const BLOCKING_EDGE: Exercise = Exercise {
    name: "21",
    title: "no read and no write may wait",
    page: "ch21-blocking-edge",
    anchor: "what-you-saw",
    task: "Write a server with one thread and edge-triggered `epoll` (EPOLLET) that sends back what it \
           receives. It reads until there is no more, and neither a silent client nor one that does \
           not read stops it.",
    hints: &[
        "Make each descriptor non-blocking before it is added.",
        "Keep what the kernel does not take, and send it at the next edge for writing.",
    ],
    example: Some("echo --trigger edge"),
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
        ann.ask("hello", "hello")?;
        bob.ask("hello", "hello")
            .map_err(|wrong| wrong.and("ann was answered before, and is silent now"))?;
        trial.ok("a silent client stops no other");
        server.has_one_thread()?;
        server.has_edges(2)?;
        trial.ok("one thread, edge-triggered");
        let mut cy = server.client("cy")?;
        let sent = cy.flood(8 << 20)?;
        let served = bob.ask("and I?", "and I?");
        served.map_err(|wrong| wrong.and("cy had sent much, and read nothing"))?;
        trial.ok("a client that does not read stops no other");
        server.sleeps_while("cy reads nothing")?;
        cy.expect_flood(sent)?;
        trial.ok("it gets all of its bytes when it reads");
        cy.ask("!", "!")?;
        server.sleeps_while("no client sends")
    },
};

pub(super) const GOODBYES: Exercise = Exercise {
    name: "22",
    title: "a client that has finished still reads",
    page: "ch22-goodbyes",
    anchor: "what-you-saw",
    task: "Write a server that counts the bytes of each client. When the client has finished sending, \
           it gets the number and a line end, and then the end. A client may leave in any other way \
           as well.",
    hints: &[
        "A read of nothing means: the client sends no more. It may still read.",
        "A reset is an error of a read. It ends one client, and not the server.",
        "A hang-up may be reported together with bytes that are not read yet.",
    ],
    example: None,
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
        let before = server.descriptors();
        for piece in ["he", "ll", "o"] {
            ann.send(piece)?;
            ann.expect_silence(Duration::from_millis(50))?;
        }
        ann.half_close()?;
        finishes(&mut ann, "5\n")?;
        trial.ok("a client that has finished gets its answer, and the end");
        let mut cy = server.client("cy")?;
        server.frozen(|| {
            cy.send("x".repeat(50_000))?;
            cy.half_close()
        })?;
        finishes(&mut cy, "50000\n")
            .map_err(|wrong| wrong.and("bytes and end had come at once"))?;
        trial.ok("also if the end comes together with the bytes");
        for number in 0..6 {
            let mut leaver = server.client("dora")?;
            server.frozen(|| {
                leaver.send("bye")?;
                match number % 3 {
                    0 => leaver.reset(),
                    1 => leaver.half_close(), // and then it is dropped
                    _ => Ok(()),
                }
            })?;
        }
        let mut fred = server.client("fred")?;
        fred.half_close()?;
        finishes(&mut fred, "0\n")?;
        trial.ok("clients that leave in other ways end no other");
        server.sleeps_while("clients have left")?;
        bob.send("still here")?;
        bob.half_close()?;
        finishes(&mut bob, "10\n")?;
        drop([ann, cy, fred, bob]);
        server.has_descriptors_again(before - 2)
    },
};

fn finishes(client: &mut Client, answer: &str) -> Verdict {
    client.expect(answer)?;
    client.expect_end()
}

pub(super) const SLOW_HANDLER: Exercise = Exercise {
    name: "23",
    title: "a long calculation in short pieces",
    page: "ch23-slow-handler",
    anchor: "check",
    task: "Write a server with one thread. To a line with a number N it answers with the value of x \
           after N steps of x = (x * 1103515245 + 12345) mod 2147483648. It begins with x = 1, and \
           makes the steps one by one. Any other line is sent back at once, also while it calculates.",
    hints: &[
        "Make some thousand steps, and let the loop turn before the next ones.",
        "While a calculation waits for its next piece, the wait has a timeout of 0.",
    ],
    example: None,
    role: Role::Server,
    scenario: slow_handler,
};

fn slow_handler(trial: &Trial) -> Verdict {
    let server = trial.server()?;
    let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
    bob.ask("hello\n", "hello\n")?;
    for steps in [0, 1, 2, 10] {
        ann.ask(format!("{steps}\n"), format!("{}\n", after(steps)))?;
    }
    trial.ok("small numbers are right");
    let mut steps = 100_000;
    loop {
        let begin = Instant::now();
        ann.ask(format!("{steps}\n"), format!("{}\n", after(steps)))?;
        if begin.elapsed() > Duration::from_millis(500) {
            break;
        }
        let seen = format!("{steps} steps in {} ms", begin.elapsed().as_millis());
        expect(steps < 3_000_000_000, "that the server makes the steps one by one", seen)?;
        steps *= 2;
    }
    trial.ok(&format!("so is one with {steps} steps"));
    server.has_one_thread()?;
    let mut verdict = Ok(());
    for _ in 0..3 {
        verdict = beside_a_calculation(&mut ann, &mut bob, steps);
        if verdict.is_ok() {
            trial.ok("another client is served meanwhile");
            server.sleeps_while("no client sends")?;
            return Ok(());
        }
    }
    verdict
}

/// Ann asks for a calculation. Meanwhile bob is answered many times.
fn beside_a_calculation(ann: &mut Client, bob: &mut Client, steps: u64) -> Verdict {
    const TIMES: u32 = 10;
    let begin = Instant::now();
    ann.send(format!("{steps}\n"))?;
    let mut longest = Duration::ZERO;
    for time in 0..TIMES {
        let asked = Instant::now();
        bob.ask("and I?\n", "and I?\n")?;
        longest = longest.max(asked.elapsed());
        if ann.has_input()? {
            ann.expect(format!("{}\n", after(steps)))?;
            let what = format!("that bob is answered {TIMES} times while ann's calculation runs");
            return Err(Wrong::new(what, format!("ann's answer before bob's number {}", time + 1)));
        }
    }
    ann.expect(format!("{}\n", after(steps)))?;
    let seen = format!("{longest:.0?}, and {:.0?} for the calculation", begin.elapsed());
    expect(longest < begin.elapsed() / 3, "that bob is answered at once", seen)
}

/// The value after so many steps, by squaring.
fn after(mut steps: u64) -> u64 {
    const MODULUS: u64 = 1 << 31;
    let (mut factor, mut addend) = (1_103_515_245, 12_345);
    let mut x = 1;
    while steps > 0 {
        if steps % 2 == 1 {
            x = (x * factor + addend) % MODULUS;
        }
        addend = (factor + 1) * addend % MODULUS;
        factor = factor * factor % MODULUS;
        steps /= 2;
    }
    x
}

pub(super) const WORKER_ANSWERS: Exercise = Exercise {
    name: "24",
    title: "the worker's answer, in the right order and to the right client",
    page: "ch24-worker-answers",
    anchor: "check",
    task: "Write a server that sends back each line. A line that begins with `slow` waits 300 ms \
           before that, in another thread or process. The answers of a client come in the order of its \
           lines, and the other clients do not wait. There are at most sixteen threads.",
    hints: &[
        "A worker makes a value. The loop sends it, if the client is still there.",
        "Keep a queue of places for each client, and send from the front while it is ready.",
    ],
    example: None,
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
        let begin = Instant::now();
        ann.send("slow one\n")?;
        bob.ask("quick\n", "quick\n")?;
        expect(!ann.has_input()?, "that ann's line waits 300 ms", "an answer before bob's")?;
        let threads = server.all_threads();
        expect(threads > 1, "another thread or process that waits", "a single thread")?;
        ann.expect("slow one\n")?;
        let took = begin.elapsed();
        let seen = format!("{} ms", took.as_millis());
        expect(took > Duration::from_millis(250), "that a slow line waits 300 ms", seen)?;
        trial.ok("a slow line stops no other client");
        ann.send("slow a\nquick b\nslow c\nquick d\n")?;
        ann.expect("slow a\nquick b\nslow c\nquick d\n")?;
        trial.ok("answers come in the order of the lines");
        let before = server.descriptors();
        for _ in 0..3 {
            let mut cy = server.client("cy")?;
            cy.send("slow line of cy\n")?;
            cy.expect_silence(Duration::from_millis(50))?;
            cy.reset()?;
            until(Duration::from_secs(1), || server.descriptors(), |&now| now <= before);
            let mut dora = server.client("dora, who has the number of cy,")?;
            dora.expect_silence(Duration::from_millis(450))?;
            dora.ask("hello\n", "hello\n")?;
        }
        trial.ok("an answer for a client that has left goes to no other");
        let mut many = Vec::new();
        for number in 1..=30 {
            let mut client = server.client(&format!("client {number} of 30"))?;
            client.ask("hello\n", "hello\n")?;
            many.push(client);
        }
        let begin = Instant::now();
        many.iter_mut().try_for_each(|client| client.send("slow\n"))?;
        bob.ask("and I?\n", "and I?\n")?;
        let threads = server.all_threads();
        expect(threads <= 20, "at most sixteen threads", format!("{threads} of them"))?;
        many.iter_mut().try_for_each(|client| client.expect("slow\n"))?;
        let seen = format!("{:.1} s", begin.elapsed().as_secs_f32());
        let is_quick = begin.elapsed() < Duration::from_millis(4_500);
        expect(is_quick, "that thirty slow lines do not wait for each other", seen)?;
        trial.ok("thirty slow lines at once are answered by a few threads");
        server.sleeps_while("no client sends")
    },
};

pub(super) const OUT_OF_DESCRIPTORS: Exercise = Exercise {
    name: "25",
    title: "out of descriptors",
    page: "ch25-out-of-descriptors",
    anchor: "what-you-saw",
    task: "Write a server that sends back what it receives. The check takes its descriptors away: it \
           lowers the limit of the process (RLIMIT_NOFILE) while it runs. The server goes on to serve \
           the clients that it has, and sleeps. When descriptors are free again, it accepts again.",
    hints: &[
        "After an error of `accept`, take the listener out of the wait for a tenth of a second.",
        "An edge-triggered listener is not reported again. Try `accept` after the pause.",
    ],
    example: Some("echo"),
    role: Role::Server,
    scenario: |trial| {
        const MORE: usize = 4;
        let server = trial.server()?;
        let mut ann = server.client("ann")?;
        ann.ask("hello", "hello")?;
        let limits = Limits::may_open(&server.listening(), MORE)?;
        let mut first = Vec::new();
        for number in 1..=MORE {
            let mut client = server.client(&format!("client {number}"))?;
            client.send("hello")?;
            first.push(client);
        }
        first[0].expect("hello")?;
        let mut waiting = Vec::new();
        for number in 1..=8 {
            waiting.push(server.client(&format!("waiting client {number}"))?);
        }
        let served = ann.ask("and I?", "and I?");
        served.map_err(|wrong| wrong.and("it had no more descriptors"))?;
        trial.ok("it serves its clients without a free descriptor");
        server.sleeps_while("it has no descriptor for the clients that wait")?;
        trial.ok("and uses no processor for those that wait");
        drop(first);
        are_answered_or_gone(&mut waiting[..2])?;
        trial.ok("free descriptors are used again");
        drop(limits);
        are_answered_or_gone(&mut waiting)?;
        let mut bob = server.client("bob, who came at last,")?;
        bob.ask("hello", "hello")?;
        trial.ok("with its limit back it serves all");
        ann.ask("still here?", "still here?")?;
        server.sleeps_while("no client sends")
    },
};

/// Each of them is served, or disconnected: both are an answer.
fn are_answered_or_gone(clients: &mut [Client]) -> Verdict {
    clients.iter_mut().try_for_each(|client| match client.send("hello") {
        Ok(()) => client.expect_or_gone("hello"),
        Err(_) => Ok(()),
    })
}

impl Subject {
    /// Expects that it has one thread.
    pub(super) fn has_one_thread(&self) -> Verdict {
        let threads = self.all_threads();
        expect(threads <= 1, "that the server has one thread", format!("{threads} threads"))
    }

    /// Expects that so many files are in the lists of its epolls with EPOLLET.
    pub(super) fn has_edges(&self, least: usize) -> Verdict {
        let processes = self.processes();
        let entries = processes.iter().flat_map(|process| process.epolls()).flatten();
        let entries: Vec<_> = entries.collect();
        let edges = entries.iter().filter(|entry| entry.is_edge()).count();
        let what = "that the clients are in the list of an epoll with EPOLLET";
        expect(edges >= least, what, format!("{edges} of {} files have it", entries.len()))
    }
}
