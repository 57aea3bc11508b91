//! What is wrong with a subject, as its records show it.
//!
//! The lints read records and nothing else. So they find the same in a recording.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::record::{Lint, Row, Text, Turn};

/// Turns in a row after which a report that leads to nothing is a spin.
const SPIN: u64 = 20;

/// A buffer that has not grown for so many turns grows no more.
const STEADY: u64 = 2;

/// A wait that took longer than this has slept, so its loop does not spin.
const SLEPT_NS: u64 = 5_000_000;

/// Turns in a row after which a source that is ready and not reported is lost.
const LOST: u64 = 2;

/// Turns in a row after which a write interest without data is idle.
const IDLE: u64 = 2;

/// How long a call of a handler may take.
const SLOW_NS: u64 = 50_000_000;

/// How often a write buffer grows before it is said, or how large it is then.
const GROWTHS: u64 = 10;
const LARGE: u64 = 1 << 20;

/// The turns of which the shares of clients are compared, the bytes of one call from which on they are,
/// and the share that is too much, in percent.
const WINDOW: usize = 10;
const MUCH: u64 = 1 << 20;
const MOST_SHARE: u64 = 90;

/// Finds what is wrong, turn by turn.
#[derive(Debug, Default)]
pub(super) struct Lints {
    /// By slot and generation.
    sources: BTreeMap<(u32, u32), History>,
    /// The last turn.
    last: u64,
    /// The bytes that each client was read in the last turns.
    read: VecDeque<BTreeMap<i32, u64>>,
}

/// What is remembered of a source.
#[derive(Debug, Default)]
struct History {
    /// The turns in a row in which it was reported, and nothing came of it.
    futile: u64,
    /// The turns in a row in which it was a ghost.
    ghost: u64,
    /// The turns in a row in which it was reported as writable, with nothing to write.
    idle: u64,
    /// The turns since the end of its stream was read.
    ended: u64,
    /// How often its buffer has grown since it shrank, and its last size.
    growths: u64,
    /// For how many turns it has not grown.
    steady: u64,
    buffered: u64,
}

/// What a turn did with a descriptor.
#[derive(Debug, Default)]
struct Done {
    has_got: bool,
    has_given: bool,
    has_tried_to_write: bool,
    is_at_end: bool,
}

impl Lints {
    /// Returns what is wrong in a turn that follows those before it.
    pub(super) fn judge(&mut self, turn: &Turn) -> Vec<Lint> {
        let turns = turn.t.saturating_sub(self.last).max(1);
        self.last = turn.t;
        let mut found = Vec::new();
        let mut report = |id: &'static str, fd: Option<i32>, n: u64| {
            found.push(Lint { id: Text::Borrowed(id), fd, n });
        };
        let mut alive = BTreeSet::new();
        for row in &turn.sources {
            let Some(slot) = row.slot else { continue };
            alive.insert((slot, row.generation));
            let history = self.sources.entry((slot, row.generation)).or_default();
            history.note(turn, turns, row);
            let History { futile, ghost, idle, ended, growths, steady, buffered } = *history;
            let is_large = buffered >= LARGE && growths > 0;
            let grows = steady < STEADY && (growths >= GROWTHS || is_large);
            for (id, n, holds) in [
                ("lost-edge", ghost, ghost >= LOST),
                ("spin", futile, futile >= SPIN),
                ("end-ignored", ended, ended > 0),
                ("write-idle", idle, idle >= IDLE),
                ("growing-buffer", buffered, grows),
            ] {
                if holds {
                    report(id, Some(row.fd), n);
                }
            }
        }
        self.sources.retain(|key, _| alive.contains(key));
        let is_full = |error: Option<&str>| matches!(error, Some("EMFILE" | "ENFILE"));
        let refused = || turn.calls.iter().filter(|call| is_full(call.error.as_deref()));
        if let Some(call) = refused().next() {
            report("out-of-descriptors", Some(call.fd), refused().count() as u64);
        }
        for entry in turn.kernel.iter().flatten().filter(|entry| !entry.known) {
            report("zombie", Some(entry.fd), 1);
        }
        if let Some((fd, ns)) = slowest(turn).filter(|(_, ns)| *ns > SLOW_NS) {
            report("slow-handler", fd, ns / 1_000_000);
        }
        if let Some((fd, percent)) = self.hog(turn) {
            report("hog", Some(fd), percent);
        }
        found
    }

    /// Returns the client that gets nearly all bytes while others are served beside it, and its share.
    fn hog(&mut self, turn: &Turn) -> Option<(i32, u64)> {
        let clients = || turn.sources.iter().filter(|row| row.role == "client");
        let mut read: BTreeMap<i32, u64> = clients().map(|row| (row.fd, 0)).collect();
        for done in &turn.dispatches {
            if let Some(bytes) = read.get_mut(&done.fd) {
                *bytes += done.read;
            }
        }
        self.read.push_back(read);
        if self.read.len() > WINDOW {
            self.read.pop_front();
        }
        if clients().count() < 2 {
            return None;
        }
        let largest = turn.dispatches.iter().max_by_key(|it| it.read)?;
        let sum = |fd: i32| self.read.iter().filter_map(|read| read.get(&fd)).sum::<u64>();
        let all: u64 = clients().map(|row| sum(row.fd)).sum();
        let percent = sum(largest.fd) * 100 / all.max(1);
        (largest.read >= MUCH && percent > MOST_SHARE).then_some((largest.fd, percent))
    }
}

impl History {
    /// Notes what has become of a source in a turn. It stands for `turns`: those before it have no record.
    fn note(&mut self, turn: &Turn, turns: u64, row: &Row) {
        let done = Done::of(turn, row.fd);
        let reported = turn.reported.iter().find(|reported| reported.fd == row.fd);
        let is_futile = reported.is_some_and(|reported| {
            let has_answered = done.has_given && !done.is_at_end;
            let is_read_futile = (reported.r || reported.e) && !done.has_got && !has_answered;
            let is_write_futile = reported.w && !done.has_given && !done.has_got;
            is_read_futile || is_write_futile
        });
        let has_slept = turn.wait.slept_ns > SLEPT_NS;
        // The skipped turns have moved nothing either, or only what answers a read of no bytes.
        let is_still = turn.since.read == 0 && (turn.since.written == 0 || done.is_at_end);
        let is_idle_since = turns == 1 || is_still;
        self.futile = grown(self.futile, turns, is_futile && !has_slept && is_idle_since);
        // Room to write is nothing to be told of, as long as there is nothing to write.
        let has_work = row.ready.contains('r') && row.interest.contains('r') || row.buffered > 0;
        let is_lost = row.ghost && has_work && turn.ghosts.contains(&row.fd);
        self.ghost = grown(self.ghost, turns, is_lost);
        let is_written = reported.is_some_and(|reported| reported.w);
        let is_idle = is_written && !done.has_tried_to_write && row.buffered == 0;
        self.idle = grown(self.idle, turns, is_idle && row.interest.contains('w'));
        let has_ended = done.is_at_end || self.ended > 0;
        self.ended = grown(self.ended, turns, has_ended && row.interest.contains('r'));
        self.steady = if row.buffered > self.buffered { 0 } else { self.steady + turns };
        self.growths = match row.buffered {
            now if now > self.buffered => self.growths + 1,
            now if now == self.buffered => self.growths,
            _ => 0,
        };
        self.buffered = row.buffered;
    }
}

/// Returns the turns in a row in which something holds. Where it begins, the turns before this one that
/// have no record do not count.
fn grown(before: u64, turns: u64, holds: bool) -> u64 {
    match holds {
        true if before > 0 => before + turns,
        true => 1,
        false => 0,
    }
}

impl Done {
    fn of(turn: &Turn, fd: i32) -> Done {
        let mut done = Done::default();
        for call in turn.calls.iter().filter(|call| call.fd == fd) {
            match (&*call.what, call.result) {
                ("accept", Some(_)) => done.has_got = true,
                ("read", Some(0)) => done.is_at_end = true,
                ("read", Some(_)) => done.has_got = true,
                ("write", result) => {
                    done.has_tried_to_write = true;
                    done.has_given |= result > Some(0);
                }
                _ => {}
            }
        }
        done
    }
}

/// Returns the longest call of a handler. A bare loop works on a message outside of its calls: then it is
/// the mean of the turn.
fn slowest(turn: &Turn) -> Option<(Option<i32>, u64)> {
    let longest = turn.dispatches.iter().max_by_key(|it| it.took_ns)?;
    let mean = turn.measured.handler_ns / turn.dispatches.len() as u64;
    Some((Some(longest.fd), longest.took_ns.max(mean)))
}

#[cfg(test)]
mod tests {
    use super::super::record::{Call, Dispatched, KernelEntry, Measured, Reported};
    use super::*;

    /// A turn with one client, descriptor 7.
    fn turn(t: u64) -> Turn {
        let row = Row {
            slot: Some(1),
            generation: 1,
            fd: 7,
            role: "client".into(),
            interest: "r".into(),
            ..Row::default()
        };
        Turn { t, sources: vec![row], ..Turn::default() }
    }

    fn reports(mut turn: Turn, r: bool, w: bool) -> Turn {
        turn.reported.push(Reported {
            fd: 7,
            slot: Some(1),
            generation: 1,
            r,
            w,
            ..Reported::default()
        });
        turn
    }

    fn calls(mut turn: Turn, what: &'static str, result: u64) -> Turn {
        turn.calls.push(Call { fd: 7, what: what.into(), result: Some(result), ..Call::default() });
        turn
    }

    fn fails(mut turn: Turn, what: &'static str, error: &str) -> Turn {
        let error = Some(error.to_string());
        turn.calls.push(Call { fd: 7, what: what.into(), error, ..Call::default() });
        turn
    }

    /// Returns the lints of the last of `count` turns.
    fn last(count: u64, make: impl Fn(u64) -> Turn) -> Vec<(String, Option<i32>, u64)> {
        let mut lints = Lints::default();
        let found = (1..=count).map(|t| lints.judge(&make(t))).last().unwrap_or_default();
        found.into_iter().map(|lint| (lint.id.into_owned(), lint.fd, lint.n)).collect()
    }

    fn one(id: &str, n: u64) -> Vec<(String, Option<i32>, u64)> {
        vec![(id.to_string(), Some(7), n)]
    }

    #[test]
    fn a_report_that_leads_to_nothing_twenty_times_is_a_spin() {
        let futile = |t| fails(reports(turn(t), true, false), "read", "EAGAIN");
        assert_eq!(last(19, futile), []);
        assert_eq!(last(20, futile), one("spin", 20));
        assert_eq!(last(40, |t| calls(reports(turn(t), true, false), "read", 5)), []);
        let slow = |t| {
            let mut turn = futile(t);
            turn.wait.slept_ns = 1_000_000_000;
            turn
        };
        assert_eq!(last(40, slow), []);
        // A turn that stands for many, in which nothing was read.
        assert_eq!(
            last(2, |t| Turn { t: t * 1_000, skipped: 999, ..futile(t) }),
            one("spin", 1_001)
        );
    }

    #[test]
    fn the_end_of_a_stream_is_ignored_while_it_is_watched() {
        let ended = |t| calls(calls(reports(turn(t), true, true), "read", 0), "write", 3);
        assert_eq!(last(1, ended), one("end-ignored", 1));
        let found = last(20, ended);
        assert_eq!([&found[0].0, &found[1].0], ["spin", "end-ignored"]);
        let mut kept = ended(1);
        kept.sources[0].interest = "w".into();
        assert_eq!(last(1, |_| kept.clone()), []);
    }

    #[test]
    fn a_ghost_of_two_turns_is_a_lost_edge() {
        let ghost = |t| {
            let mut turn = turn(t);
            turn.sources[0].ghost = true;
            turn.sources[0].ready = "rw".into();
            turn.ghosts.push(7);
            turn
        };
        assert_eq!(last(1, ghost), []);
        assert_eq!(last(3, ghost), one("lost-edge", 3));
        let writable = |t| {
            let mut turn = ghost(t);
            (turn.sources[0].ready, turn.sources[0].interest) = ("w".into(), "w".into());
            turn
        };
        assert_eq!(last(3, writable), []);
    }

    #[test]
    fn a_write_interest_without_data_is_idle() {
        let idle = |t| {
            let mut turn = reports(turn(t), false, true);
            turn.sources[0].interest = "rw".into();
            turn
        };
        assert_eq!(last(2, idle), one("write-idle", 2));
        assert_eq!(last(9, |t| calls(idle(t), "write", 3)), []);
    }

    #[test]
    fn a_buffer_grows_ten_times_or_beyond_a_mebibyte() {
        let grows = |step: u64| {
            move |t| {
                let mut turn = turn(t);
                turn.sources[0].buffered = t * step;
                turn
            }
        };
        assert_eq!(last(9, grows(10)), []);
        assert_eq!(last(10, grows(10)), one("growing-buffer", 100));
        assert_eq!(last(1, grows(20_000_000)), one("growing-buffer", 20_000_000));
        let shrinks = |t| {
            let mut turn = turn(t);
            turn.sources[0].buffered = 20_000_000 - t;
            turn
        };
        assert_eq!(last(2, shrinks), []);
        let stays = |t: u64| {
            let mut turn = turn(t);
            turn.sources[0].buffered = t.min(20) * 1_000_000;
            turn
        };
        assert_eq!(last(21, stays), one("growing-buffer", 20_000_000));
        assert_eq!(last(22, stays), []);
    }

    #[test]
    fn what_takes_long_what_is_refused_and_what_the_kernel_keeps_is_found() {
        let slow = |t| {
            let took_ns = 60_000_000;
            Turn {
                dispatches: vec![Dispatched { fd: 7, took_ns, ..Dispatched::default() }],
                ..turn(t)
            }
        };
        assert_eq!(last(1, slow), one("slow-handler", 60));
        // A bare loop works outside of the calls that are measured.
        let bare = |t| {
            let measured = Measured { handler_ns: 120_000_000, ..Measured::default() };
            let dispatches = vec![Dispatched { fd: 7, ..Dispatched::default() }];
            Turn { dispatches, measured, ..turn(t) }
        };
        assert_eq!(last(1, bare), one("slow-handler", 120));
        assert_eq!(last(1, |t| fails(turn(t), "accept", "EMFILE")), one("out-of-descriptors", 1));
        let entry = |known| Some(vec![KernelEntry { fd: 7, mask: "IN".into(), known }]);
        assert_eq!(last(1, |t| Turn { kernel: entry(false), ..turn(t) }), one("zombie", 1));
        assert_eq!(last(1, |t| Turn { kernel: entry(true), ..turn(t) }), []);
    }

    #[test]
    fn a_client_that_gets_nearly_all_bytes_in_long_calls_is_a_hog() {
        let shares = |read| {
            move |t| {
                let mut turn = turn(t);
                let mut other = turn.sources[0].clone();
                (other.slot, other.fd) = (Some(2), 8);
                turn.sources.push(other);
                let done = |fd, read| Dispatched { fd, read, ..Dispatched::default() };
                turn.dispatches = vec![done(7, read), done(8, 10)];
                turn
            }
        };
        assert_eq!(last(3, shares(1 << 20)), one("hog", 99));
        assert_eq!(last(3, shares(64 << 10)), []);
        let alone = |t| Turn { sources: turn(t).sources, ..shares(1 << 20)(t) };
        assert_eq!(last(3, alone), []);
    }
}
