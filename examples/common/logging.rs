//! The log of the example servers.

use std::io::{self, Write};
use std::{mem, panic};

use env_logger::Target;
use log::LevelFilter;
use tripoll::sys::write_now;

use super::trace;

/// Logs warnings to standard error, and the lines of a trace if there is one. The variable `RUST_LOG`
/// adds what it names, for instance `tripoll=trace`.
pub fn start(has_trace: bool) {
    let lines = if has_trace { LevelFilter::Trace } else { LevelFilter::Off };
    env_logger::Builder::new()
        .filter_level(LevelFilter::Warn)
        .filter_module(trace::TARGET, lines)
        .parse_default_env()
        .format(|out, record| writeln!(out, "{}", record.args()))
        .target(Target::Pipe(Box::new(Log::default())))
        .init();
    // By default a panic is written by calls that block.
    panic::set_hook(Box::new(|panic| log::error!("{panic}")));
}

/// Standard error, for one line a write. A line for which there is no room is dropped: if no process
/// read the log, a write that blocks would stop the loop, and all clients with it.
#[derive(Default)]
struct Log {
    /// What there was no room for in the middle of a line.
    unwritten: Vec<u8>,
    dropped: u64,
}

impl Log {
    /// Writes what was left. Returns whether that was all.
    fn write_unwritten(&mut self) -> bool {
        while !self.unwritten.is_empty() {
            match write_now(io::stderr(), &self.unwritten) {
                Ok(count) => drop(self.unwritten.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => self.unwritten.clear(), // there is no log
            }
        }
        true
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.write_unwritten() && self.dropped > 0 {
            let dropped = mem::take(&mut self.dropped);
            self.unwritten = format!("{dropped} lines of this log were dropped\n").into();
            self.write_unwritten();
        }
        if self.unwritten.is_empty() {
            self.unwritten = line.into();
            self.write_unwritten();
        } else {
            self.dropped += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
