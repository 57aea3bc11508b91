//! A server under `strace`, and what its log says.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{self, Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use support::LONG;

use crate::subject::Subject;

/// Returns whether `strace` is here and may make a call fail.
pub fn is_possible() -> bool {
    let log = LogFile::new();
    let mut strace = strace(&log, &["-e", "inject=write:error=EIO:when=1"]);
    let status =
        strace.args(["echo", "hello"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    // The tracer is a process of its own, and may write its log a little later.
    let give_up = Instant::now() + Duration::from_secs(5);
    while status.is_ok() && Instant::now() < give_up {
        if log.read().contains("(INJECTED)") {
            return true;
        }
        thread::sleep(Duration::from_millis(10));
    }
    false
}

/// `strace` as a grandchild (`-D`), so that the server is a child of this process.
fn strace(log: &LogFile, arguments: &[&str]) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-D", "-I2", "-f", "-qq", "-o"]).arg(&log.0).args(arguments);
    strace
}

/// A file of `strace`, removed when it is dropped.
struct LogFile(PathBuf);

impl LogFile {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        LogFile(std::env::temp_dir().join(format!("tripoll-strace-{}-{number}", process::id())))
    }

    fn read(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.0).unwrap_or_default()).into_owned()
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A running server under `strace`.
pub struct Traced {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    log: LogFile,
    /// Since when it is known to have ended, though `strace` has not let go of it.
    ended_since: Option<Instant>,
}

/// How a server has ended, with its standard error.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub said: String,
}

impl Traced {
    /// Starts a server.
    pub fn start(subject: &Subject, arguments: &[&str]) -> Self {
        let log = LogFile::new();
        let command = subject.command();
        let mut child = strace(&log, arguments)
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_remove("RUST_LOG")
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr: Arc<Mutex<String>> = Arc::default();
        let (said, mut pipe) = (Arc::clone(&stderr), child.stderr.take().unwrap());
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                said.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        Traced { child, stdout, stderr, reader: Some(reader), log, ended_since: None }
    }

    /// Returns the address at which it says that it listens. `None`: it has ended instead.
    pub fn address(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.strip_prefix("listening on ").map(|address| address.trim_end().into())
    }

    /// Returns how many calls of `names` its log has, of all processes and threads.
    pub fn count(&self, names: &[&str]) -> usize {
        let log = self.log.read();
        calls(&log).filter(|(_, name, _)| names.contains(name)).count()
    }

    /// Returns how many calls `strace` has made fail.
    pub fn failures(&self) -> usize {
        self.log.read().matches("(INJECTED)").count()
    }

    pub fn trace(&self) -> String {
        self.log.read()
    }

    /// Returns the processor time that it has used, in hundredths of a second.
    pub fn ticks(&self) -> u64 {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The name in brackets may contain anything. After it, utime and stime are the 12th and
        // 13th word.
        let words = stat.rsplit_once(')').map_or("", |(_, words)| words);
        words.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum()
    }

    /// Returns whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.status().is_some()
    }

    /// Returns its exit status, once it has ended.
    fn status(&mut self) -> Option<ExitStatus> {
        /// `strace` may wait for ever for a thread of a process that has ended.
        const STUCK: Duration = Duration::from_millis(500);
        let status = self.child.try_wait().unwrap();
        if status.is_none() && self.is_zombie() {
            let since = *self.ended_since.get_or_insert_with(Instant::now);
            if since.elapsed() > STUCK {
                self.kill_tracer();
            }
        }
        status
    }

    fn is_zombie(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
    }

    fn kill_tracer(&self) {
        if let Some(tracer) = self.tracer() {
            let _ = kill_process(tracer, Signal::KILL); // it may have ended
        }
    }

    /// Ends the faults: the server runs on without `strace`.
    pub fn let_go(&mut self) {
        let give_up = Instant::now() + LONG;
        while let Some(tracer) = self.tracer() {
            if self.has_ended() {
                return;
            }
            let _ = kill_process(tracer, Signal::TERM); // it may have ended
            assert!(Instant::now() < give_up, "strace does not let go");
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn tracer(&self) -> Option<Pid> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
        Pid::from_raw(tracer.trim().parse().ok()?)
    }

    pub fn terminate(&self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM); // it may have ended
    }

    /// Waits until it has ended. `None`: it does not within `time`.
    pub fn end(&mut self, time: Duration) -> Option<Ended> {
        let give_up = Instant::now() + time;
        let status = loop {
            match self.status() {
                Some(status) => break status,
                None if Instant::now() > give_up => return None,
                None => thread::sleep(Duration::from_millis(2)),
            }
        };
        // Children of the server may keep the pipe for a while.
        let give_up = Instant::now() + Duration::from_secs(1);
        while self.reader.as_ref().is_some_and(|reader| !reader.is_finished())
            && Instant::now() < give_up
        {
            thread::sleep(Duration::from_millis(2));
        }
        Some(Ended { status, said: self.stderr.lock().unwrap().clone() })
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = self.child.kill();
        self.kill_tracer();
        let _ = self.child.wait();
    }
}

/// Returns the calls of a log, in order: thread, name, line. A call that another one interrupts has two
/// lines, of which the second begins with `<...`.
pub fn calls(log: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    log.lines().filter_map(|line| {
        let (thread, call) = line.split_once(' ')?;
        let call = call.trim_start();
        let (name, _) = call.split_once('(')?;
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_name.then_some((thread, name, call))
    })
}
