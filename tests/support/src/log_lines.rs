//! What the library logs, for a test in a process of its own: there is one logger a process.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};

use log::{Level, LevelFilter};

use crate::LONG;

/// Sends the lines that the library logs to the test.
struct Log(Mutex<Option<Sender<(Level, String)>>>);

static LOG: Log = Log(Mutex::new(None));

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = &*log {
            let _ = log.send((record.level(), record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

/// Makes this the process's logger. Returns the lines that are logged from now on.
pub fn log_lines(most: LevelFilter) -> Receiver<(Level, String)> {
    let (sender, lines) = mpsc::channel();
    *LOG.0.lock().unwrap() = Some(sender);
    log::set_logger(&LOG).unwrap();
    log::set_max_level(most);
    lines
}

/// Returns the next line of the log on `level`, and skips the others.
pub fn next_line(lines: &Receiver<(Level, String)>, level: Level) -> String {
    loop {
        let (at, line) = lines.recv_timeout(LONG).expect("nothing was logged");
        if at == level {
            return line;
        }
    }
}
