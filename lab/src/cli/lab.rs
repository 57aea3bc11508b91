//! `tripoll lab`: the arguments, the address, and Ctrl-C.

use std::io::{self, IsTerminal};
use std::process::{Command, Stdio};

use super::failure::Failure;
use super::output::print;
use crate::live::{Lab, Options};

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

fn is_desktop() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some())
}

/// Opens the page, if that can be done. The address was printed in any case.
fn open(url: &str) {
    let mut command = Command::new("xdg-open");
    let _ = command.arg(url).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}
