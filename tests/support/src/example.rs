//! A running example, seen from outside: its output, descriptors, threads and children.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{LONG, on_every_pair_at_once};
use rustix::pipe::fcntl_setpipe_size;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, kill_process, kill_process_group, pidfd_open,
    prlimit,
};
use tripoll::sys::{PollFd, PollFlags, poll};
use tripoll::{Backend, Trigger};

/// Runs `body` once for every backend and trigger, all at the same time. A panic shows for which.
pub fn on_every_backend(body: impl Fn(Backend, Trigger) + Sync) {
    on_every_pair_at_once(|pair| body(pair.backend, pair.trigger));
}

/// Returns the command that runs an example.
pub fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(program.exists(), "{program:?} is missing; `cargo build --examples` builds it");
    assert_up_to_date(&program);
    let mut command = Command::new(program);
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// Asserts that an example is newer than its sources: `cargo test --test NAME` builds no examples.
fn assert_up_to_date(program: &Path) {
    // The format is `program: source source …`, with a backslash before a space in a name.
    let rule = fs::read_to_string(program.with_extension("d")).unwrap().replace("\\ ", "\0");
    let changed = |file: &Path| fs::metadata(file).and_then(|file| file.modified());
    let built = changed(program).unwrap();
    for source in rule.split_whitespace().skip(1).map(|source| source.replace('\0', " ")) {
        let is_older = changed(source.as_ref()).is_ok_and(|changed| changed <= built);
        assert!(is_older, "{program:?} is older than {source}; `cargo build --examples` builds it");
    }
}

/// Returns the same command with a limit of descriptors.
pub fn limited(command: &Command, limit: u64) -> Command {
    in_shell(command, &format!("ulimit -n {limit}; exec \"$0\" \"$@\""))
}

/// Returns the same command as `"$0" "$@"` of a script.
pub fn in_shell(command: &Command, script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script);
    shell.env_remove("RUST_LOG").stdin(Stdio::null());
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

/// Returns the arguments for an address, a backend and a trigger.
pub fn arguments(address: &str, backend: Backend, trigger: Trigger) -> Vec<String> {
    let (backend, trigger) = (backend.name(), trigger.to_string());
    ["--listen", address, "--backend", backend, "--trigger", &trigger].map(Into::into).into()
}

/// Runs an example that is expected to end by itself.
pub fn run(name: &str, arguments: &[&str]) -> Output {
    run_command(example(name).args(arguments))
}

/// Runs a command that is expected to end by itself.
pub fn run_command(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if !ends_within(&child, LONG) {
        let _ = child.kill();
    }
    child.wait_with_output().unwrap()
}

/// A running example server, which is killed when this is dropped.
pub struct Server {
    child: Child,
    /// The address at which it says that it listens.
    pub address: String,
    /// The number of its open descriptors when it began to accept.
    pub fds_at_start: usize,
    /// Its further standard output.
    said: Option<BufReader<ChildStdout>>,
    /// Its standard error, until it is read.
    unheard: Option<ChildStderr>,
    log: Arc<Mutex<Vec<String>>>,
    log_reader: Option<JoinHandle<()>>,
}

/// How a server has ended.
#[derive(Debug)]
pub struct Stopped {
    pub status: ExitStatus,
    /// How long it ran on, without the time for which this test itself was kept from running.
    pub took: Duration,
    /// Its standard error, line by line.
    pub log: Vec<String>,
}

impl Server {
    /// Starts an example on a free port.
    pub fn start(name: &str, backend: Backend, trigger: Trigger) -> Server {
        Server::start_with(example(name).args(arguments("127.0.0.1:0", backend, trigger)))
    }

    /// Starts an example on a free port with a trace and a limit of descriptors.
    pub fn start_limited(name: &str, backend: Backend, trigger: Trigger, limit: u64) -> Server {
        let mut command = example(name);
        command.args(arguments("127.0.0.1:0", backend, trigger));
        Server::start_with(limited(&command, limit).arg("--trace"))
    }

    /// Starts a server, and waits until it accepts.
    pub fn start_with(command: &mut Command) -> Server {
        let mut server = Server::start_unheard(command);
        server.listen_to_its_log();
        server
    }

    /// Starts a server whose standard error is a pipe that no process reads yet, with room for the
    /// first lines only.
    pub fn start_unheard(command: &mut Command) -> Server {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0) // so that Ctrl-C ends the test alone
            .spawn()
            .unwrap();
        fcntl_setpipe_size(child.stderr.as_ref().unwrap(), 4_096).unwrap();
        let mut server = Server {
            address: String::new(),
            fds_at_start: 0,
            said: child.stdout.take().map(BufReader::new),
            unheard: child.stderr.take(),
            child,
            log: Arc::default(),
            log_reader: None,
        };
        server.address = server.next_address();
        server.fds_at_start = server.fds();
        server
    }

    /// Returns how many calls of handlers its trace shows.
    pub fn traced_calls(&self) -> usize {
        self.log().iter().filter(|line| line.contains(" call")).count()
    }

    /// Reads its standard error from now on.
    pub fn listen_to_its_log(&mut self) {
        let (lines, stderr) = (Arc::clone(&self.log), self.unheard.take().unwrap());
        // With more room, a slow reader loses no line of a trace.
        let _ = fcntl_setpipe_size(&stderr, 1 << 18); // the user may have too many pipes
        self.log_reader = Some(thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                lines.lock().unwrap().push(line.unwrap());
            }
        }));
    }

    /// Returns the next address at which it says that it listens.
    pub fn next_address(&mut self) -> String {
        let said = self.next_line();
        let address = said.strip_prefix("listening on ").and_then(|rest| rest.strip_suffix('\n'));
        address.map(String::from).unwrap_or_else(|| {
            let unheard = self.unheard.take();
            let stopped = self.stop(Signal::KILL);
            let mut errors = String::new();
            unheard.map(|mut unheard| unheard.read_to_string(&mut errors));
            panic!("it says {said:?}, {errors:?} and {stopped:?}");
        })
    }

    /// Returns the next line of its standard output.
    pub fn next_line(&mut self) -> String {
        let mut said = String::new();
        self.said.as_mut().unwrap().read_line(&mut said).unwrap();
        said
    }

    /// Reads and discards its standard output from now on, so that its writes do not block.
    pub fn let_it_talk(&mut self) {
        let mut said = self.said.take().unwrap();
        thread::spawn(move || io::copy(&mut said, &mut io::sink()));
    }

    /// Connects to the server. Reads and writes fail when they take too long.
    pub fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(&self.address).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.set_write_timeout(Some(LONG)).unwrap();
        client
    }

    /// Returns its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn proc(&self, file: &str) -> PathBuf {
        format!("/proc/{}/{file}", self.child.id()).into()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// What Ctrl-C in a terminal does: the signal goes to the server and to its children.
    pub fn interrupt_all(&mut self) -> Stopped {
        kill_process_group(self.pid(), Signal::INT).unwrap();
        self.end()
    }

    /// Returns the number of its open descriptors.
    pub fn fds(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// Returns the number of its threads.
    pub fn threads(&self) -> usize {
        fs::read_dir(self.proc("task")).unwrap().count()
    }

    /// Returns the number of its children, zombies included.
    pub fn children(&self) -> usize {
        self.child_ids().len()
    }

    /// Returns its children, zombies included.
    pub fn child_ids(&self) -> Vec<Pid> {
        let mut ids = Vec::new();
        for thread in fs::read_dir(self.proc("task")).unwrap() {
            // It may end meanwhile.
            let path = thread.unwrap().path().join("children");
            let text = fs::read_to_string(path).unwrap_or_default();
            ids.extend(
                text.split_whitespace().map(|id| Pid::from_raw(id.parse().unwrap()).unwrap()),
            );
        }
        ids
    }

    /// Returns the processor time that it has used, in hundredths of a second.
    pub fn cpu_ticks(&self) -> u64 {
        let stat = fs::read_to_string(self.proc("stat")).unwrap();
        // The name in brackets may contain anything. After it, utime and stime are the 12th and
        // 13th word.
        let (_, words) = stat.rsplit_once(')').unwrap();
        words.split_whitespace().skip(11).take(2).map(|word| word.parse::<u64>().unwrap()).sum()
    }

    /// Returns its resident memory, in KiB.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// Returns the size of its address space, in bytes.
    pub fn memory_mapped(&self) -> u64 {
        self.status("VmSize:") << 10
    }

    /// Sets one of its resource limits.
    pub fn limit(&self, resource: Resource, most: u64) {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        prlimit(Some(self.pid()), resource, limit).unwrap();
    }

    /// Returns how often it has gone to sleep.
    pub fn sleeps(&self) -> u64 {
        self.status("voluntary_ctxt_switches:")
    }

    fn status(&self, key: &str) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        value.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Returns whether it sleeps. (A process that only waits for a processor does not.)
    pub fn is_asleep(&self) -> bool {
        let stat = fs::read_to_string(self.proc("stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('S')
    }

    /// Returns its standard error so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Ends it with a signal.
    pub fn stop(&mut self, signal: Signal) -> Stopped {
        self.signal(signal);
        self.end()
    }

    /// Waits until it has ended.
    pub fn end(&mut self) -> Stopped {
        const BEAT: Duration = Duration::from_millis(10);
        let (start, mut late) = (Instant::now(), Duration::ZERO);
        loop {
            let begin = Instant::now();
            if ends_within(&self.child, BEAT) {
                break;
            }
            late += begin.elapsed().saturating_sub(BEAT);
            assert!(start.elapsed() < LONG, "it does not end");
        }
        let took = start.elapsed().saturating_sub(late);
        let status = self.child.wait().unwrap();
        if let Some(reader) = self.log_reader.take() {
            reader.join().unwrap();
        }
        Stopped { status, took, log: self.log() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = writeln!(io::stderr(), "the server's last words: {:?}", self.log().last());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Stopped {
    /// Asserts that it has ended with 0, in time, and without output on standard error.
    #[track_caller]
    pub fn assert_graceful(&self) {
        assert_eq!(self.status.code(), Some(0), "{self:?}");
        assert!(self.took < Duration::from_secs(2), "{self:?}");
        assert!(self.log.is_empty(), "{self:?}");
    }
}

/// Returns whether a process ends within `time`.
fn ends_within(child: &Child, time: Duration) -> bool {
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).unwrap();
    poll(&mut [PollFd::new(process.as_raw_fd(), PollFlags::IN)], Some(time)).unwrap() == 1
}
