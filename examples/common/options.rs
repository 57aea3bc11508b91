//! The command line.

use std::io::Write as _;
use std::process::exit;

use clap::{Command, Parser};
use log::LevelFilter;
use tripoll::net::{Address, ToAddress};
use tripoll::reactor::ReactorBuilder;
use tripoll::{Backend, Reactor, Trigger};

use super::{Failure, hold_back_signals};

/// Where most servers listen.
pub const TCP: &str = "HOST:PORT (port 0 is any that is free)";
/// Where the others do.
pub const UNIX: &str =
    "the path of a Unix socket, with a `/` in it, or @NAME for one without a file";
/// Some do not care.
pub const ANYWHERE: &str = "HOST:PORT (port 0 is any that is free), or the path of a Unix socket, \
                            with a `/` in it, or @NAME for one without a file";

/// What every example server can be told.
#[derive(Debug, Parser)]
pub struct Options {
    // Its help is the program's own: see `read`.
    #[arg(long, value_name = "ADDR", value_parser = <str as ToAddress>::to_address)]
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
    /// Reads the command line of a server that has no options of its own, and begins.
    pub fn read(what: &'static str, addresses: &str) -> Result<Self, Failure> {
        let options: Options = read(what, addresses);
        options.begin()?;
        Ok(options)
    }

    /// What comes before all else: signals are held back, and the log is started.
    pub fn begin(&self) -> Result<(), Failure> {
        hold_back_signals()?;
        self.start_log();
        Ok(())
    }

    /// The reactor that is asked for.
    pub fn reactor(&self) -> ReactorBuilder {
        Reactor::builder().backend(self.backend).trigger(self.trigger)
    }

    /// Warnings go to standard error, with `--trace` every event too. `RUST_LOG` has the last word.
    fn start_log(&self) {
        let reactor = if self.trace { LevelFilter::Trace } else { LevelFilter::Warn };
        env_logger::Builder::new()
            .filter_level(LevelFilter::Warn)
            .filter_module("tripoll", reactor)
            .parse_default_env()
            .format(|out, record| writeln!(out, "{}", record.args()))
            .init();
    }
}

/// Reads the command line of a server, whose help says what it does and at which addresses it
/// listens.
pub fn read<C: Parser>(what: &'static str, addresses: &str) -> C {
    let where_to_listen = format!("Where to listen: {addresses}");
    parse(C::command().about(what).mut_arg("listen", |arg| arg.help(where_to_listen)))
}

/// Reads a command line of any kind. One that cannot be meant ends the program, with 2 and one line
/// that says why.
pub fn parse<C: Parser>(mut command: Command) -> C {
    let parsed = command.try_get_matches_from_mut(std::env::args_os());
    let parsed = parsed.and_then(|mut matches| C::from_arg_matches_mut(&mut matches));
    parsed.unwrap_or_else(|error| {
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
