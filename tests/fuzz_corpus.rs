//! The fuzz targets, without a fuzzer: the inputs in `fuzz/corpus`, and seeded mutations of them, so that
//! each change is tried with some thousand inputs. A failure prints its input.
//!
//! `TRIPOLL_SEED=7 TRIPOLL_FUZZ_RUNS=10 cargo test --test fuzz_corpus` tries ten times as many others.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs, thread};

use support::Dice;
use support::fuzz::{TARGETS, Target};

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(path)
}

/// Returns the inputs of a target, in the order of their names.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let files = fs::read_dir(folder("corpus").join(target.name)).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} has no corpus", target.name);
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// What may be put into an input.
const WORDS: &[&[u8]] = &[
    b"",
    b"\0",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\0\0\0\x05",
    b"\x1b[2J",
    b":",
    b"/",
    b"@",
    b"[",
    b"]",
    b"[::1]",
    b"%1",
    b"127.0.0.1",
    b":80",
    b"65536",
    b"localhost",
    b"\xe4\xbd",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    "你".as_bytes(),
    "\u{301}".as_bytes(),
    "\u{202e}".as_bytes(),
    b"epoll",
    b"edge",
    b"$3\r\nabc\r\n",
    b"*2\r\n",
    b"PROXY TCP6 ",
    b"/nick ",
    &[0xFF; 8],
    &[0; 8],
];

/// Returns a mutation of one of the inputs.
fn mutated(inputs: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    const LONGEST: usize = 200;
    let mut bytes = inputs[dice.below(inputs.len())].clone();
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len() + 1);
        let end = (at + dice.below(8)).min(bytes.len());
        match dice.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => bytes[at] = dice.below(256) as u8,
            2 => bytes.insert(at, dice.below(256) as u8),
            3 => _ = bytes.splice(at..end, WORDS[dice.below(WORDS.len())].iter().copied()),
            4 => _ = bytes.drain(at..end),
            _ => {
                let other = &inputs[dice.below(inputs.len())];
                let from = dice.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
    bytes.truncate(LONGEST);
    bytes
}

/// Prints the input of a failure.
struct Input<'a>(&'a str, &'a [u8]);

impl Drop for Input<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let Input(name, bytes) = self;
            eprintln!("this input of fuzz target {name} fails: b\"{}\"", bytes.escape_ascii());
            eprintln!("put it into fuzz/corpus/{name}, where each run of this test tries it");
        }
    }
}

fn check(name: &str) {
    let number = |name, otherwise| match env::var(name) {
        Ok(number) => number.parse().unwrap_or_else(|_| panic!("{name} is a number")),
        Err(_) => otherwise,
    };
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let try_it = |bytes: &[u8]| {
        let _input = Input(name, bytes);
        (target.body)(bytes);
    };
    let inputs = corpus(target);
    inputs.iter().for_each(|bytes| try_it(bytes));
    let mut dice = Dice(number("TRIPOLL_SEED", 11));
    for _ in 0..u64::from(target.runs) * number("TRIPOLL_FUZZ_RUNS", 1) {
        try_it(&mutated(&inputs, &mut dice));
    }
}

#[test]
fn texts_of_addresses() {
    check("address");
}

#[test]
fn hosts_and_ports() {
    check("host_and_port");
}

#[test]
fn names_of_backends_and_triggers() {
    check("names");
}

#[test]
fn numbers_of_settings() {
    check("numbers");
}

#[test]
fn bytes_of_texts() {
    check("utf8_decoder");
}

#[test]
fn histories_of_a_connection() {
    check("connection");
}

#[test]
fn lines_of_a_client_in_the_loop() {
    check("lines");
}

#[test]
fn frames_of_a_connection() {
    check("frames");
}

#[test]
fn datagrams_of_any_length() {
    check("datagrams");
}

#[test]
fn lines_of_a_chat() {
    check("chat");
}

#[test]
fn headers_of_the_proxy_protocol() {
    check("proxy_header");
}

#[test]
fn requests_of_redis() {
    check("redis");
}

#[test]
fn each_target_has_its_program_and_its_corpus_and_is_tried_here() {
    let names = |path: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(folder(path)).unwrap();
        let name = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        entries.map(|entry| name(entry.unwrap().path())).collect()
    };
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.into()).collect();
    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
    let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
    for name in &targets {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let program = fs::read_to_string(folder(&format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(program.contains(&format!("run(\"{name}\", data)")), "{name}");
        assert!(include_str!("fuzz_corpus.rs").contains(&format!("check(\"{name}\")")), "{name}");
    }
}
