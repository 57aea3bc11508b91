//! A line for each wait, and one for each descriptor that took part in the turn.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use tripoll_trace::{Source, Wait, count};

use super::super::record::{Call, Row, Turn};
use super::rows::{Rows, row};
use super::words::Words;

/// The words that the lines of `tripoll trace` have beside those of the shared lines, in English.
pub(super) const LEGEND_EN: &str = "\
#           GHOST     ready, not reported, and will not be
# !!        a lint: something is wrong
";

/// The same, in Chinese.
pub(super) const LEGEND_ZH: &str = "\
#           GHOST     幽灵：已就绪，没有报告，也不会报告
# !!        检查：有什么不对
";

/// The most calls of one descriptor that are named.
const MOST_CALLS: usize = 5;

pub(super) fn write(turn: &Turn, before: &Rows, words: &Words, out: &mut String) {
    let since = &turn.since;
    if turn.skipped > 0 {
        let numbers = [turn.skipped, since.calls, since.read, since.written].map(count);
        let [turns, calls, read, written] = numbers;
        let _ = writeln!(out, "…         {turns} turns: {calls} calls, in {read}, out {written}");
    }
    let wait = &turn.wait;
    let line = Wait {
        turn: turn.t,
        call: &wait.call,
        arguments: &wait.args,
        result: wait.error.as_deref().map_or(Ok(wait.returned), Err),
        took: Duration::from_nanos(wait.slept_ns),
    };
    let nudged = if wait.nudged { "   (the lab ended it)" } else { "" };
    let _ = writeln!(out, "{line}{nudged}");
    let of_calls = turn.calls.iter().map(|call| call.fd);
    let of_reports = turn.reported.iter().map(|reported| reported.fd);
    let of_raw = wait.raw.iter().map(|raw| raw.fd);
    let fds = of_calls.chain(of_reports).chain(of_raw).chain(turn.ghosts.iter().copied());
    for fd in fds.collect::<BTreeSet<_>>() {
        let line = descriptor(fd, turn, before, words);
        let _ = writeln!(out, "{line}");
    }
    if let Some(error) = &turn.died {
        let _ = writeln!(out, "          {}", words.say("say.died", &[("error", error.clone())]));
    }
}

/// Returns the line of a descriptor.
fn descriptor(fd: i32, turn: &Turn, before: &Rows, words: &Words) -> String {
    let row = row(turn, before, fd);
    let raw = turn.wait.raw.iter().find(|raw| raw.fd == fd).map(|raw| raw.mask.clone());
    let is_again = turn.reported.iter().any(|it| it.fd == fd && it.again);
    let reported = raw.unwrap_or_else(|| if is_again { "again".into() } else { "-".into() });
    // What was wanted when the wait began.
    let wants = before.get(&fd).or(row).map_or("-", |row| &row.interest);
    let calls: Vec<&Call> = turn.calls.iter().filter(|call| call.fd == fd).collect();
    let mut done: Vec<String> = calls.iter().take(MOST_CALLS).map(|call| result(call)).collect();
    if calls.len() > MOST_CALLS {
        done.push(format!("… {} more", calls.len() - MOST_CALLS));
    }
    if let Some(gone) = turn.gone.iter().find(|gone| gone.fd == fd) {
        done.push(format!("removed ({})", gone.why));
    }
    let bytes = |what: &str| -> u64 {
        calls.iter().filter(|call| call.what == what).filter_map(|call| call.result).sum()
    };
    let line = Source {
        name: &name(row, words),
        fd,
        wants,
        reported: &reported,
        done: &done,
        read: bytes("read"),
        written: bytes("write"),
    };
    let mut line = line.to_string();
    if turn.ghosts.contains(&fd) {
        let ready = row.map_or("", |row| &row.ready);
        let unread = row.and_then(|row| row.read_queue).unwrap_or_default();
        let _ = write!(line, "   GHOST ready {ready}, {} unread", count(unread));
    }
    line
}

/// Returns the name of a descriptor, with the address of its peer.
fn name(row: Option<&Row>, words: &Words) -> String {
    let Some(row) = row else { return "?".into() };
    match (&*row.role, &row.peer) {
        ("listener", _) => format!("{} {}", words.say("role.listener", &[]), row.name),
        (_, Some(peer)) if !row.name.contains(peer.as_str()) => format!("{} {peer}", row.name),
        (role, _) if row.name.is_empty() => words.say(&format!("role.{role}"), &[]),
        _ => row.name.clone(),
    }
}

fn result(call: &Call) -> String {
    match (&call.error, call.result) {
        (Some(error), _) => format!("{} {error}", call.what),
        (None, Some(fd)) if call.what == "accept" => format!("accept → fd {fd}"),
        (None, result) => format!("{} {}", call.what, count(result.unwrap_or_default())),
    }
}
