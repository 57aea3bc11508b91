//! One turn in words: the same sentence as that of the page, from the same record.

use std::time::Duration;

use tripoll_trace::{count, time};

use super::super::record::{Call, Reported, Row, Turn};
use super::words::{Language, Words};

/// A wait that took less has not slept.
const AT_ONCE_NS: u64 = 1_000_000;

/// The most calls that a sentence names.
const MOST_CALLS: usize = 4;

/// The most characters of a text.
const MOST_TEXT: usize = 24;

/// Returns the sentence of a turn.
pub(super) fn of(turn: &Turn, words: &Words) -> String {
    let say = |key: &str, values: &[(&str, String)]| words.say(key, values);
    let mut out = Vec::new();
    if turn.skipped > 0 {
        out.push(say("say.skipped", &[("n", count(turn.skipped))]));
    }
    let fresh: Vec<&Reported> = turn.reported.iter().filter(|it| !it.again).collect();
    let again: Vec<i32> = turn.reported.iter().filter(|it| it.again).map(|it| it.fd).collect();
    let is_known = |fd| turn.reported.iter().any(|it| it.fd == fd);
    let closed: Vec<i32> =
        turn.wait.raw.iter().map(|it| it.fd).filter(|&fd| !is_known(fd)).collect();
    let list = match fresh.len() {
        0 if closed.is_empty() => say("say.nothing", &[]),
        0 => say("say.none-of-its", &[]),
        1..=3 => {
            let what = |it: &&Reported| {
                let name = name(turn, it.fd, words);
                let values =
                    [("fd", it.fd.to_string()), ("name", name), ("flags", flags(it, words))];
                say("say.what", &values)
            };
            words.join(&fresh.iter().map(what).collect::<Vec<_>>(), "say.and")
        }
        more => {
            let fds: Vec<_> = fresh.iter().map(|it| it.fd.to_string()).collect();
            let list = words.join(&fds, "say.comma");
            say("say.many", &[("n", more.to_string()), ("list", list)])
        }
    };
    let wait = &turn.wait;
    let key = if wait.slept_ns < AT_ONCE_NS { "say.once" } else { "say.slept" };
    let (t, call, took) =
        (turn.t.to_string(), wait.call.to_string(), time(Duration::from_nanos(wait.slept_ns)));
    out.push(say(key, &[("t", t), ("call", call), ("time", took), ("list", list)]));
    if !closed.is_empty() {
        out.push(say("say.closed", &[("list", descriptors(&closed, words))]));
    }
    if wait.nudged {
        out.push(say("say.nudged", &[]));
    }
    if let Some(error) = &wait.error {
        out.push(say("say.failed", &[("error", error.clone())]));
    }
    if !again.is_empty() {
        out.push(say("say.again", &[("list", descriptors(&again, words))]));
    }
    if !turn.calls.is_empty() {
        let mut acts: Vec<_> =
            turn.calls.iter().take(MOST_CALLS).map(|call| act(call, words)).collect();
        if let Some(more) = turn.calls.len().checked_sub(MOST_CALLS).filter(|&more| more > 0) {
            acts.push(say("say.more", &[("n", more.to_string())]));
        }
        out.push(say("say.handler", &[("acts", words.join(&acts, "say.then"))]));
    }
    for gone in &turn.gone {
        let key = format!("why.{}", gone.why);
        let why = if words.has(&key) { say(&key, &[]) } else { gone.why.clone() };
        out.push(say("say.gone", &[("fd", gone.fd.to_string()), ("why", why)]));
    }
    if let Some(error) = &turn.died {
        out.push(say("say.died", &[("error", error.clone())]));
    }
    match turn.ghosts[..] {
        [] => {}
        [fd] => {
            let unread = row(turn, fd).and_then(|row| row.read_queue);
            let unread = unread.map_or_else(|| "–".into(), count);
            let values = [("fd", fd.to_string()), ("name", name(turn, fd, words)), ("n", unread)];
            out.push(say("say.ghost", &values));
        }
        ref fds => {
            let values = [("n", fds.len().to_string()), ("list", descriptors(fds, words))];
            out.push(say("say.ghosts", &values));
        }
    }
    out.join(if words.language == Language::Chinese { "" } else { " " })
}

fn row(turn: &Turn, fd: i32) -> Option<&Row> {
    turn.sources.iter().find(|row| row.fd == fd)
}

/// Returns the name of a descriptor.
fn name(turn: &Turn, fd: i32, words: &Words) -> String {
    match row(turn, fd) {
        None => "?".into(),
        Some(row) if row.role == "listener" => words.say("role.listener", &[]),
        Some(row) if row.name.is_empty() => words.say(&format!("role.{}", row.role), &[]),
        Some(row) => row.name.clone(),
    }
}

fn flags(reported: &Reported, words: &Words) -> String {
    let all = [(reported.r, "flag.r"), (reported.w, "flag.w"), (reported.e, "flag.e")];
    let found: Vec<_> =
        all.iter().filter(|(is, _)| *is).map(|(_, key)| words.say(key, &[])).collect();
    if found.is_empty() { "?".into() } else { words.join(&found, "say.and") }
}

fn descriptors(fds: &[i32], words: &Words) -> String {
    let one = |fd: &i32| words.say("say.fd", &[("fd", fd.to_string())]);
    words.join(&fds.iter().map(one).collect::<Vec<_>>(), "say.and")
}

/// Says what a call did.
fn act(call: &Call, words: &Words) -> String {
    let result = call.result.unwrap_or_default();
    let error = call.error.clone().unwrap_or_default();
    let key = match (&*call.what, error.as_str()) {
        (_, "EAGAIN" | "EWOULDBLOCK") => "again",
        (_, error) if !error.is_empty() => "error",
        ("accept", _) => "accept",
        ("read", _) if result == 0 => "end",
        (what @ ("read" | "write"), _) => what,
        _ => "other",
    };
    let number = if key == "accept" { result.to_string() } else { count(result) };
    let values = [
        ("fd", call.fd.to_string()),
        ("n", number),
        ("what", call.what.to_string()),
        ("error", error),
    ];
    let text = match &call.text {
        Some(text) if key == "read" || key == "write" => {
            let text = text.trim();
            let cut: String = text.chars().take(MOST_TEXT).collect();
            let dots = if cut.len() < text.len() { "…" } else { "" };
            format!(" “{cut}{dots}”")
        }
        _ => String::new(),
    };
    words.say(&format!("act.{key}"), &values) + &text
}
