//! `tripoll trace`: records as lines, of a scenario, of a recording, or of a server that runs.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::TypedValueParser as _;
use tripoll_trace::is_chinese;

use super::failure::Failure;
use super::lab::{read, usage};
use super::output::print;
use crate::live::recording::Recording;
use crate::live::trace::{Form, Language, Trace};
use crate::live::{Lab, Options};

/// The arguments of `tripoll trace`.
#[derive(Debug, Args)]
pub(super) struct TraceArgs {
    /// A recording, made with `lab --record FILE`
    file: Option<PathBuf>,
    /// The scenario that is played
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    scenario: Option<String>,
    /// Run a server with this handler until Ctrl-C, and trace it
    #[arg(long, value_name = "NAME", conflicts_with_all = ["file", "scenario"])]
    handler: Option<String>,
    /// What is printed: lines, sentences, the system calls as strace shows them, or the records
    #[arg(long, default_value = "lines", value_parser = form_parser())]
    trace: Form,
}

fn form_parser() -> impl clap::builder::TypedValueParser<Value = Form> {
    let names = Form::ALL.iter().map(|(name, _)| *name);
    clap::builder::PossibleValuesParser::new(names).map(|name| {
        let form = Form::ALL.iter().find(|(known, _)| *known == name);
        form.map_or(Form::Lines, |(_, form)| *form)
    })
}

impl TraceArgs {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let language = if is_chinese() { Language::Chinese } else { Language::English };
        let mut trace = Trace::new(self.trace, language);
        if let Some(handler) = &self.handler {
            return follow(handler, &mut trace);
        }
        let recording = match (&self.file, &self.scenario) {
            (Some(file), _) => read(file)?,
            (None, Some(_)) => {
                let options = Options { scenario: self.scenario.clone(), ..Options::default() };
                Recording::of_scenario(&options).map_err(usage)?
            }
            (None, None) => {
                let reason = "trace needs a FILE, --scenario NAME or --handler NAME";
                return Err(Failure::Usage(reason.into()));
            }
        };
        print(&trace.legend())?;
        for record in recording.records() {
            print(&trace.lines(&record))?;
        }
        Ok(())
    }
}

/// Runs a server until Ctrl-C, and prints its records.
fn follow(handler: &str, trace: &mut Trace) -> Result<(), Failure> {
    let mut signals = signal_hook::iterator::Signals::new(signal_hook::consts::TERM_SIGNALS)?;
    let lab =
        Lab::begin(&Options { handler: handler.into(), ..Options::default() }).map_err(usage)?;
    eprintln!("server: {}   Ctrl-C ends it", lab.subject());
    print(&trace.legend())?;
    lab.control("op=run", b"").map_err(Failure::Runtime)?;
    let mut place = 0;
    while signals.pending().next().is_none() {
        let Some(entry) = lab.hub().wait(place, Duration::from_millis(50)) else { continue };
        place = entry.place + 1;
        if let Some(record) = crate::live::record::Record::from_json(entry.name, &entry.json) {
            print(&trace.lines(&record))?;
        }
    }
    Ok(lab.end()?)
}
