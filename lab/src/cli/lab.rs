//! `tripoll lab`: the arguments, the address, and Ctrl-C.

use std::io::{self, IsTerminal};
use std::process::{Command, Stdio};

use super::failure::Failure;
use super::output::print;
use crate::live::{Lab, Options, scenarios};

/// Runs a lab until Ctrl-C.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let mut signals = signal_hook::iterator::Signals::new(signal_hook::consts::TERM_SIGNALS)?;
    let lab = Lab::begin(options).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => Failure::Usage(error.to_string()),
        _ => error.into(),
    })?;
    print(&format!("lab:     {}   (this machine only)\n", lab.url()))?;
    eprintln!("subject: {}   Ctrl-C ends the lab", lab.subject());
    if io::stdout().is_terminal() && is_desktop() {
        open(lab.url());
    }
    signals.forever().next();
    Ok(lab.end()?)
}

/// Prints the scenarios.
pub(super) fn list() -> Result<(), Failure> {
    let widest = scenarios::all().iter().map(|it| it.id.len()).max().unwrap_or_default();
    let line = |it: &scenarios::Scenario| {
        let title = if is_chinese() { &it.title.zh } else { &it.title.en };
        format!("{:>2}  {:widest$}  {title}\n", it.question, it.id)
    };
    print(&scenarios::all().iter().map(line).collect::<String>())
}

/// Returns whether the environment asks for Chinese.
fn is_chinese() -> bool {
    let names = ["LC_ALL", "LC_MESSAGES", "LANG"];
    let set = names.iter().filter_map(|name| std::env::var(name).ok()).find(|it| !it.is_empty());
    set.is_some_and(|language| language.starts_with("zh"))
}

fn is_desktop() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some())
}

/// Opens the page, if that can be done. The address was printed in any case.
fn open(url: &str) {
    let mut command = Command::new("xdg-open");
    let _ = command.arg(url).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}
