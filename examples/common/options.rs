//! The command line.

use std::process::exit;
use std::time::Duration;

use clap::{Command, Parser};
use tripoll::net::{Address, Listener, ToAddress};
use tripoll::reactor::ReactorBuilder;
use tripoll::{Backend, Reactor, Trigger};

use super::{Failure, block_signals, logging, trace};

/// The addresses of TCP and UDP servers, for the help.
pub const TCP: &str = "HOST:PORT (port 0 is any that is free)";
/// The addresses of Unix sockets.
pub const UNIX: &str =
    "the path of a Unix socket, with a `/` in it, or @NAME for one without a file";
/// The addresses of servers that take both.
pub const ANYWHERE: &str = "HOST:PORT (port 0 is any that is free), or the path of a Unix socket, \
                            with a `/` in it, or @NAME for one without a file";

/// The command line of every example server.
#[derive(Debug, Clone, Parser)]
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
    /// Print to standard error what the loop did, turn by turn
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

    /// Blocks the signals, starts the log, and removes a socket file that a killed server has left.
    /// Must be called before any thread is started.
    pub fn begin(&self) -> Result<(), Failure> {
        block_signals()?;
        logging::start(self.trace);
        self.remove_stale();
        Ok(())
    }

    /// Removes the file of a Unix socket that no process has open. Where one is open, or the file is
    /// no socket, nothing happens, and the server will say why it cannot listen.
    fn remove_stale(&self) {
        if let Address::Unix(path) = &self.listen
            && path.exists()
        {
            // A listener removes its own file when it is dropped.
            drop(Listener::builder().replace_stale(true).bind(&self.listen));
        }
    }

    /// Returns a builder with the backend and trigger of the command line.
    pub fn reactor(&self) -> ReactorBuilder {
        self.traced(Reactor::builder().backend(self.backend).trigger(self.trigger))
    }

    /// Returns the builder of a reactor that is traced if the command line asks for it.
    pub fn traced(&self, builder: ReactorBuilder) -> ReactorBuilder {
        if self.trace { trace::observe(builder, self.backend) } else { builder }
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
        eprintln!("{}", one_line(&error));
        exit(2)
    })
}

/// Parses a number of seconds, such as `0.5`.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "it is no number".to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Returns the reason, and what may have been meant. The usage that clap adds is in `--help`.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n").map(str::trim);
    let reason = paragraphs.next().unwrap_or_default().split_whitespace();
    let reason = reason.collect::<Vec<_>>().join(" ");
    let tips = paragraphs.flat_map(str::lines).filter_map(|line| line.trim().strip_prefix("tip: "));
    [reason].into_iter().chain(tips.map(String::from)).collect::<Vec<_>>().join("; ")
}
