//! The program that is checked, while it runs.

use std::cell::RefCell;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::client::{Client, PATIENCE};
use super::processes::{self, Process, Work};
use super::verdict::{Verdict, Wrong, expect};

/// What the program has printed: the last lines, and how much it was.
#[derive(Debug, Default)]
pub(super) struct Printed {
    text: String,
    bytes: usize,
}

impl Printed {
    const KEPT: usize = 16 << 10;

    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.text += &String::from_utf8_lossy(bytes);
        if self.text.len() > Printed::KEPT {
            let cut = self.text.len() - Printed::KEPT / 2;
            let cut = (cut..self.text.len()).find(|&at| self.text.is_char_boundary(at));
            self.text.drain(..cut.unwrap_or(0));
        }
    }

    /// The last line that has something in it.
    fn last_words(&self) -> String {
        let line = self.text.lines().rev().find(|line| !line.trim().is_empty());
        line.map_or("it has printed nothing".into(), |line| {
            let short: String = line.trim().chars().take(120).collect();
            format!("its last words: {short}")
        })
    }
}

/// How the program has ended while a scenario ran, in words. Its trial reads it.
pub(super) type Obituary = Rc<RefCell<Option<String>>>;

/// A running program. It is killed with all that it has started when it is dropped.
#[derive(Debug)]
pub(super) struct Subject {
    child: Child,
    address: SocketAddr,
    printed: Arc<Mutex<Printed>>,
    /// The threads that read its output.
    readers: Vec<thread::JoinHandle<()>>,
    obituary: Obituary,
    may_end: bool,
}

/// A program that prints so much has gone wrong.
const MOST_PRINTED: usize = 8 << 20;

impl Subject {
    /// Starts the program. `address` is where it is to listen.
    pub(super) fn start(
        mut command: Command,
        address: SocketAddr,
        obituary: Obituary,
    ) -> Verdict<Self> {
        let spawned = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = spawned.map_err(|error| Wrong::cannot_start(&program, &error))?;
        let printed = Arc::<Mutex<Printed>>::default();
        let streams: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|stream| Box::new(stream) as _),
            child.stderr.take().map(|stream| Box::new(stream) as _),
        ];
        let readers = streams.into_iter().flatten().map(|stream| {
            let printed = Arc::clone(&printed);
            thread::spawn(move || keep(stream, &printed))
        });
        let readers = readers.collect();
        Ok(Subject { child, address, printed, readers, obituary, may_end: false })
    }

    fn printed<T>(&self, look: impl FnOnce(&Printed) -> T) -> T {
        look(&self.printed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until it listens: at the address that it was given, or at the one that it prints.
    pub(super) fn listens_within(&mut self, most: Duration) -> Verdict {
        let (end, mut looks) = (Instant::now() + most, 0);
        loop {
            looks += 1;
            let told = self.printed(|printed| printed.text.lines().find_map(processes::announced));
            for address in [told, Some(self.address)].into_iter().flatten() {
                if processes::listens_at(address.port()).is_some() {
                    self.address = address;
                    return Ok(());
                }
            }
            let what = format!("that the program listens on {}", self.address);
            if let Some(status) = self.child.try_wait()? {
                self.may_end = true;
                let words = self.last_words();
                return Err(Wrong::new(what, format!("it has ended with {status}; {words}")));
            }
            if Instant::now() > end && looks > FEWEST_LOOKS {
                let words = self.last_words();
                let seen = format!("after {} s it does not listen; {words}", most.as_secs());
                return Err(Wrong::new(what, seen));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it has printed last. If it has ended, all of it was read.
    fn last_words(&mut self) -> String {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            let end = Instant::now() + Duration::from_millis(500); // a child may keep the pipe open
            while self.readers.iter().any(|reader| !reader.is_finished()) && Instant::now() < end {
                thread::sleep(Duration::from_millis(5));
            }
        }
        self.printed(Printed::last_words)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connects a client.
    pub(super) fn client(&self, name: &str) -> Verdict<Client> {
        Client::connect(name, self.address)
    }

    /// Connects several.
    pub(super) fn clients<const N: usize>(&self, names: [&str; N]) -> Verdict<[Client; N]> {
        let clients: Verdict<Vec<_>> = names.iter().map(|name| self.client(name)).collect();
        Ok(clients?.try_into().expect("as many as there are names"))
    }

    /// Its processes that have not ended.
    pub(super) fn processes(&self) -> Vec<Process> {
        processes::reap_orphans(self.child.id() as i32);
        let all = processes::descendants();
        all.into_iter().filter(|process| !process.is_zombie()).collect()
    }

    /// Its children that have ended, and for which it has not waited.
    pub(super) fn zombies(&self) -> usize {
        processes::reap_orphans(self.child.id() as i32);
        let own = self.child.id() as i32;
        let all = processes::descendants();
        all.iter().filter(|process| process.is_zombie() && process.pid != own).count()
    }

    /// The processes that have its listener open.
    pub(super) fn listening(&self) -> Vec<Process> {
        processes::listens_at(self.address.port()).unwrap_or_default()
    }

    /// The number of its open descriptors, in all processes.
    pub(super) fn descriptors(&self) -> usize {
        self.processes().iter().map(|process| process.descriptors().len()).sum()
    }

    /// The number of its threads, in all processes that have the listener.
    pub(super) fn threads(&self) -> usize {
        self.listening().iter().map(|process| process.threads().len()).sum()
    }

    /// The number of its threads, in all processes.
    pub(super) fn all_threads(&self) -> usize {
        self.processes().iter().map(|process| process.threads().len()).sum()
    }

    /// The memory of all its processes, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.processes().iter().map(Process::memory).sum()
    }

    /// What all its threads have done so far.
    pub(super) fn work(&self) -> Work {
        work_of(&self.processes())
    }

    /// What all its threads have done, over a time.
    pub(super) fn work_over(&self, time: Duration) -> Work {
        let processes = self.processes();
        let before = work_of(&processes);
        thread::sleep(time);
        work_of(&processes) - before
    }

    /// Expects that it sleeps: it uses no processor, and is not woken all the time.
    pub(super) fn sleeps_while(&self, what: &str) -> Verdict {
        const WINDOW: Duration = Duration::from_millis(300);
        const MOST_SLEEPS: u64 = 12;
        let mut work = Work::default();
        for _ in 0..8 {
            work = self.work_over(WINDOW);
            if work.busy < WINDOW.as_nanos() as u64 / 4 && work.sleeps <= MOST_SLEEPS {
                return self.is_alive();
            }
        }
        let share = work.busy * 100 / WINDOW.as_nanos() as u64;
        let seen = match work.sleeps > MOST_SLEEPS {
            true => format!("it wakes up {} times in {WINDOW:?}", work.sleeps),
            false => format!("it is busy for {share} % of the time"),
        };
        Err(Wrong::new(format!("that the server sleeps while {what}"), seen))
    }

    /// Everything that it has printed, after its end.
    pub(super) fn output(&mut self) -> String {
        self.last_words();
        self.printed(|printed| printed.text.clone())
    }

    /// Expects that as few descriptors are open as before.
    pub(super) fn has_descriptors_again(&self, before: usize) -> Verdict {
        const TOLERATED: usize = 2;
        let now = until(PATIENCE, || self.descriptors(), |&now| now <= before + TOLERATED);
        let what = format!("as many open descriptors as before the clients came, {before}");
        expect(now <= before + TOLERATED, what, format!("{now}"))?;
        self.is_alive()
    }

    /// Expects that it has not ended.
    pub(super) fn is_alive(&self) -> Verdict {
        let listens = !self.listening().is_empty();
        expect(listens, "that the server still listens", "it does not listen any more")
    }

    /// Stops its processes, calls `then`, and lets them go on. So all that `then` does is in one
    /// answer of the kernel.
    pub(super) fn frozen<T>(&self, then: impl FnOnce() -> Verdict<T>) -> Verdict<T> {
        processes::stop_all();
        let result = then();
        processes::continue_all();
        result
    }

    /// Sends a signal to the process that was started. From now on it may end.
    pub(super) fn signal(&mut self, signal: Signal) {
        self.may_end = true;
        let _ = rustix::process::kill_process(Pid::from_child(&self.child), signal);
    }

    /// Waits until it has ended.
    pub(super) fn ends_within(&mut self, most: Duration, when: &str) -> Verdict<ExitStatus> {
        self.may_end = true;
        let status = until(most, || self.child.try_wait(), |status| !matches!(status, Ok(None)))?;
        status.ok_or_else(|| {
            Wrong::new(format!("that the program ends {when}"), format!("it runs after {most:?}"))
        })
    }
}

/// The sum of the work of all threads.
fn work_of(processes: &[Process]) -> Work {
    let works = processes
        .iter()
        .flat_map(|process| process.threads().into_iter().map(|thread| process.work_of(&thread)));
    works.fold(Work::default(), |sum, work| Work {
        busy: sum.busy + work.busy,
        sleeps: sum.sleeps + work.sleeps,
    })
}

/// So often is looked before time is up: the machine may have stood still meanwhile.
const FEWEST_LOOKS: u32 = 15;

/// Looks again and again until `is_enough`, for a time at most. Returns what was seen last.
pub(super) fn until<T>(
    most: Duration,
    mut look: impl FnMut() -> T,
    is_enough: impl Fn(&T) -> bool,
) -> T {
    let end = Instant::now() + most;
    for looks in 0.. {
        let seen = look();
        if is_enough(&seen) || Instant::now() > end && looks > FEWEST_LOOKS {
            return seen;
        }
        thread::sleep(Duration::from_millis(20));
    }
    unreachable!("the loop has no end of its own")
}

/// Reads what a program prints to its end. After too much it reads no more: the program then waits, and
/// its pipe stays open.
fn keep(mut stream: impl Read, printed: &Mutex<Printed>) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
        printed.add(&buffer[..count]);
        if printed.bytes > MOST_PRINTED {
            drop(printed);
            loop {
                thread::park();
            }
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let bytes = self.printed(|printed| printed.bytes);
        // A program that dies closes its connections first.
        let dies = Duration::from_millis(if self.may_end { 0 } else { 150 });
        let status = until(dies, || self.child.try_wait(), |status| !matches!(status, Ok(None)));
        if bytes > MOST_PRINTED {
            self.obituary.replace(Some(format!("the program has printed {bytes} bytes")));
        } else if let (false, Ok(Some(status))) = (self.may_end, status) {
            let words = self.last_words();
            self.obituary.replace(Some(format!("the program has ended: {status}; {words}")));
        }
        processes::kill_all();
        let _ = self.child.wait();
        processes::reap_orphans(0);
    }
}
