//! `tripoll check`: the arguments, the explanation and the report.

use std::ffi::OsString;
use std::process::exit;
use std::time::Duration;

use super::failure::Failure;
use super::output::print;
use crate::check::{Cause, EXERCISES, Exercise, Role, watch};

/// A check that takes longer than this is ended.
const MOST: Duration = Duration::from_secs(60);

pub(super) fn list() -> Result<(), Failure> {
    let line = |exercise: &&Exercise| format!("{:<9} {}\n", exercise.name, exercise.title);
    print(&EXERCISES.iter().map(line).collect::<String>())
}

/// Explains an exercise, or checks a command.
pub(super) fn run(name: &str, command: &[OsString], start_within: u64) -> Result<(), Failure> {
    let is_named = |exercise: &&&Exercise| {
        exercise.name == name || exercise.name.trim_start_matches('0') == name
    };
    let exercise = EXERCISES.iter().find(is_named).ok_or_else(|| {
        Failure::Usage(format!("no exercise is named '{name}'; `check --list` has their names"))
    })?;
    if command.is_empty() {
        return print(&explained(exercise));
    }
    check(exercise, command, Duration::from_secs(start_within))
}

fn check(exercise: &Exercise, command: &[OsString], start_within: Duration) -> Result<(), Failure> {
    watch(MOST + start_within, |cause| match cause {
        Cause::Signal => {
            eprintln!("stopped");
            exit(130)
        }
        Cause::Time(most) => {
            eprintln!("wrong: expected that the check ends, seen: it runs after {most:?}");
            exit(1)
        }
        Cause::Processes(count) => {
            eprintln!("wrong: expected a few processes, seen: the program has started {count}");
            exit(1)
        }
    })?;
    print(&format!("check {}: {}\n", exercise.name, exercise.title))?;
    let note = |what: &str| {
        let _ = print(&format!("  ok     {what}\n"));
    };
    match exercise.check(command, start_within, &note) {
        Ok(()) => print("right\n"),
        Err(wrong) => {
            if let Some(reason) = wrong.start_failure() {
                return Err(Failure::Usage(reason.into()));
            }
            let anchor = wrong.anchor().unwrap_or(exercise.anchor);
            print(&format!("  WRONG  {wrong}\n"))?;
            print(&format!("read {}\n", place(exercise, anchor)))?;
            Err(Failure::Wrong)
        }
    }
}

/// The paragraph of the book, in the reader's language.
fn place(exercise: &Exercise, anchor: &str) -> String {
    let variables = ["LC_ALL", "LC_MESSAGES", "LANG"].map(std::env::var);
    let locale = variables.into_iter().flatten().find(|value| !value.is_empty());
    let language = match locale {
        Some(locale) if locale.starts_with("zh") => "zh",
        _ => "en",
    };
    format!("book/{language}/src/{}.md#{anchor}", exercise.page)
}

fn explained(exercise: &Exercise) -> String {
    let Exercise { name, title, task, hints, example, .. } = exercise;
    let hints = hints.iter().map(|hint| format!("  * {}\n", wrapped(hint, "    ").trim_start()));
    let example = example.map_or(String::new(), |example| {
        format!(
            "\nTry it on a program of ours (`cargo build --release --examples` builds it):\n  \
             cargo run --release -- check {name} -- target/release/examples/{example}\n"
        )
    });
    let convention = match exercise.role {
        Role::Server => SERVER,
        Role::Client => CLIENT,
    };
    format!(
        "{name}: {title}\n\n{}\n\nHints:\n{}\nCheck your program, in any language:\n  \
         cargo run --release -- check {name} -- COMMAND\n\n{}\n{example}\nRead {}\n",
        wrapped(task, ""),
        hints.collect::<String>(),
        wrapped(convention, ""),
        place(exercise, exercise.anchor),
    )
}

const SERVER: &str = "The command is started with its arguments, in which {} becomes the address, \
    as 127.0.0.1:8001. Without a {}, `--listen 127.0.0.1:8001` follows behind them. The variables \
    HOST and PORT have the address, too. A program that chooses another port prints a line \
    `listening on 127.0.0.1:8002`.";

const CLIENT: &str = "The command is started with its arguments, in which {} becomes the addresses, \
    as 127.0.0.1:8001 127.0.0.1:8002. Without a {} they follow behind its arguments.";

/// Text in lines of 80 columns, each behind an indent.
fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = vec![String::from(indent)];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always one");
        if line.chars().count() + word.chars().count() + 1 > 80 {
            lines.push(format!("{indent}{word}"));
        } else if line.trim().is_empty() {
            *line += word;
        } else {
            *line += &format!(" {word}");
        }
    }
    lines.join("\n")
}
