//! `chat`: names, an order that is the same for all, and guests that do not read, on every backend and
//! trigger.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use rustix::process::Signal;
use support::example::{Server, on_every_backend};
use support::protocols::chat::{Leaves, MAX_LINE, MAX_NAME, Room};
use support::sockets::reset;

use crate::hostile::{self, Subject};

const CHAT: Subject = Subject { name: "chat", arguments: &[], assert_served };

fn assert_served(client: &mut TcpStream) {
    let mut guest = Guest::new(client.try_clone().unwrap());
    guest.type_line("/who");
    guest.read_until("here: ");
}

/// A guest with a terminal.
struct Guest {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Guest {
    fn new(stream: TcpStream) -> Self {
        Guest { reader: BufReader::new(stream.try_clone().unwrap()), stream }
    }

    /// Connects, and takes a name.
    fn named(server: &Server, name: &str) -> Self {
        let mut guest = Guest::new(server.connect());
        guest.type_line(&format!("/nick {name}"));
        guest.read_until(&format!("is now {name}\n"));
        guest
    }

    fn type_line(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line
    }

    /// Reads up to a line that contains `text`. Returns that line.
    #[track_caller]
    fn read_until(&mut self, text: &str) -> String {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the end, and no {text:?}");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Reads what is left.
    fn rest(mut self) -> String {
        let mut rest = String::new();
        let _ = self.reader.read_to_string(&mut rest);
        rest
    }
}

// Without sockets.

/// What a guest types, and what it alone reads.
fn ask(room: &mut Room<u32>, key: u32, text: &str) -> String {
    let mut reply = Vec::new();
    let (used, _) = room.receive(key, text.as_bytes(), &mut reply);
    assert_eq!(used, text.len());
    String::from_utf8(reply).unwrap()
}

fn news(room: &mut Room<u32>) -> String {
    String::from_utf8(room.take_news().to_vec()).unwrap()
}

#[test]
fn guests_have_names_that_are_theirs_alone() {
    let mut room = Room::new();
    assert!(room.join(1).contains("welcome, guest1"));
    assert!(room.join(2).contains("welcome, guest2"));
    assert_eq!(news(&mut room), "* guest1 joins\n* guest2 joins\n");
    assert_eq!(ask(&mut room, 1, "/nick bob\r\n/nick bob\n"), "* bob is taken\n");
    assert_eq!(ask(&mut room, 2, "/nick bob\n"), "* bob is taken\n");
    for name in ["", "two words", "\x1b[2J", "/x", &"x".repeat(MAX_NAME + 1)] {
        assert!(
            ask(&mut room, 2, &format!("/nick {name}\n")).starts_with("* a name is "),
            "{name}"
        );
    }
    assert_eq!(ask(&mut room, 2, "/nick 小明\n/nick guest4\n"), "");
    assert!(room.join(3).contains("guest3") && room.join(4).contains("guest5"));
    assert_eq!(ask(&mut room, 1, "/who\n"), "* 4 here: bob guest3 guest4 guest5\n");
    room.take_news();
    room.leave(1, Leaves::Quits);
    room.leave(1, Leaves::IsLost);
    room.leave(2, Leaves::IsSlow);
    assert_eq!(news(&mut room), "* bob leaves\n* guest4 is dropped: too slow in reading\n");
    assert_eq!(ask(&mut room, 3, "/nick bob\n"), "");
}

#[test]
fn what_is_said_cannot_act_on_the_terminals_of_others() {
    let mut room = Room::new();
    room.join(1);
    room.take_news();
    assert_eq!(ask(&mut room, 1, "你好\nhello\tyou\r\n\n\x1b[2J\u{9b}\n"), "");
    assert_eq!(
        news(&mut room),
        "guest1: 你好\nguest1: hello\u{fffd}you\nguest1: \u{fffd}[2J\u{fffd}\n"
    );
    let (used, stays) = room.receive(1, b"\xff\xfe\nhalf", &mut Vec::new());
    assert!((used, stays) == (3, true) && news(&mut room) == "guest1: \u{fffd}\u{fffd}\n");
}

#[test]
fn a_line_that_is_too_long_and_a_flood_of_questions_are_bounded() {
    let mut room = Room::new();
    room.join(1);
    let mut reply = Vec::new();
    let line = [b'x'; MAX_LINE + 1];
    assert_eq!(room.receive(1, &line[..MAX_LINE], &mut reply), (0, true));
    assert!(!room.receive(1, &line, &mut reply).1);
    assert_eq!(reply, b"* a line is longer than 1024 bytes\n");
    reply.clear();
    let flood = b"/who\n".repeat(100_000);
    let (used, stays) = room.receive(1, &flood, &mut reply);
    assert!(stays && used < flood.len() && reply.len() < 17 << 10);
    assert_eq!(room.receive(1, b"/quit\n/who\n", &mut Vec::new()), (6, false));
}

// With sockets.

#[test]
fn all_guests_read_the_same_lines_in_the_same_order() {
    const LINES: usize = 200;
    on_every_backend(|backend, trigger| {
        let mut server = CHAT.start(backend, trigger);
        let mut guests: Vec<_> =
            (0..5).map(|number| Guest::named(&server, &format!("g{number}"))).collect();
        for guest in &mut guests[..4] {
            guest.read_until("is now g4");
        }
        thread::scope(|scope| {
            for (number, guest) in guests.iter().enumerate() {
                let mut stream = &guest.stream;
                scope.spawn(move || {
                    for line in 0..LINES {
                        stream.write_all(format!("{number}-{line}\n").as_bytes()).unwrap();
                    }
                });
            }
        });
        let heard: Vec<Vec<String>> =
            guests.iter_mut().map(|guest| (0..5 * LINES).map(|_| guest.line()).collect()).collect();
        assert!(heard.iter().all(|lines| *lines == heard[0]));
        for number in 0..5 {
            let own = heard[0].iter().filter(|line| line.starts_with(&format!("g{number}: ")));
            let expected = (0..LINES).map(|line| format!("g{number}: {number}-{line}\n"));
            assert!(own.cloned().eq(expected));
        }
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn guests_come_and_go_and_the_others_are_told() {
    on_every_backend(|backend, trigger| {
        let mut server = CHAT.start(backend, trigger);
        let mut ann = Guest::named(&server, "ann");
        let mut bob = Guest::named(&server, "bob");
        ann.read_until("is now bob");
        bob.type_line("/who");
        assert_eq!(bob.line(), "* 2 here: ann bob\n");
        bob.type_line("/quit");
        assert_eq!(ann.line(), "* bob leaves\n");
        assert_eq!(bob.rest(), "");
        ann.type_line("/who");
        assert_eq!(ann.line(), "* 1 here: ann\n");

        let cy = Guest::named(&server, "cy");
        ann.read_until("is now cy");
        cy.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(ann.line(), "* cy leaves\n");
        let dan = Guest::named(&server, "dan");
        drop(dan.reader);
        reset(dan.stream);
        ann.read_until("* dan is lost");

        // What is said before the signal is read after it.
        let mut eve = Guest::named(&server, "eve");
        ann.read_until("is now eve");
        server.signal(Signal::STOP);
        eve.type_line("last words");
        server.signal(Signal::TERM);
        server.signal(Signal::CONT);
        assert_eq!(ann.rest(), "eve: last words\n* the chat is over\n");
        drop(eve);
        server.end().assert_graceful();
    });
}

#[test]
fn a_guest_that_does_not_read_is_dropped_and_the_others_go_on() {
    on_every_backend(|backend, trigger| {
        let mut server = CHAT.start(backend, trigger);
        let mut ann = Guest::named(&server, "ann");
        let _slow = Guest::named(&server, "slow");
        ann.read_until("is now slow");
        let before = server.memory();
        let mut stream = ann.stream.try_clone().unwrap();
        thread::scope(|scope| {
            let (stop, stopped) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                let lines = format!("{}\n", "x".repeat(1_000)).repeat(20);
                while stopped.try_recv().is_err() {
                    stream.write_all(lines.as_bytes()).unwrap();
                }
                stream.write_all(b"/who\n").unwrap();
            });
            ann.read_until("* slow is dropped: too slow in reading");
            stop.send(()).unwrap();
            ann.read_until("* 1 here: ann"); // the speaker may wait for room until then
        });
        let grown = server.memory().saturating_sub(before);
        assert!(grown < 4 << 10, "{grown} KiB more");
        server.stop(Signal::TERM).assert_graceful();
    });
}

#[test]
fn clients_that_leave_leave_nothing_behind() {
    hostile::clients_that_leave_leave_nothing_behind(CHAT);
}

#[test]
fn a_signal_ends_it_with_clients_connected() {
    hostile::a_signal_ends_it_with_clients_connected(CHAT);
}

#[test]
fn without_descriptors_it_waits_and_goes_on_later() {
    hostile::without_descriptors_it_waits_and_goes_on_later(CHAT);
}
