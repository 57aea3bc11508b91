//! Recordings: the records of a lab, in order, as a file or as a page that needs no server.
//!
//! A file has one record a line: `["turn",{…}]`. So one that was cut off can still be read.

use std::fmt::Write as _;
use std::io;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::lab::{Lab, Options};
use super::page;
use super::record::Record;

/// How long a scenario may take to be set up, and to be played.
const LIMIT: Duration = Duration::from_secs(60);

/// The records of a lab, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recording {
    /// The name of each event, and its record as JSON.
    events: Vec<(String, String)>,
}

impl Recording {
    /// Plays a scenario, and records it.
    ///
    /// # Errors
    ///
    /// Those of [`Lab::begin`]. `TimedOut` if the scenario does not end.
    pub fn of_scenario(options: &Options) -> io::Result<Recording> {
        let lab = Lab::begin(options)?;
        let mut recording = Recording::default();
        let mut place = 0;
        recording.until_script_ends(&lab, &mut place)?;
        lab.control("op=play", b"").map_err(io::Error::other)?;
        recording.until_script_ends(&lab, &mut place)?;
        lab.end()?;
        // A lab says hello before its scenario does.
        let is_begin = |(name, json): &(String, String)| name == "hello" && is_of_scenario(json);
        let first = recording.events.iter().position(is_begin).unwrap_or_default();
        recording.events.drain(..first);
        Ok(recording)
    }

    fn until_script_ends(&mut self, lab: &Lab, place: &mut u64) -> io::Result<()> {
        let began = Instant::now();
        while began.elapsed() < LIMIT {
            let Some(entry) = lab.hub().wait(*place, Duration::from_millis(200)) else { continue };
            *place = entry.place + 1;
            self.push(entry.name, &entry.json);
            let is_end = entry.name == "control" && entry.json.contains("\"op\":\"script\"");
            if is_end {
                return Ok(());
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the scenario has not ended"))
    }

    /// Reads a recording.
    ///
    /// # Errors
    ///
    /// `InvalidData` with the line that is no record.
    pub fn read(text: &str) -> io::Result<Recording> {
        let mut recording = Recording::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim().trim_end_matches(',');
            if line.is_empty() || line == "[" || line == "]" {
                continue; // an array of the same lines is read, too
            }
            let wrong = || {
                let message = format!("line {} is no record of a lab", number + 1);
                io::Error::new(io::ErrorKind::InvalidData, message)
            };
            let (name, record): (String, Value) =
                serde_json::from_str(line).map_err(|_| wrong())?;
            let json = record.to_string();
            Record::from_json(&name, &json).ok_or_else(wrong)?;
            recording.events.push((name, json));
        }
        if recording.events.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "there is no record in it"));
        }
        Ok(recording)
    }

    /// Adds a record. Of a `hello` only what belongs to its handler and its scenario is kept.
    pub fn push(&mut self, name: &str, json: &str) {
        self.events
            .push((name.to_string(), if name == "hello" { lean(json) } else { json.into() }));
    }

    /// Returns the records.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.events.iter().filter_map(|(name, json)| Record::from_json(name, json))
    }

    /// Returns the recording as a file.
    pub fn to_lines(&self) -> String {
        self.events.iter().map(|(name, json)| line(name, json)).collect()
    }

    /// Returns the recording as a page that needs no server.
    pub fn to_page(&self) -> String {
        let events: Vec<String> =
            self.events.iter().map(|(name, json)| format!("[\"{name}\",{json}]")).collect();
        page::recording(&format!("[{}]", events.join(",\n")))
    }
}

/// Returns the line of a record in a file.
pub fn line(name: &str, json: &str) -> String {
    let mut line = String::with_capacity(json.len() + 16);
    let _ = writeln!(line, "[\"{name}\",{json}]"); // a text takes everything
    line
}

fn is_of_scenario(json: &str) -> bool {
    let hello: Value = serde_json::from_str(json).unwrap_or_default();
    hello["scenario"].is_string()
}

/// Leaves out of a `hello` the sources of the other handlers, and the other scenarios.
fn lean(json: &str) -> String {
    let Some(Record::Hello(mut hello)) = Record::from_json("hello", json) else {
        return json.to_string();
    };
    let (handler, scenario) = (hello.handler.clone(), hello.scenario.clone());
    hello.code.retain(|name, _| *name == handler);
    hello.scenarios.retain(|it| Some(&it.id) == scenario.as_ref());
    Record::Hello(hello).to_json()
}
