//! Chapters 28, 30 and 32 to 34.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::check::client::{Client, PATIENCE};
use crate::check::exercise::{Exercise, Role};
use crate::check::pace::{Pace, on_time};
use crate::check::subject::{Subject, until};
use crate::check::trial::{Trial, free_port};
use crate::check::verdict::{Verdict, Wrong, expect, quoted};

pub(super) const CONNECT: Exercise = Exercise {
    name: "28",
    title: "writable is not connected",
    page: "ch28-connect",
    anchor: "what-you-saw",
    task: "Write a client. It gets several addresses as its last arguments, or in place of {}, and \
           connects to all of them at the same time. For each it prints the address and the outcome: \
           `connected`, `refused`, or `timed out` after a second. It sends `hello` over each connection, \
           closes it, and ends with status 0.",
    hints: &[
        "Non-blocking `connect`, then wait until the socket is writable, then ask SO_ERROR.",
        "The timeout of the wait is what is left of the second.",
    ],
    example: None,
    role: Role::Client,
    scenario: connect,
};

fn connect(trial: &Trial) -> Verdict {
    const MOST: Duration = Duration::from_millis(4_500);
    let doors = [
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
    ];
    let (full, _queue) = full_listener()?;
    let silent = (1..=5).map(|last| {
        SocketAddr::from(([127, 0, 0, last], full.local_addr().map_or(0, |at| at.port())))
    });
    let mut addresses: Vec<_> = silent.collect();
    let refused = free_port()?;
    addresses.push(refused);
    for door in &doors {
        addresses.push(door.local_addr()?);
    }
    let mut program = trial.client_of(&addresses)?;
    let begin = Instant::now();
    for (door, name) in doors.iter().zip(["the first server", "the second server"]) {
        let mut peer = Client::with(name, accept_within(door, PATIENCE, name)?)?;
        if name == "the second server" {
            peer.send("welcome")?; // a server that speaks first looks as a refused connection does to select
        }
        peer.expect("hello")?;
        peer.expect_gone()?;
    }
    trial.ok("both servers get `hello`, and the end");
    let status = program.ends_within(
        MOST.saturating_sub(begin.elapsed()),
        "after a second, with all timeouts at once",
    )?;
    expect(status.success(), "that it ends with status 0", status)?;
    let output = program.output();
    for (address, outcome) in
        addresses.iter().zip(["timed out"; 5].iter().chain(&["refused", "connected", "connected"]))
    {
        let lines = output.lines().filter(|line| line.trim().starts_with(&format!("{address} ")));
        let lines: Vec<_> = lines.map(str::trim).collect();
        let seen = quoted(lines.join("; ").as_bytes());
        expect(
            lines == [format!("{address} {outcome}")],
            format!("the line `{address} {outcome}`"),
            seen,
        )?;
    }
    trial.ok("each address has its outcome");
    Ok(())
}

/// A listener with a full queue: a client that connects gets no answer. The queue is to be kept.
fn full_listener() -> Verdict<(TcpListener, Vec<TcpStream>)> {
    const A_WHILE: Duration = Duration::from_millis(200);
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    rustix::net::listen(&listener, 0).map_err(std::io::Error::from)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, listener.local_addr()?.port()));
    let mut queue = Vec::new();
    while let Ok(client) = TcpStream::connect_timeout(&address, A_WHILE) {
        queue.push(client);
        expect(queue.len() < 16, "that a listener of the check can be full", "it is not")?;
    }
    Ok((listener, queue))
}

fn accept_within(door: &TcpListener, most: Duration, name: &str) -> Verdict<TcpStream> {
    door.set_nonblocking(true)?;
    let accepted = until(
        most,
        || door.accept(),
        |accepted| !matches!(accepted, Err(error) if error.kind() == ErrorKind::WouldBlock),
    );
    let (stream, _) = accepted.map_err(|_| {
        Wrong::new(format!("that it connects to {name}"), format!("no connection for {most:?}"))
    })?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

pub(super) const IDLE: Exercise = Exercise {
    name: "30",
    title: "silence, and a request that never ends",
    page: "ch30-idle",
    anchor: "exercise",
    task: "Write a server that sends back each line. It closes a client that was silent for a second. \
           It also closes a client when a line is not complete two seconds after its first byte. In \
           between it sleeps.",
    hints: &[
        "Two deadlines for a client: one moves with every byte, one only with a complete line.",
        "The timeout of the wait is the time until the first deadline.",
    ],
    example: None,
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        let mut silent = Vec::new();
        for number in 1..=50 {
            silent.push(server.client(&format!("silent client {number}"))?);
        }
        server.sleeps_while("fifty clients are silent")?;
        on_time(Duration::from_millis(700), |pace| lines_and_no_line(&server, pace))?;
        trial.ok("a client that sends lines stays, and one with an endless line is closed");
        silent.iter_mut().try_for_each(Client::expect_gone)?;
        trial.ok("silent ones are closed after a second");
        server.client("cy")?.ask("still here?\n", "still here?\n")
    },
};

/// Bob sends lines and is silent then, and ann sends a line that does not end.
fn lines_and_no_line(server: &Subject, pace: &mut Pace) -> Verdict {
    let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
    let begin = Instant::now();
    let mut ann_left = None;
    while begin.elapsed() < Duration::from_millis(3_600) {
        bob.ask("hello\n", "hello\n").map_err(|wrong| wrong.and("he sends a line each 0.3 s"))?;
        let is_quiet = ann_left.is_some() || !ann.has_input()?;
        expect(is_quiet, "that only complete lines come back", "a byte of ann's")?;
        if ann_left.is_none() && (ann.send("x").is_err() || ann.is_gone()?) {
            ann_left = Some(begin.elapsed());
        }
        pace.beat();
        thread::sleep(Duration::from_millis(300));
    }
    let what = "that ann, who sends a byte each 0.3 s and no line end, is closed after 2 s";
    let seen = ann_left.map_or("no end".into(), |time| format!("{} ms", time.as_millis()));
    let in_time = Duration::from_millis(1_400)..Duration::from_millis(3_500);
    expect(ann_left.is_some_and(|time| in_time.contains(&time)), what, seen)?;
    pace.beat();
    let begin = Instant::now();
    bob.expect_gone()?;
    let took = begin.elapsed();
    pace.beat();
    let what = "that bob, who is silent now, is closed after a second";
    let in_time = Duration::from_millis(400)..Duration::from_millis(1_800);
    expect(in_time.contains(&took), what, format!("{} ms", took.as_millis()))
}

pub(super) const ASYNC: Exercise = Exercise {
    name: "32",
    title: "a conversation, and a line that does not end",
    page: "ch32-async",
    anchor: "exercise",
    task: "Write the server of this chapter: it asks `your name?` and `a number?`, each with a line end, \
           and answers `ann, the sum of 1 to 10 is 55`, or `that is no number`. Then it closes. Several \
           clients are served at the same time. A client that sends without a line end costs less than \
           a mebibyte.",
    hints: &[
        "An async function, a thread, or a handler with a state: all may do it.",
        "Bound the line: close the client, or stop reading, when 64 KiB have no line end.",
    ],
    example: None,
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
        ann.expect("your name?\n")?;
        bob.expect("your name?\n")?;
        for piece in ["a", "n", "n"] {
            ann.send(piece)?;
            ann.expect_silence(Duration::from_millis(20))?;
        }
        ann.ask("\n", "a number?\n")?;
        bob.send("bob\nmany\n")?;
        bob.expect("a number?\nthat is no number\n")?;
        bob.expect_end()?;
        trial.ok("lines may come in pieces, or two at once");
        let mut cy = server.client("cy")?;
        cy.expect("your name?\n")?;
        cy.half_close()?;
        cy.expect_end()?;
        server.client("dora")?.reset()?;
        trial.ok("a client may leave at any time");
        let before = server.memory();
        let mut eve = server.client("eve")?;
        eve.expect("your name?\n")?;
        eve.try_pour(&[b'x'; 4096], 32 << 20)?;
        let grown = server.memory().saturating_sub(before) >> 20;
        let what = "that a client without a line end costs less than a mebibyte";
        expect(grown < 8, what, format!("the server has grown by {grown} MiB"))?;
        trial.ok("a line that does not end costs little");
        server.sleeps_while("eve's line does not end")?;
        ann.send("1000000\n")?;
        ann.expect("ann, the sum of 1 to 1000000 is 500000500000\n")?;
        ann.expect_end()?;
        trial.ok("and stops no other client");
        Ok(())
    },
};

pub(super) const SIGNAL_DRIVEN: Exercise = Exercise {
    name: "33",
    title: "a signal does not say how many",
    page: "ch33-five-models",
    anchor: "check",
    task: "Write a signal-driven server (SIGIO, O_ASYNC) that sends what it receives back in capitals. \
           It waits for signals only, with no select, poll or epoll.",
    hints: &[
        "Signals of one number are merged. After one, ask the listener and all clients.",
        "Block the signal, and wait for it with `sigwait`. Otherwise it may come just before the wait.",
    ],
    example: None,
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
        ann.ask("hello", "HELLO")?;
        bob.ask("and i", "AND I")?;
        let processes = server.processes();
        let signals: usize = processes.iter().map(|process| process.signal_driven()).sum();
        expect(
            signals >= 3,
            "that the listener and two clients have O_ASYNC",
            format!("{signals} files with it"),
        )?;
        let epolls: usize = processes.iter().map(|process| process.epolls().len()).sum();
        expect(epolls == 0, "no epoll", format!("{epolls} of them"))?;
        trial.ok("the kernel sends a signal for each of them");
        let before = server.descriptors();
        for _ in 0..5 {
            let mut clients = server.frozen(|| {
                let mut clients = Vec::new();
                for number in 1..=10 {
                    let mut client = server.client(&format!("client {number} of 10 at once"))?;
                    client.send("hello")?;
                    clients.push(client);
                }
                Ok(clients)
            })?;
            clients.iter_mut().try_for_each(|client| client.expect("HELLO"))?;
            server.frozen(|| clients.iter_mut().try_for_each(|client| client.send("x")))?;
            clients.iter_mut().try_for_each(|client| client.expect("X"))?;
        }
        trial.ok("ten clients with one signal are all answered");
        let long = "y".repeat(20_000);
        ann.ask(&long, long.to_uppercase())?;
        server.sleeps_while("no client sends")?;
        let asks = server.processes().iter().any(|process| process.waits_for_readiness());
        expect(!asks, "a wait for signals only", "a select, poll or epoll")?;
        server.has_descriptors_again(before)?;
        bob.half_close()?;
        bob.expect_end()
    },
};

pub(super) const PROXY: Exercise = Exercise {
    name: "34",
    title: "a proxy that passes on bytes, ends and back-pressure",
    page: "ch34-big-servers",
    anchor: "check",
    task: "Write a proxy. For each client it connects to the server `{upstream}` (in the command, or in \
           the variable UPSTREAM), and passes on the bytes of both sides. It passes on an end of one \
           side, and goes on with the other. A side that does not read costs less than 16 MiB.",
    hints: &[
        "After a read of nothing: `shutdown` for writing on the other side, when all is sent.",
        "Do not read from one side while the other has much that is not sent.",
        "After an error of one side, close both.",
    ],
    example: None,
    role: Role::Server,
    scenario: proxy,
};

fn proxy(trial: &Trial) -> Verdict {
    let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let upstream = door.local_addr()?;
    let server = trial.server_with(free_port()?, &[("upstream", upstream.to_string())])?;
    let connect = |name: &str, server: &Subject| {
        let client = server.client(name)?;
        let peer = accept_within(&door, PATIENCE, &format!("{upstream} for {name}"))?;
        Ok::<_, Wrong>((client, Client::with(&format!("the server of {name}"), peer)?))
    };
    let (mut ann, mut of_ann) = connect("ann", &server)?;
    let (mut bob, mut of_bob) = connect("bob", &server)?;
    ann.send("hello")?;
    of_ann.expect("hello")?;
    of_bob.send("welcome")?;
    bob.expect("welcome")?;
    of_ann.send("hello ann")?;
    ann.expect("hello ann")?;
    trial.ok("bytes pass in both directions");
    ann.send("last")?;
    ann.half_close()?;
    of_ann.expect("last")?;
    of_ann.expect_end()?;
    of_ann
        .send("the answer")
        .and_then(|()| ann.expect("the answer"))
        .map_err(|wrong| wrong.and("ann had finished sending, and still reads"))?;
    of_ann.half_close()?;
    ann.expect_end()?;
    of_bob.half_close()?;
    bob.expect_end()?;
    bob.send("and the other way round")?;
    of_bob.expect("and the other way round")?;
    trial.ok("an end passes, and the other direction goes on");
    drop([ann, of_ann, bob, of_bob]);
    let before = server.memory();
    for is_client in [true, false] {
        let (mut cy, mut of_cy) = connect("cy", &server)?;
        let (from, to) = if is_client { (&mut cy, &mut of_cy) } else { (&mut of_cy, &mut cy) };
        let sent = from.flood(64 << 20)?;
        let grown = server.memory().saturating_sub(before) >> 20;
        expect(
            grown < 16,
            "that a side that does not read costs less than 16 MiB",
            format!("{grown} MiB"),
        )?;
        server.sleeps_while("one side does not read")?;
        to.expect_flood(sent)?;
    }
    trial.ok("back-pressure passes, and no byte is lost");
    let descriptors = server.descriptors();
    let (mut dora, of_dora) = connect("dora", &server)?;
    of_dora.reset()?;
    dora.expect_gone()?;
    let (fred, mut of_fred) = connect("fred", &server)?;
    fred.reset()?;
    of_fred.expect_gone()?;
    trial.ok("a reset of one side ends the other");
    drop(door);
    server.client("eve")?.expect_gone().map_err(|wrong| wrong.and("the server has ended"))?;
    drop((dora, of_fred));
    server.sleeps_while("no client is there")?;
    server.has_descriptors_again(descriptors)
}
