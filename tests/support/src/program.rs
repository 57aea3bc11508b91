//! Tests that start their own program again as a server. A server that forks needs a process
//! without other threads, and the usual runner runs tests in threads.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::process::{self, Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use std::{env, fs, panic};

use tripoll::net::Address;
use tripoll::server::{BaseServer, Hooks, Request, ServerConfig};
use tripoll::sys::{PollFd, PollFlags, poll};
use tripoll::{Backend, Trigger};

use crate::{LONG, on_every_pair_at_once};

/// The `main` of such a program. A test starts it again in one of the `roles`.
pub fn main(roles: &[(&str, fn())], tests: &[(&str, fn())]) {
    if let Ok(role) = env::var("ROLE") {
        let (_, body) = roles.iter().find(|(name, _)| *name == role).expect("a known role");
        return body();
    }
    let arguments = Arguments::parse(env::args().skip(1));
    if arguments.list {
        let asked_for = tests.iter().filter(|(name, _)| arguments.ask_for(name));
        asked_for.for_each(|(name, _)| println!("{name}: test"));
        return;
    }
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in tests.iter().filter(|(name, _)| arguments.ask_for(name)) {
        let has_passed = panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if has_passed { "ok" } else { "FAILED" });
        *if has_passed { &mut passed } else { &mut failed } += 1;
    }
    // A filter may match nothing here: `cargo test NAME` runs every target with it.
    let left_out = tests.len() - passed - failed;
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; {left_out} filtered out\n"
    );
    if failed > 0 {
        process::exit(101);
    }
}

/// The part of the usual runner's command line that is of use here. `cargo nextest` needs it all: it
/// lists the tests and the ignored tests, and runs each in a process of its own.
#[derive(Debug, Default)]
struct Arguments {
    list: bool,
    exact: bool,
    /// Whether only ignored tests are asked for, of which there are none.
    ignored: bool,
    filters: Vec<String>,
    skip: Vec<String>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Self {
        let mut arguments = Arguments::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--list" => arguments.list = true,
                "--exact" => arguments.exact = true,
                "--ignored" => arguments.ignored = true,
                "--skip" => arguments.skip.extend(words.next()),
                "--color" | "--format" | "--logfile" | "--test-threads" => drop(words.next()),
                option if option.starts_with('-') => {}
                _ => arguments.filters.push(word),
            }
        }
        arguments
    }

    fn ask_for(&self, name: &str) -> bool {
        let matches = |filter: &String| {
            if self.exact { name == filter } else { name.contains(filter.as_str()) }
        };
        let is_named = self.filters.is_empty() || self.filters.iter().any(matches);
        is_named && !self.ignored && !self.skip.iter().any(matches)
    }
}

/// This program, running as a server.
pub struct Program {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    pub stdout: BufReader<ChildStdout>,
}

/// Starts this program as a server on every backend and trigger, and runs `body` with each, all at
/// the same time. A panic shows the backend and the trigger.
pub fn on_every_backend(role: &str, body: impl Fn(Program) + Sync) {
    on_every_pair_at_once(|pair| body(Program::start(role, pair.backend, pair.trigger)));
}

/// Returns the configuration that the starting test has chosen.
pub fn config() -> ServerConfig {
    let variable = |name| env::var(name).unwrap();
    ServerConfig::default()
        .backend(variable("BACKEND").parse().unwrap())
        .trigger(variable("TRIGGER").parse().unwrap())
}

impl Program {
    pub fn start(role: &str, backend: Backend, trigger: Trigger) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .env("ROLE", role)
            .env("BACKEND", backend.name())
            .env("TRIGGER", trigger.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Program { child, stdin, stdout }
    }

    /// Returns the next line that it prints, or "" at the end of its output.
    pub fn line(&mut self) -> String {
        if self.stdout.buffer().is_empty() {
            let stdout = PollFd::new(self.stdout.get_ref().as_raw_fd(), PollFlags::IN);
            let ready = poll(&mut [stdout], Some(LONG)).unwrap();
            assert!(ready > 0, "the program printed nothing for {LONG:?}");
        }
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_string()
    }

    /// Returns the address at which it listens.
    pub fn address(&mut self) -> Address {
        let line = self.line();
        line.strip_prefix("listening on ").expect("the address").parse().unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns its children, zombies included.
    pub fn children(&self) -> Vec<u32> {
        let path = format!("/proc/{0}/task/{0}/children", self.id());
        let text = fs::read_to_string(path).unwrap();
        text.split_whitespace().map(|id| id.parse().unwrap()).collect()
    }

    /// Ends it gracefully, and returns what it has written to standard error.
    pub fn end(mut self) -> String {
        drop(self.stdin.take());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest.trim_end(), "ended", "the server's last line");
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(self.child.wait().unwrap().success(), "{log}");
        log
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends a server when its standard input ends. The loop asks each time, because a thread that waits
/// for it would forbid forking.
pub struct UntilStdinEnds;

impl<R: Request> Hooks<R> for UntilStdinEnds {
    fn service_actions(&self, server: &BaseServer<R>) {
        server.service_actions();
        let (ended, _, _) = tripoll::sys::select(&[0], &[], &[], Some(Duration::ZERO)).unwrap();
        if !ended.is_empty() {
            server.request_shutdown();
        }
    }
}

/// The poll interval of such a server, short enough to end soon.
pub const LOOK: Duration = Duration::from_millis(5);
