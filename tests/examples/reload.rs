//! `reload`: its settings and its program change under its clients.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::id;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::example::{Server, arguments, example, on_every_backend};
use support::{LONG, await_that};
use tripoll::{Backend, Trigger};

use crate::hostile::{self, Subject};

const RELOAD: Subject = Subject { name: "reload", arguments: &[], assert_served };

fn assert_served(client: &mut TcpStream) {
    assert_eq!(ask(client), "hello, world\n");
}

fn ask(client: &mut TcpStream) -> String {
    client.write_all(b"world\n").unwrap();
    let mut answer = String::new();
    BufReader::new(client).read_line(&mut answer).unwrap();
    answer
}

/// A file with settings, which is removed at the end.
struct Settings(PathBuf);

impl Settings {
    fn new(text: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let settings =
            Settings(std::env::temp_dir().join(format!("tripoll-reload-{}-{number}", id())));
        settings.write(text);
        settings
    }

    fn write(&self, text: &str) {
        fs::write(&self.0, text).unwrap();
    }

    fn start(&self, backend: Backend, trigger: Trigger) -> Server {
        let mut command = example("reload");
        command.args(arguments("127.0.0.1:0", backend, trigger)).arg("--settings").arg(&self.0);
        Server::start_with(&mut command)
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_hangup_changes_the_answers_of_the_same_connection() {
    on_every_backend(|backend, trigger| {
        let settings = Settings::new("greeting = first\n");
        let mut server = settings.start(backend, trigger);
        let mut client = server.connect();
        assert_eq!(ask(&mut client), "first world\n");
        settings.write("longest = 5\n\ngreeting = second");
        server.signal(Signal::HUP);
        let asked = std::cell::RefCell::new(client);
        let is_new = || ask(&mut asked.borrow_mut()) == "second world\n";
        await_that("it has the new settings", is_new);
        let mut client = asked.into_inner();

        settings.write("greeting = third\nlongest = none\n");
        server.signal(Signal::HUP);
        await_that("it complains", || !server.log().is_empty());
        assert_eq!(ask(&mut client), "second world\n");
        client.write_all(b"more than five").unwrap();
        let mut rest = String::new();
        client.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "a line has 5 bytes at most\n");
        let stopped = server.stop(Signal::TERM);
        assert_eq!((stopped.status.code(), stopped.log.len()), (Some(0), 1), "{stopped:?}");
        assert!(stopped.log[0].contains("\"longest = none\" is no setting"), "{stopped:?}");
    });
}

/// What became of some connections.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    refused: usize,
    reset: usize,
    unanswered: usize,
    by_old: usize,
    by_new: usize,
}

/// Makes `count` connections, one a millisecond at most, and further ones until the new program answers,
/// which may start slowly. Each asks once. `at` is called with the number of each.
fn connect_all(address: &str, count: usize, at: impl Fn(usize)) -> Outcome {
    let mut outcome = Outcome::default();
    let (began, most) = (Instant::now(), LONG + Duration::from_millis(10 * count as u64));
    for number in 0.. {
        if number >= count && outcome.by_new > 0 {
            break;
        }
        assert!(began.elapsed() < most, "the new program does not serve: {outcome:?}");
        at(number);
        let due = began + Duration::from_millis(number as u64);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let Ok(mut client) = TcpStream::connect(address) else {
            outcome.refused += 1;
            continue;
        };
        client.set_read_timeout(Some(LONG)).unwrap();
        let sent = client.write_all(b"world\n");
        let mut answer = String::new();
        match sent.and_then(|()| BufReader::new(client).read_line(&mut answer)) {
            Err(_) => outcome.reset += 1,
            Ok(_) if answer == "old world\n" => outcome.by_old += 1,
            Ok(_) if answer == "new world\n" => outcome.by_new += 1,
            Ok(_) => outcome.unanswered += 1,
        }
    }
    outcome
}

/// Replaces the program while `count` connections are made. Returns what became of them.
fn replace_while(backend: Backend, trigger: Trigger, count: usize) -> Outcome {
    let settings = Settings::new("greeting = old");
    let mut server = settings.start(backend, trigger);
    let mut old_client = server.connect();
    assert_eq!(ask(&mut old_client), "old world\n");
    settings.write("greeting = new");
    let outcome = connect_all(&server.address, count, |number| {
        if number == count / 4 {
            server.signal(Signal::USR2);
        }
    });
    assert_eq!(server.next_address(), server.address);
    // The new program is a child of the old one, and outlives it.
    let new = new_program(&server, &settings);
    let mut rest = String::new(); // the old client has had time to finish
    old_client.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    await_that("the old program ends", || !is_running(server.pid()));
    let mut client = server.connect();
    assert_eq!(ask(&mut client), "new world\n");
    kill_process(new, Signal::TERM).unwrap();
    server.end().assert_graceful();
    TcpStream::connect(&server.address).unwrap_err();
    outcome
}

/// Returns the process that serves beside the server. Its arguments have the file with the settings.
fn new_program(server: &Server, settings: &Settings) -> Pid {
    let old = server.pid().as_raw_nonzero().to_string();
    let file = settings.0.as_os_str().as_bytes();
    let is_new = |pid: &String| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        *pid != old && arguments.split(|&byte| byte == 0).any(|argument| argument == file)
    };
    let all = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name());
    let mut all = all.map(|name| name.to_string_lossy().into_owned());
    Pid::from_raw(all.find(is_new).unwrap().parse().unwrap()).unwrap()
}

/// Returns whether a process has not ended. One that has ended is a zombie: its parent is the test.
fn is_running(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap();
    !stat.rsplit_once(") ").unwrap().1.starts_with('Z')
}

fn assert_nothing_is_lost(outcome: &Outcome, count: usize) {
    let Outcome { refused, reset, unanswered, by_old, by_new } = *outcome;
    assert_eq!((refused, reset, unanswered), (0, 0, 0), "{outcome:?}");
    assert!(by_old > 0 && by_new > 0 && by_old + by_new >= count, "{outcome:?}");
}

#[test]
fn ten_thousand_connections_survive_a_restart() {
    let outcome = replace_while(Backend::Epoll, Trigger::Level, 10_000);
    assert_nothing_is_lost(&outcome, 10_000);
}

#[test]
fn a_thousand_connections_survive_a_restart_on_every_backend() {
    on_every_backend(|backend, trigger| {
        let outcome = replace_while(backend, trigger, 1_000);
        assert_nothing_is_lost(&outcome, 1_000);
    });
}

/// The settings of the new program are wrong: it ends, and the old one goes on.
#[test]
fn a_new_program_that_cannot_start_costs_nothing() {
    on_every_backend(|backend, trigger| {
        let settings = Settings::new("greeting = old");
        let mut server = settings.start(backend, trigger);
        let mut client = server.connect();
        settings.write("a mistake");
        server.signal(Signal::USR2);
        let has_ended = |line: &String| line.contains("the new program has ended");
        await_that("it says so", || server.log().iter().any(has_ended));
        assert_eq!(ask(&mut client), "old world\n");
        assert_eq!(ask(&mut server.connect()), "old world\n");
        assert_eq!(server.children(), 0);
        settings.write("greeting = new");
        server.signal(Signal::USR2); // once more
        server.next_address();
        let new = new_program(&server, &settings);
        await_that("the old program ends", || !is_running(server.pid()));
        kill_process(new, Signal::TERM).unwrap();
        assert_eq!(server.end().status.code(), Some(0));
    });
}

#[test]
fn clients_that_leave_leave_nothing_behind() {
    hostile::clients_that_leave_leave_nothing_behind(RELOAD);
}

#[test]
fn a_signal_ends_it_with_clients_connected() {
    hostile::a_signal_ends_it_with_clients_connected(RELOAD);
}

#[test]
fn without_descriptors_it_waits_and_goes_on_later() {
    hostile::without_descriptors_it_waits_and_goes_on_later(RELOAD);
}
