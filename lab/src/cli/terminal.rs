//! What is known of the terminal, and the progress bar on it.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use indicatif::{ProgressBar, ProgressStyle};

/// Returns whether the report has colours: on a terminal, unless `NO_COLOR` or `TERM` say otherwise.
pub(super) fn is_coloured(to: &impl IsTerminal) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    to.is_terminal() && !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// Returns a progress bar on standard error. If that is no terminal, prints one line instead.
pub(super) fn progress(steps: u64, what: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        eprintln!("measuring {what}");
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(bar_template(columns(io::stderr())))
        .expect("the template is valid");
    ProgressBar::new(steps).with_style(style.progress_chars("█▉▊▋▌▍▎▏ "))
}

/// Returns the template of the progress bar. The bar and the `^C` of a terminal must fit into one
/// line: what is left of a bar that was broken into two lines cannot be cleared.
fn bar_template(columns: usize) -> &'static str {
    match columns {
        ..40 => "{percent:>3} %",
        40..96 => "{bar:10} {percent:>3} %, {eta} left",
        96.. => "{bar:30} {percent:>3} %, {eta} left · {msg}",
    }
}

/// Returns the columns of a terminal. If `to` is none, returns as many as a text has in a file.
pub(super) fn columns(to: impl AsFd) -> usize {
    let size = rustix::termios::tcgetwinsize(to).map(|size| usize::from(size.ws_col));
    size.ok().filter(|&columns| columns > 0).unwrap_or(80)
}
