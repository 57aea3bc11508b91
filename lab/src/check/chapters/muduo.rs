//! The exercises of the muduo library: chat, sudoku, idle connections, ping-pong.

use std::time::{Duration, Instant};

use crate::check::client::Client;
use crate::check::exercise::{Exercise, Role};
use crate::check::pace::{Pace, on_time};
use crate::check::subject::Subject;
use crate::check::trial::Trial;
use crate::check::verdict::{Verdict, Wrong, expect, quoted};

pub(super) const CHAT: Exercise = Exercise {
    name: "chat",
    title: "a chat room with messages of any length",
    page: "muduo",
    anchor: "chat",
    task: "Write a chat room. A message is a length in four bytes, big-endian, and so many bytes. The \
           server sends each message to all clients, also to its sender. A message has at most 65,536 \
           bytes: a client that announces more is disconnected. A client that does not read stops no \
           other, and costs less than 16 MiB: then it is disconnected.",
    hints: &[
        "Send on whole messages only. Bytes of two halves would be mixed with those of others.",
        "Bound the output of each client.",
    ],
    example: None,
    role: Role::Server,
    scenario: chat,
};

fn framed(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    [&(text.len() as u32).to_be_bytes(), text].concat()
}

fn chat(trial: &Trial) -> Verdict {
    let server = trial.server()?;
    let mut ann = server.client("ann")?;
    hear(&mut [&mut ann], "is anybody here?")?;
    let mut bob = server.client("bob")?;
    hear(&mut [&mut bob, &mut ann], "hello")?;
    hear(&mut [&mut ann, &mut bob], "")?;
    let long = "x".repeat(65_536);
    hear(&mut [&mut ann, &mut bob], &long)?;
    trial.ok("each message comes to all");
    let message = framed("in two halves");
    for at in [1, 3, 4, 9] {
        ann.send(&message[..at])?;
        hear(&mut [&mut bob, &mut ann], "in between")?;
        ann.send(&message[at..])?;
        ann.expect(&message)?;
        bob.expect(&message).map_err(|wrong| wrong.and("it came in two halves"))?;
    }
    let both = [framed("one"), framed("two")].concat();
    ann.send(&both)?;
    ann.expect(&both)?;
    bob.expect(&both)?;
    trial.ok("a message may come in halves, and two at once");
    let before = server.descriptors();
    for lengths in [[0, 1, 0, 1], [0xff; 4], [0x80, 0, 0, 0]] {
        let mut cy = server.client("cy, who announces too much,")?;
        cy.send(lengths)?;
        cy.expect_gone()?;
    }
    let mut leaver = server.client("dora")?;
    leaver.send(&message[..7])?;
    leaver.reset()?;
    hear(&mut [&mut ann, &mut bob], "still here?")?;
    server.has_descriptors_again(before)?;
    trial.ok("a client that announces too much, or leaves in a message, harms no other");
    slow_listener(&server, [&mut ann, &mut bob])?;
    trial.ok("a client that does not read stops no other, and costs little");
    server.sleeps_while("no client sends")
}

/// The first sends a message, and all get it.
fn hear(clients: &mut [&mut Client], text: &str) -> Verdict {
    let message = framed(text);
    clients[0].send(&message)?;
    clients.iter_mut().try_for_each(|client| client.expect(&message))
}

fn slow_listener(server: &Subject, mut others: [&mut Client; 2]) -> Verdict {
    let before = server.memory();
    let mut eve = server.client("eve, who does not read,")?;
    let long = "y".repeat(60_000);
    for _ in 0..800 {
        hear(&mut others, &long).map_err(|wrong| wrong.and("eve reads nothing"))?;
    }
    let grown = server.memory().saturating_sub(before) >> 20;
    let what = "that eve, who does not read, costs less than 16 MiB";
    expect(grown < 20, what, format!("the server has grown by {grown} MiB"))?;
    eve.expect_gone()
}

pub(super) const SUDOKU: Exercise = Exercise {
    name: "sudoku",
    title: "sudokus, many at once",
    page: "muduo",
    anchor: "sudoku",
    task: "Write a server that solves sudokus. A request is a line that ends with \\r\\n: a name, a \
           colon, and 81 digits, row by row, 0 for an empty field. The answer is the name, a colon, and \
           the 81 digits of the solution or `NoSolution`. Answers may come in any order. To any other \
           line, or to more than 100 bytes without a line end, the answer is `Bad Request!`, and the \
           connection is closed.",
    hints: &[
        "A line may come in pieces, and many lines at once.",
        "Backtracking solves each of these in a few milliseconds, if it tries the field with the fewest \
         choices first.",
    ],
    example: None,
    role: Role::Server,
    scenario: sudoku,
};

const PUZZLES: [&str; 4] = [
    "530070000600195000098000060800060003400803001700020006060000280000419005000080079",
    "200080300060070084030500209000105408000000000402706000301007040720040060004010003",
    "003020600900305001001806400008102900700000008006708200002609500800203009005010300",
    "000000907000420180000705026100904000050000040000507009920108000034059000507000000",
];

fn sudoku(trial: &Trial) -> Verdict {
    let server = trial.server()?;
    let [mut ann, mut bob] = server.clients(["ann", "bob"])?;
    ann.send(format!("one:{}\r\n", PUZZLES[0]))?;
    solved(&ann.line()?, "one", PUZZLES[0])?;
    trial.ok("a sudoku is solved");
    let (begin, end) = PUZZLES[2].split_at(40);
    bob.send(format!("halves:{begin}"))?;
    bob.expect_silence(Duration::from_millis(100))?;
    ann.send(format!("two:{}\r\n", PUZZLES[3]))?;
    solved(&ann.line()?, "two", PUZZLES[3])?;
    bob.send(end)?;
    bob.send("\r")?;
    bob.expect_silence(Duration::from_millis(50))?;
    bob.send("\n")?;
    solved(&bob.line()?, "halves", PUZZLES[2])?;
    trial.ok("a line may come in pieces");
    // The first field can only be a 9, and there is one below it.
    let impossible = format!("012345678{}9{}", "0".repeat(36), "0".repeat(35));
    ann.ask(format!("no:{impossible}\r\n"), "no:NoSolution\r\n")?;
    trial.ok("one without a solution is found");
    let mut requests = String::new();
    for number in 0..100 {
        requests += &format!("{number}:{}\r\n", PUZZLES[number % 4]);
    }
    ann.send(&requests)?;
    bob.send(format!("me too:{}\r\n", PUZZLES[0]))?;
    let mut missing: Vec<_> = (0..100).collect();
    while !missing.is_empty() {
        let line = ann.line()?;
        let name = line.split(':').next().and_then(|name| name.parse::<usize>().ok());
        let place = name.and_then(|name| missing.iter().position(|&one| one == name));
        let Some(place) = place else {
            let what = "answers with the names of requests, each once";
            return Err(Wrong::new(what, quoted(line.as_bytes())));
        };
        let number = missing.remove(place);
        solved(&line, &number.to_string(), PUZZLES[number % 4])?;
    }
    solved(&bob.line()?, "me too", PUZZLES[0])?;
    trial.ok("a hundred requests at once are all answered");
    let long = "x".repeat(200);
    let letters = format!("letters:{}\r\n", "x".repeat(81));
    let few = format!("few:{}\r\n", "0".repeat(80));
    let without_name = format!("{}\r\n", PUZZLES[0]);
    for bad in [&*letters, &few, &long, "\r\n", &without_name] {
        let mut cy = server.client("cy")?;
        cy.send(bad)?;
        cy.expect("Bad Request!\r\n").map_err(|wrong| wrong.and(&quoted(bad.as_bytes())))?;
        cy.expect_gone()?;
    }
    trial.ok("bad requests are refused");
    ann.ask(format!("no:{impossible}\r\n"), "no:NoSolution\r\n")?;
    server.sleeps_while("no client asks")
}

/// An answer has the name, the fields that were given, and each digit once in each row, column and
/// block.
fn solved(line: &str, name: &str, puzzle: &str) -> Verdict {
    let what = format!("a solution of {name}:{puzzle}");
    let digits = line.strip_prefix(&format!("{name}:")).and_then(|rest| rest.strip_suffix("\r\n"));
    let digits = digits.map(str::as_bytes).filter(|digits| digits.len() == 81).unwrap_or(&[]);
    let keeps =
        digits.iter().zip(puzzle.bytes()).all(|(&digit, given)| given == b'0' || digit == given);
    let unit = |fields: [usize; 9]| {
        let mut unit = fields.map(|field| digits.get(field).copied().unwrap_or(0));
        unit.sort_unstable();
        unit == *b"123456789"
    };
    let is_right = (0..9).all(|one| {
        unit(std::array::from_fn(|other| 9 * one + other))
            && unit(std::array::from_fn(|other| 9 * other + one))
            && unit(std::array::from_fn(|other| {
                27 * (one / 3) + 3 * (one % 3) + 9 * (other / 3) + other % 3
            }))
    });
    expect(keeps && is_right, what, quoted(line.as_bytes()))
}

pub(super) const IDLE_CONNECTIONS: Exercise = Exercise {
    name: "idle",
    title: "two hundred connections, and the idle ones are closed",
    page: "muduo",
    anchor: "idle",
    task: "Write a server that sends back what it receives. It closes each connection between one and \
           two seconds after its last byte. There are two hundred, and fifty of them send twice \
           a second or more often. While all clients are silent, the server sleeps.",
    hints: &[
        "A timing wheel: a ring of buckets. Each tick empties the oldest one.",
        "A byte puts its connection into the newest bucket. It may stay in the older ones, too, if the \
         last one closes it.",
    ],
    example: None,
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        server.client("ann")?.ask("hello", "hello")?;
        let before = server.descriptors();
        on_time(Duration::from_millis(500), |pace| two_hundred(&server, pace))?;
        trial.ok("the silent ones are closed in time, and the others stay");
        server.has_descriptors_again(before)?;
        server.client("bob")?.ask("still here?", "still here?")?;
        trial.ok("in the end no connection is left");
        server.sleeps_while("all connections are closed")
    },
};

fn two_hundred(server: &Subject, pace: &mut Pace) -> Verdict {
    const BUSY: usize = 50;
    const SILENT: usize = 150;
    let connect = |what: &'static str, count| {
        (0..count).map(move |number| server.client(&format!("{what} client {number}")))
    };
    let mut busy: Vec<Client> = connect("busy", BUSY).collect::<Verdict<_>>()?;
    pace.beat();
    let came = Instant::now();
    let mut silent: Vec<Client> = connect("silent", SILENT).collect::<Verdict<_>>()?;
    pace.beat();
    let begin = Instant::now();
    let mut first = None;
    while begin.elapsed() < Duration::from_millis(3_500) {
        let often = |wrong: Wrong| wrong.and("it sends twice a second");
        busy.iter_mut().try_for_each(|client| client.send("x")).map_err(often)?;
        busy.iter_mut().try_for_each(|client| client.expect("x")).map_err(often)?;
        pace.beat();
        let mut left = 0;
        for client in &mut silent {
            left += usize::from(client.is_gone()?);
        }
        if left > 0 {
            first = first.or(Some(came.elapsed()));
        }
        if begin.elapsed() > Duration::from_millis(2_800) {
            let what = "that all silent clients are closed after two seconds";
            expect(left == SILENT, what, format!("{left} of {SILENT}"))?;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let seen = first.map_or("no end".into(), |time| format!("{} ms", time.as_millis()));
    let is_late = first.is_some_and(|time| time > Duration::from_millis(900));
    expect(is_late, "that no silent client is closed before a second", seen)?;
    pace.beat();
    busy.iter_mut().try_for_each(Client::expect_gone)
}

pub(super) const PING_PONG: Exercise = Exercise {
    name: "ping-pong",
    title: "ping-pong: every byte comes back, and how fast",
    page: "muduo",
    anchor: "ping-pong",
    task: "Write a server that sends back what it receives, as fast as it can. Blocks have one byte, \
           sixteen KiB or a MiB. The check prints how much goes through in a second.",
    hints: &[
        "`send` takes as much as there is room for. Look at what it returns, and keep the rest.",
        "Above a limit, do not read from a client that does not read.",
    ],
    example: Some("echo"),
    role: Role::Server,
    scenario: |trial| {
        let server = trial.server()?;
        let before = server.memory();
        let mut ann = server.client("ann")?;
        let sent = ann.flood(32 << 20)?;
        server.client("bob")?.ask("and I?", "and I?")?;
        ann.expect_flood(sent)?;
        let sent = ann.flood(32 << 20)?;
        ann.expect_flood(sent)?;
        trial.ok("a block that is longer than all buffers comes back whole");
        let grown = server.memory().saturating_sub(before) >> 20;
        expect(grown < 20, "that the server keeps less than 16 MiB", format!("{grown} MiB"))?;
        for (count, size) in [(1, 1), (10, 16 << 10), (100, 4 << 10)] {
            let rounds = rally(&server, count, size)?;
            let clients = if count == 1 { "client" } else { "clients" };
            let speed = (rounds * count * size) as f64 / (1 << 20) as f64;
            trial.ok(&format!(
                "{count} {clients}, blocks of {size} bytes: {rounds} rounds, {speed:.1} MiB a second"
            ));
        }
        server.sleeps_while("no client sends")
    },
};

/// Plays with so many clients for a second, and returns the number of rounds.
fn rally(server: &Subject, count: usize, size: usize) -> Verdict<usize> {
    let clients = (1..=count).map(|number| server.client(&format!("client {number} of {count}")));
    let mut clients: Vec<Client> = clients.collect::<Verdict<_>>()?;
    let mut rounds = 0;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(1) {
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(block(number, rounds, size))?;
        }
        for (number, client) in clients.iter_mut().enumerate() {
            client.expect(block(number, rounds, size))?;
        }
        rounds += 1;
    }
    Ok(rounds)
}

/// Each client and each round has another block.
fn block(client: usize, round: usize, size: usize) -> Vec<u8> {
    vec![b'a' + ((client * 7 + round) % 26) as u8; size]
}
