//! A lab that plays its scenarios again and again keeps no more than one that has played them once.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tripoll_lab::live::scenarios;

/// The most resident memory, in KiB: the ring of records may have 32 MiB, a write buffer that a scenario
/// fills 64 MiB, and the allocator keeps some of what was freed.
const MOST_RESIDENT: u64 = 224 << 10;

/// By how much it may grow in a later round, in KiB. A round plays 25 scenarios: a lab that kept a MiB of
/// each would need more.
const MOST_GROWTH: u64 = 24 << 10;

/// How long a scenario is watched at each of its parts.
const PART: Duration = Duration::from_millis(120);

/// `tripoll lab` in a process of its own.
struct Lab {
    child: Child,
    address: String,
    token: String,
}

/// What the process has.
#[derive(Debug)]
struct Account {
    resident: u64,
    descriptors: usize,
    threads: usize,
}

impl Lab {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tripoll"));
        let mut child =
            command.arg("lab").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find_map(|word| word.strip_prefix("http://")).unwrap();
        let (address, token) = url.split_once("/?t=").unwrap();
        Lab { child, address: address.to_string(), token: token.to_string() }
    }

    /// Posts a control. Returns the first line of the answer.
    fn post(&self, query: &str) -> String {
        let Lab { address, token, .. } = self;
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!(
            "POST /control?t={token}&{query} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Length: 0\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap_or_default().to_string()
    }

    /// Plays all scenarios, and then begins anew.
    fn play_all(&self) {
        for scenario in scenarios::all() {
            let answer = self.post(&format!("op=scenario&value={}", scenario.id));
            assert!(answer.contains(" 204 "), "{}: {answer}", scenario.id);
            for op in ["op=play", "op=run"] {
                thread::sleep(PART);
                self.post(op); // refused if the subject has ended with an error
            }
            thread::sleep(PART);
        }
        assert!(self.post("op=restart").contains(" 204 "));
    }

    /// Returns what the process has when it has it for a while: what was closed may be on its way.
    fn settled(&self) -> Account {
        let end = Instant::now() + Duration::from_secs(10);
        let mut last = self.account();
        let mut since = Instant::now();
        while since.elapsed() < Duration::from_millis(500) {
            assert!(Instant::now() < end, "it never settles: {last:?}");
            thread::sleep(Duration::from_millis(20));
            let now = self.account();
            if (now.descriptors, now.threads) != (last.descriptors, last.threads) {
                since = Instant::now();
            }
            last = now;
        }
        last
    }

    fn account(&self) -> Account {
        let process = format!("/proc/{}", self.child.id());
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let count = |what: &str| fs::read_dir(format!("{process}/{what}")).unwrap().count();
        Account {
            resident: resident.split_whitespace().next().unwrap().parse().unwrap(),
            descriptors: count("fd"),
            threads: count("task"),
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

#[test]
fn scenarios_that_are_played_again_and_again_leave_nothing_behind() {
    let lab = Lab::start();
    for _ in 0..2 {
        lab.play_all(); // the ring fills, and the allocator has what it needs
    }
    let before = lab.settled();
    lab.play_all();
    let after = lab.settled();
    println!("{before:?}, {after:?}");
    assert_eq!(
        (after.descriptors, after.threads),
        (before.descriptors, before.threads),
        "a round leaves descriptors or threads"
    );
    assert!(after.resident <= MOST_RESIDENT, "{before:?}, {after:?}");
    assert!(after.resident <= before.resident + MOST_GROWTH, "{before:?}, {after:?}");
}
