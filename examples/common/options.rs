//! The command line.

use std::io::Write as _;
use std::process::exit;

use clap::Parser;
use log::LevelFilter;
use tripoll::net::Address;
use tripoll::reactor::Builder;
use tripoll::{Backend, Reactor, Trigger};

/// What every example server can be told.
#[derive(Debug, Parser)]
pub struct Options {
    /// Where to listen: HOST:PORT (port 0 is any that is free), or with a `/` in it the path of a
    /// Unix socket
    #[arg(long, value_name = "ADDR")]
    pub listen: Address,
    /// Which kernel call is asked: select, poll, epoll or mio
    #[arg(long, default_value_t)]
    pub backend: Backend,
    /// How it is asked: level, edge or oneshot
    #[arg(long, default_value_t = Trigger::Level)]
    pub trigger: Trigger,
    /// Print a line to standard error for each event
    #[arg(long)]
    pub trace: bool,
}

impl Options {
    /// Reads the command line, and starts the log.
    pub fn read() -> Self {
        let options: Options = read();
        options.start_log();
        options
    }

    /// The reactor that is asked for.
    pub fn reactor(&self) -> Builder {
        Reactor::builder().backend(self.backend).trigger(self.trigger)
    }

    /// Warnings go to standard error, with `--trace` every event too. `RUST_LOG` has the last word.
    pub fn start_log(&self) {
        let reactor = if self.trace { LevelFilter::Trace } else { LevelFilter::Warn };
        env_logger::Builder::new()
            .filter_level(LevelFilter::Warn)
            .filter_module("tripoll", reactor)
            .parse_default_env()
            .format(|out, record| writeln!(out, "{}", record.args()))
            .init();
    }
}

/// Reads a command line of any kind. One that cannot be meant ends the program, with 2 and one line
/// that says why.
pub fn read<C: Parser>() -> C {
    C::try_parse().unwrap_or_else(|error| {
        if !error.use_stderr() {
            error.exit(); // --help and --version are no errors
        }
        // The reason is enough. What clap adds below it is in --help.
        let text = error.to_string();
        let reason = text.split("\n\n").next().unwrap_or_default();
        eprintln!("{}", reason.split_whitespace().collect::<Vec<_>>().join(" "));
        exit(2)
    })
}
