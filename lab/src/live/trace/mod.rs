//! Records as lines of text: `tripoll trace`.

mod lines;
mod rows;
mod sentence;
mod syscalls;
mod words;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::record::{Client, Record, Turn};
use rows::{Rows, by_descriptor};
use words::Words;

pub use words::Language;

/// What the lines say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A line for each wait and for each descriptor that took part in the turn.
    Lines,
    /// A sentence for each turn, the same as on the page.
    Sentences,
    /// The system calls, nearly as `strace` shows them.
    Syscalls,
    /// The records.
    Json,
}

impl Form {
    /// All forms, by name.
    pub const ALL: &'static [(&'static str, Form)] = &[
        ("lines", Form::Lines),
        ("sentences", Form::Sentences),
        ("syscalls", Form::Syscalls),
        ("json", Form::Json),
    ];
}

/// Makes lines of records, one after the other.
#[derive(Debug)]
pub struct Trace {
    form: Form,
    words: Words,
    /// The table after the last turn, by descriptor.
    rows: Rows,
    clients: BTreeMap<u32, Client>,
}

impl Trace {
    /// Returns a trace of this form.
    pub fn new(form: Form, language: Language) -> Self {
        let words = Words::new(language);
        Trace { form, words, rows: Rows::new(), clients: BTreeMap::new() }
    }

    /// Returns what the lines mean.
    pub fn legend(&self) -> String {
        let parts: &[&str] = match (self.form, self.words.language) {
            (Form::Lines, Language::English) => &[tripoll_trace::LEGEND_EN, lines::LEGEND_EN],
            (Form::Lines, Language::Chinese) => &[tripoll_trace::LEGEND_ZH, lines::LEGEND_ZH],
            (Form::Syscalls, Language::English) => &[syscalls::LEGEND_EN],
            (Form::Syscalls, Language::Chinese) => &[syscalls::LEGEND_ZH],
            _ => &[],
        };
        parts.concat()
    }

    /// Returns the lines of a record.
    pub fn lines(&mut self, record: &Record) -> String {
        if self.form == Form::Json {
            return super::recording::line(record.name(), &record.to_json());
        }
        let mut out = String::new();
        let _ = match record {
            Record::Hello(hello) => {
                self.rows.clear();
                self.clients.clear();
                let scenario = hello.scenario.as_deref().map(|it| format!(" · {it}"));
                writeln!(
                    out,
                    "# {} · {} {} · {}{}",
                    hello.subject,
                    hello.backend,
                    hello.effective,
                    hello.handler,
                    scenario.unwrap_or_default()
                )
            }
            Record::Turn(turn) => {
                self.turn(turn, &mut out);
                Ok(())
            }
            Record::Snapshot(snapshot) => {
                if self.rows.is_empty() {
                    self.rows = by_descriptor(&snapshot.sources);
                }
                Ok(())
            }
            Record::Client(event) => self.client(&event.client, &mut out),
            Record::Control(control) if control.op == "gate" || control.op == "script" => Ok(()),
            Record::Control(control) => {
                if control.op == "backend" || control.op == "trigger" {
                    self.rows.clear(); // all descriptors were added to a new selector
                }
                let sentence = self.words.of(&control.sentence);
                writeln!(out, "# {} = {} {sentence}", control.op, control.value)
            }
            Record::Busy(busy) if busy.what.is_empty() => Ok(()),
            Record::Busy(busy) => {
                let fd = busy.fd.map_or_else(String::new, |fd| fd.to_string());
                let time = tripoll_trace::time(Duration::from_millis(busy.for_ms));
                let values = [("what", busy.what.to_string()), ("fd", fd), ("time", time)];
                writeln!(out, "# {}", self.words.say("say.busy", &values))
            }
            Record::Bye(_) => Ok(()),
        };
        out
    }

    fn turn(&mut self, turn: &Turn, out: &mut String) {
        match self.form {
            Form::Syscalls => syscalls::write(turn, &self.rows, out),
            Form::Sentences => {
                let _ = writeln!(out, "{}", sentence::of(turn, &self.words));
            }
            _ => lines::write(turn, &self.rows, &self.words, out),
        }
        if self.form != Form::Syscalls {
            for lint in &turn.lints {
                let fd = lint.fd.map_or_else(String::new, |fd| fd.to_string());
                let text = self.words.say(&format!("lint.{}", lint.id), &[("fd", fd)]);
                let _ = writeln!(out, "!!        {text} ({})", tripoll_trace::count(lint.n));
            }
        }
        self.rows = by_descriptor(&turn.sources);
    }

    /// A client is told of when its state changes, and not for each byte.
    fn client(&mut self, client: &Client, out: &mut String) -> std::fmt::Result {
        let known = self.clients.insert(client.id, client.clone());
        let is_same = |it: &Client| (&it.state, &it.fault) == (&client.state, &client.fault);
        if known.as_ref().is_some_and(is_same) {
            return Ok(());
        }
        let state = self.words.say(&format!("state.{}", client.state), &[]);
        let address = client.address.as_deref().unwrap_or_default();
        let fault = client.fault.as_deref().map(|it| self.words.say(&format!("fault.{it}"), &[]));
        let fault = fault.map(|it| format!(" ({it})")).unwrap_or_default();
        writeln!(out, "# {} {address}: {state}{fault}", client.name)
    }
}
