//! The command line.

use std::process::exit;

use clap::{Command, Parser};
use tripoll::net::{Address, ToAddress};
use tripoll::reactor::ReactorBuilder;
use tripoll::{Backend, Reactor, Trigger};

use super::{Failure, block_signals, logging};

/// The addresses of TCP and UDP servers, for the help.
pub const TCP: &str = "HOST:PORT (port 0 is any that is free)";
/// The addresses of Unix sockets.
pub const UNIX: &str =
    "the path of a Unix socket, with a `/` in it, or @NAME for one without a file";
/// The addresses of servers that take both.
pub const ANYWHERE: &str = "HOST:PORT (port 0 is any that is free), or the path of a Unix socket, \
                            with a `/` in it, or @NAME for one without a file";

/// The command line of every example server.
#[derive(Debug, Parser)]
pub struct Options {
    // Its help differs between programs: `read` sets it.
    #[arg(long, value_name = "ADDR", value_parser = <str as ToAddress>::to_address)]
    pub listen: Address,
    /// The system call that waits: select, poll, epoll or mio
    #[arg(long, default_value_t)]
    pub backend: Backend,
    /// When it reports readiness: level, edge or oneshot
    #[arg(long, default_value_t = Trigger::Level)]
    pub trigger: Trigger,
    /// Print a line to standard error for each event
    #[arg(long)]
    pub trace: bool,
}

impl Options {
    /// Parses the command line of a server without further options, and calls
    /// [`begin`](Self::begin).
    pub fn read(what: &'static str, addresses: &str) -> Result<Self, Failure> {
        let options: Options = read(what, addresses);
        options.begin()?;
        Ok(options)
    }

    /// Blocks the signals and starts the log. Must be called before any thread is started.
    pub fn begin(&self) -> Result<(), Failure> {
        block_signals()?;
        logging::start(self.trace);
        Ok(())
    }

    /// Returns a builder with the backend and trigger of the command line.
    pub fn reactor(&self) -> ReactorBuilder {
        Reactor::builder().backend(self.backend).trigger(self.trigger)
    }
}

/// Parses the command line of a server. `what` and `addresses` are for its help.
pub fn read<C: Parser>(what: &'static str, addresses: &str) -> C {
    let where_to_listen = format!("Where to listen: {addresses}");
    parse(C::command().about(what).mut_arg("listen", |arg| arg.help(where_to_listen)))
}

/// Parses a command line. After wrong arguments the program prints one line of reason and exits
/// with 2.
pub fn parse<C: Parser>(mut command: Command) -> C {
    let parsed = command.try_get_matches_from_mut(std::env::args_os());
    let parsed = parsed.and_then(|mut matches| C::from_arg_matches_mut(&mut matches));
    parsed.unwrap_or_else(|error| {
        if !error.use_stderr() {
            error.exit(); // --help and --version are no errors
        }
        // The reason alone: the usage that clap adds below it is in --help.
        let text = error.to_string();
        let reason = text.split("\n\n").next().unwrap_or_default();
        eprintln!("{}", reason.split_whitespace().collect::<Vec<_>>().join(" "));
        exit(2)
    })
}
