//! Example servers as programs, of which a system call fails: every call, error and server.
//!
//! A fault must leave a server that serves, sleeps while nothing happens, and ends on a signal. Before it
//! accepts, a server may also end, with a message that names the call. `strace` makes the calls fail.
//! Where it is not installed, or may not trace, nothing is tested, and a line says so.
//!
//! A run tries a sample, chosen by a seed. `TRIPOLL_SEED=7 cargo test --test faults_outside` tries
//! another one. `TRIPOLL_FAULTS=` tries everything, in minutes, and `TRIPOLL_FAULTS='echo epoll: accept4'`
//! what has this in its name, with a line for each. A failure prints a command that shows the same.

mod calls;
mod cell;
mod subject;
mod traced;

use std::io::{self, Write};
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use support::Dice;

use cell::Cell;
use subject::{LITERAL, SUBJECTS};

/// The cells of a sample, as far as they do not take longer.
const SAMPLE: usize = 200;
const SAMPLE_TIME: Duration = Duration::from_secs(35);

#[test]
fn a_call_that_fails_makes_no_server_deaf_busy_or_dead() {
    if !is_possible() {
        return;
    }
    let found: Mutex<Vec<Cell>> = Mutex::default();
    at_once(SUBJECTS.len(), |index| {
        let cells = cell::cells(&SUBJECTS[index]);
        found.lock().unwrap().extend(cells);
    });
    let mut cells = found.into_inner().unwrap();
    cells.sort_by_key(Cell::name); // for the seed

    let filter = env::var("TRIPOLL_FAULTS").ok();
    match &filter {
        Some(filter) => cells.retain(|cell| cell.name().contains(filter)),
        None => choose(&mut cells),
    }
    let end = filter.is_none().then(|| Instant::now() + SAMPLE_TIME);
    let suspects: Mutex<Vec<Cell>> = Mutex::default();
    at_once(cells.len(), |index| {
        if end.is_some_and(|end| Instant::now() > end) {
            return; // a slow machine tries fewer
        }
        let verdict = cells[index].run();
        if filter.is_some() {
            say(&format!("{}: {verdict}", cells[index].name()));
        }
        if verdict.fault().is_some() {
            suspects.lock().unwrap().push(cells[index]);
        }
    });
    // Alone, because a busy machine makes servers slow.
    let mut faults = String::new();
    for cell in suspects.into_inner().unwrap() {
        let verdict = cell.run();
        if verdict.fault().is_some() {
            faults.push_str(&format!("\n{}: {verdict}\n    {cell}\n", cell.name()));
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

/// A test that finds nothing proves little. This program has all faults of its tutorial.
#[test]
fn a_server_that_a_fault_ends_is_found() {
    if !is_possible() {
        return;
    }
    let cells = cell::cells(&LITERAL);
    for name in ["literal: accept4 EMFILE once, call 1", "literal: sendto EPIPE often"] {
        let cell = cells.iter().find(|cell| cell.name() == name).expect(name);
        assert_eq!(cell.run().fault(), Some("it ends"), "{name}");
    }
}

fn is_possible() -> bool {
    let is_possible = traced::is_possible();
    if !is_possible {
        say("faults_outside: skipped, because strace is not installed or may not trace");
    }
    is_possible
}

/// Writes a line, which is not captured as the test's other output is.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Keeps a sample, in any order.
fn choose(cells: &mut Vec<Cell>) {
    let seed = env::var("TRIPOLL_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let mut dice = Dice(seed);
    for place in 0..SAMPLE.min(cells.len()) {
        let other = place + dice.below(cells.len() - place);
        cells.swap(place, other);
    }
    cells.truncate(SAMPLE);
}

/// Calls `body` with each number, several at the same time. They sleep most of the time.
fn at_once(count: usize, body: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = 3 * thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads.min(count) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    body(index);
                }
            });
        }
    });
}
