//! What is checked with any bytes: the bodies of the fuzz targets in `fuzz/`, which `tests/fuzz_corpus.rs`
//! runs, too, with the inputs in `fuzz/corpus` and with seeded mutations of them.

mod chat;
mod connection;
mod datagrams;
mod frames;
mod lines;
mod proxy_header;
mod redis;
mod texts;

use std::collections::VecDeque;

use crate::Pair;

/// A target: its name, its body, and how many mutations a test tries.
pub struct Target {
    pub name: &'static str,
    pub body: fn(&[u8]),
    pub runs: u32,
}

/// All targets. Each has a program in `fuzz/fuzz_targets` and a folder in `fuzz/corpus`.
pub const TARGETS: &[Target] = &[
    Target { name: "address", body: texts::address, runs: 20_000 },
    Target { name: "host_and_port", body: texts::host_and_port, runs: 20_000 },
    Target { name: "names", body: texts::names, runs: 20_000 },
    Target { name: "numbers", body: texts::numbers, runs: 20_000 },
    Target { name: "utf8_decoder", body: texts::utf8_decoder, runs: 20_000 },
    Target { name: "connection", body: connection::connection, runs: 2_000 },
    Target { name: "lines", body: lines::lines, runs: 2_000 },
    Target { name: "frames", body: frames::frames, runs: 3_000 },
    Target { name: "datagrams", body: datagrams::datagrams, runs: 5_000 },
    Target { name: "chat", body: chat::chat, runs: 20_000 },
    Target { name: "proxy_header", body: proxy_header::proxy_header, runs: 20_000 },
    Target { name: "redis", body: redis::redis, runs: 20_000 },
];

/// Runs the body of a target.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("there is no such target").body)(data);
}

/// The bytes of an input, as a script: one decision after another.
#[derive(Debug, Clone)]
struct Script {
    bytes: VecDeque<u8>,
}

impl Script {
    fn new(bytes: &[u8]) -> Self {
        Script { bytes: bytes.iter().copied().collect() }
    }

    /// Returns the next decision, or `None` when the script is over.
    fn next(&mut self) -> Option<u8> {
        self.bytes.pop_front()
    }
}

/// Returns the pair that a byte stands for: in its upper half, with a selector that makes faults.
fn pair(byte: u8) -> Pair {
    let pairs: Vec<Pair> = Pair::all().collect();
    let pair = pairs[usize::from(byte % 128) % pairs.len()];
    Pair { noise: (byte >= 128).then_some(u64::from(byte)), ..pair }
}

/// Returns one of four sizes: a few bytes, and more than some buffer holds.
fn size(decision: u8) -> usize {
    [1, 10, 200, 5_000][usize::from(decision % 4)]
}
