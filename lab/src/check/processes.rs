//! What `/proc` says about a program and all that it has started.
//!
//! This process is the *subreaper* of its descendants: an orphan becomes its child. So a program that
//! makes itself a daemon is found, measured and killed like any other.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::ops::Sub;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, waitpid};

/// Makes orphans of the program children of this process.
pub(super) fn adopt_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    parent: i32,
    state: u8,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(") ")?; // a name may have anything in it
        let mut fields = rest.split(' ');
        let state = *fields.next()?.as_bytes().first()?;
        Some(Process { pid, parent: fields.next()?.parse().ok()?, state })
    }

    /// Whether it has ended, and its parent has not waited for it.
    pub(super) fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// Sends a signal. The process may have ended.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid) {
            let _ = kill_process(pid, signal);
        }
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(format!("/proc/{}/{folder}", self.pid));
        let entries = entries.into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.pid)).unwrap_or_default()
    }

    /// The numbers of its threads.
    pub(super) fn threads(&self) -> Vec<String> {
        self.files("task")
    }

    /// What each of its descriptors is, as `socket:[4711]`, with its number.
    pub(super) fn descriptors(&self) -> Vec<(String, String)> {
        let target = |number: String| {
            let link = fs::read_link(format!("/proc/{}/fd/{number}", self.pid)).ok()?;
            Some((number, link.to_string_lossy().into_owned()))
        };
        self.files("fd").into_iter().filter_map(target).collect()
    }

    /// The kernel's list of each of its epoll descriptors.
    pub(super) fn epolls(&self) -> Vec<Vec<Entry>> {
        let is_epoll = |(_, what): &(String, String)| what == "anon_inode:[eventpoll]";
        let lists = self.descriptors().into_iter().filter(is_epoll).map(|(number, _)| {
            let list = self.text(&format!("fdinfo/{number}"));
            list.lines().filter_map(Entry::parse).collect()
        });
        lists.collect()
    }

    /// The flags of a descriptor, as `open(2)` has them.
    fn flags(&self, number: &str) -> u32 {
        let info = self.text(&format!("fdinfo/{number}"));
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).unwrap_or(0)
    }

    /// How many of its descriptors make the kernel send a signal (`O_ASYNC`).
    pub(super) fn signal_driven(&self) -> usize {
        let numbers = self.files("fd");
        numbers.iter().filter(|number| self.flags(number) & libc::O_ASYNC as u32 != 0).count()
    }

    /// Whether one of its threads sleeps in a call for readiness. No, if the kernel does not say it.
    pub(super) fn waits_for_readiness(&self) -> bool {
        let mut calls = vec![libc::SYS_ppoll, libc::SYS_pselect6, libc::SYS_epoll_pwait];
        #[cfg(target_arch = "x86_64")]
        calls.extend([libc::SYS_poll, libc::SYS_select, libc::SYS_epoll_wait]);
        let call = |thread: &String| {
            let call = self.text(&format!("task/{thread}/syscall"));
            call.split(' ').next().and_then(|number| number.trim().parse().ok())
        };
        self.threads().iter().any(|thread| call(thread).is_some_and(|call| calls.contains(&call)))
    }

    /// How many receives are under way in its `io_uring`s: the kernel lists what waits for readiness.
    pub(super) fn receives_under_way(&self) -> usize {
        // readv, read_fixed, recvmsg, read, recv, read_multishot, recv_zc (`linux/io_uring.h`)
        const RECEIVES: [u32; 7] = [1, 4, 10, 22, 27, 49, 58];
        let is_ring = |(_, what): &(String, String)| what == "anon_inode:[io_uring]";
        let rings = self.descriptors().into_iter().filter(is_ring);
        let mut lists: Vec<_> =
            rings.map(|(number, _)| self.text(&format!("fdinfo/{number}"))).collect();
        lists.sort();
        lists.dedup(); // a duplicate is the same ring
        let operations = lists.iter().flat_map(|list| list.lines()).filter_map(|line| {
            line.trim_start().strip_prefix("op=")?.split(',').next()?.parse().ok()
        });
        operations.filter(|operation| RECEIVES.contains(operation)).count()
    }

    /// Whether one of its listeners has not the flag `O_NONBLOCK`.
    pub(super) fn blocks_in_accept(&self) -> bool {
        let listeners = listeners(|_| true);
        self.descriptors().iter().any(|(number, what)| {
            listeners.contains(what) && self.flags(number) & libc::O_NONBLOCK as u32 == 0
        })
    }

    /// Its memory, in bytes.
    pub(super) fn memory(&self) -> usize {
        let status = self.text("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kilobytes.and_then(|number| number.parse().ok()).map_or(0, |number: usize| number << 10)
    }

    /// Whether all its threads are stopped, or it has ended.
    fn is_stopped(&self) -> bool {
        self.threads().iter().all(|thread| {
            let stat = self.text(&format!("task/{thread}/stat"));
            stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 't', 'Z', 'X']))
        })
    }

    /// What one of its threads has done so far.
    pub(super) fn work_of(&self, thread: &str) -> Work {
        let times = self.text(&format!("task/{thread}/schedstat"));
        let mut times = times.split_whitespace().filter_map(|number| number.parse::<u64>().ok());
        let busy = times.next().unwrap_or(0) + times.next().unwrap_or(0);
        let status = self.text(&format!("task/{thread}/status"));
        let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        let sleeps = sleeps.and_then(|number| number.trim().parse().ok()).unwrap_or(0);
        Work { busy, sleeps }
    }
}

/// What an epoll descriptor watches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    events: u32,
}

impl Entry {
    const EDGE: u32 = 1 << 31;

    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.strip_prefix("tfd:")?.split_once("events:")?;
        let events = u32::from_str_radix(rest.split_whitespace().next()?, 16).ok()?;
        Some(Entry { events })
    }

    pub(super) fn is_edge(&self) -> bool {
        self.events & Entry::EDGE != 0
    }
}

/// What threads have done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Work {
    /// Nanoseconds in which they ran, or wanted to run and waited for a processor. So a busy loop is
    /// busy for all of its time, however many programs share the machine.
    pub(super) busy: u64,
    /// How often they fell asleep by themselves.
    pub(super) sleeps: u64,
}

impl Sub for Work {
    type Output = Work;

    /// A thread that has ended between the two takes its work with it.
    fn sub(self, before: Work) -> Work {
        Work {
            busy: self.busy.saturating_sub(before.busy),
            sleeps: self.sleeps.saturating_sub(before.sleeps),
        }
    }
}

/// The descendants of this process. An orphan that has ended is reaped here.
pub(super) fn descendants() -> Vec<Process> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let all: Vec<_> = pids.filter_map(Process::read).collect();
    let own = std::process::id() as i32;
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![own];
    while let Some(parent) = parents.pop() {
        for process in all.iter().filter(|process| process.parent == parent) {
            parents.push(process.pid);
            found.push(*process);
        }
    }
    found
}

/// Reaps the orphans that have ended. `child` is waited for by its owner.
pub(super) fn reap_orphans(child: i32) {
    let own = std::process::id() as i32;
    for orphan in descendants() {
        if orphan.is_zombie() && orphan.parent == own && orphan.pid != child {
            let _ = waitpid(Pid::from_raw(orphan.pid), WaitOptions::NOHANG);
        }
    }
}

/// Stops all descendants, and returns when they have stopped.
pub(super) fn stop_all() {
    for process in descendants() {
        process.signal(Signal::STOP);
    }
    for process in descendants() {
        let mut tries = 0;
        while !process.is_stopped() && tries < 1_000 {
            tries += 1;
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

/// Lets all descendants go on.
pub(super) fn continue_all() {
    for process in descendants() {
        process.signal(Signal::CONT);
    }
}

/// Kills all descendants. What they start meanwhile is killed in the next round.
pub(super) fn kill_all() {
    for _ in 0..100 {
        let living: Vec<_> =
            descendants().into_iter().filter(|process| !process.is_zombie()).collect();
        if living.is_empty() {
            return;
        }
        living.iter().for_each(|process| process.signal(Signal::KILL));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// The processes that have a listener open at a port.
pub(super) fn listens_at(port: u16) -> Option<Vec<Process>> {
    let has_socket = |(_, what): &(_, String)| what.starts_with("socket:");
    let mut owners = descendants();
    owners.retain(|process| process.descriptors().iter().any(has_socket));
    if owners.is_empty() {
        return None; // the tables of a machine that has closed many connections are very long
    }
    let sockets = listeners(|at| at == port);
    owners.retain(|process| process.descriptors().iter().any(|(_, what)| sockets.contains(what)));
    (!owners.is_empty()).then_some(owners)
}

/// The listeners of this machine at some ports, as `socket:[4711]`.
fn listeners(is_port: impl Fn(u16) -> bool) -> Vec<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let mut sockets = Vec::new();
    let lines = tables.iter().flatten().flat_map(|table| table.lines());
    for line in lines.filter(|line| line.contains(" 0A ")) {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [_, local, _, "0A", ..] = fields.as_slice() else { continue };
        let port = local.rsplit_once(':').and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
        if port.is_some_and(&is_port)
            && let Some(inode) = fields.get(9)
        {
            sockets.push(format!("socket:[{inode}]"));
        }
    }
    sockets
}

/// Returns the address in a line such as `listening on 127.0.0.1:8001`.
pub(super) fn announced(line: &str) -> Option<SocketAddr> {
    let (_, address) = line.split_once("listening on ")?;
    address.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernels_list_is_read() {
        let entry = Entry::parse("tfd:        5 events: 80000019 data:  5  pos:0 ino:1 sdev:9");
        assert!(entry.is_some_and(|entry| entry.is_edge()));
        assert!(Entry::parse("pos:\t0").is_none());
    }

    #[test]
    fn an_announced_address_is_found() {
        let address = announced("listening on 127.0.0.1:8001\n");
        assert_eq!(address, "127.0.0.1:8001".parse().ok());
        assert_eq!(announced("hello"), None);
    }
}
