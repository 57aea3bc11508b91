//! Tests that start their own program anew as a server, and look at that from outside. A server that
//! forks needs a process without other threads, and the usual runner's tests run in threads.

use std::io::{BufRead, BufReader, Read};
use std::process::{self, Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use std::{env, fs, panic};

use tripoll::net::Address;
use tripoll::server::{BaseServer, Hooks, Request, ServerConfig};
use tripoll::{Backend, Trigger};

use crate::on_every_pair_at_once;

/// The `main` of such a program: `roles` is what it is when it is started by a test.
pub fn main(roles: &[(&str, fn())], tests: &[(&str, fn())]) {
    if let Ok(role) = env::var("ROLE") {
        let (_, body) = roles.iter().find(|(name, _)| *name == role).expect("a known role");
        return body();
    }
    // As far as the usual runner's command line is of use here.
    let arguments: Vec<_> = env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        return;
    }
    let filters: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let is_asked_for = |name: &str| {
        filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
    };
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in tests.iter().filter(|(name, _)| is_asked_for(name)) {
        let has_passed = panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if has_passed { "ok" } else { "FAILED" });
        *if has_passed { &mut passed } else { &mut failed } += 1;
    }
    // A filter that nothing here matches may be meant for another file: `cargo test NAME` asks all.
    let left_out = tests.len() - passed - failed;
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; {left_out} filtered out\n"
    );
    if failed > 0 {
        process::exit(101);
    }
}

/// This program as a server.
pub struct Program {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    pub stdout: BufReader<ChildStdout>,
}

/// Starts this program as a server on every backend and trigger, and has `body` look at each, all at
/// the same time. A panic says where it happened.
pub fn on_every_backend(role: &str, body: impl Fn(Program) + Sync) {
    on_every_pair_at_once(|pair| body(Program::start(role, pair.backend, pair.trigger)));
}

/// What a server is told by whoever has started it.
pub fn config() -> ServerConfig {
    let said = |name| env::var(name).unwrap();
    ServerConfig {
        backend: said("BACKEND").parse().unwrap(),
        trigger: said("TRIGGER").parse().unwrap(),
        ..ServerConfig::default()
    }
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

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_string()
    }

    /// Where it listens.
    pub fn address(&mut self) -> Address {
        let line = self.line();
        line.strip_prefix("listening on ").expect("the address").parse().unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its children, zombies included.
    pub fn children(&self) -> Vec<u32> {
        let path = format!("/proc/{0}/task/{0}/children", self.id());
        let text = fs::read_to_string(path).unwrap();
        text.split_whitespace().map(|id| id.parse().unwrap()).collect()
    }

    /// Ends it in good order, and tells what it has written to stderr.
    pub fn end(mut self) -> String {
        drop(self.stdin.take());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest.trim_end(), "ended", "what the server says last");
        let mut told = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert!(self.child.wait().unwrap().success(), "{told}");
        told
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends a server when its standard input ends. A thread that waits for that would be one too many, so
/// the loop looks.
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

/// Often enough to end soon.
pub const LOOK: Duration = Duration::from_millis(5);
