//! The command line.
//!
//! The report goes to standard output, everything about the way there to standard error. The
//! command ends with 0; with 1 when something failed; with 2 and one line when it was called in a
//! way that cannot be meant; with 130 after Ctrl-C, as the shells have it.

mod compare;
mod failure;
mod output;
mod single;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use tripoll::{Backend, Trigger};

use crate::workload::{Contender, Layer, Workload, default_trigger};
use failure::Failure;
use single::pipes_allowed;

/// Select, poll and epoll, compared on this machine.
#[derive(Debug, Parser)]
#[command(name = "tripoll", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure select, poll and epoll on this machine, and say where they cross
    ///
    /// Takes about two minutes on two slow processors. The report goes to standard output: first in
    /// sentences, then in tables.
    Compare {
        /// A first impression in about 20 seconds
        #[arg(long)]
        quick: bool,
        /// Which of our layers stands beside the bare loops
        #[arg(long, default_value = "selector", value_parser = layer_parser(Layer::TRIPOLL))]
        layer: Layer,
        /// Write everything that was found to this file, too
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Run libevent's ring once, and print one line of figures
    ///
    /// Of N pipes, A hold a byte; each event reads it and writes it to the next pipe. Prints
    /// `ns=<wall ns per event> cpu_ns=<CPU ns per event> reg_ns=<ns per registration>`.
    Ring {
        /// How many pipes are watched
        #[arg(long, default_value_t = 100, value_parser = count_parser())]
        n: u64,
        /// How many of them hold a byte at any time
        #[arg(long, default_value_t = 1, value_parser = count_parser())]
        active: u64,
        /// How many events in all
        #[arg(long, default_value_t = 1_000_000, value_parser = count_parser())]
        writes: u64,
        #[command(flatten)]
        contender: ContenderArgs,
    },
    /// Run the watch table of The Linux Programming Interface once, and print one line of figures
    ///
    /// A byte is written to a random one of N pipes, waited for, and read. Prints
    /// `ns=<wall ns per operation> cpu_ns=<CPU ns per operation> reg_ns=<ns per registration>`.
    Watch {
        /// How many pipes are watched
        #[arg(long, default_value_t = 100, value_parser = count_parser())]
        n: u64,
        /// How many operations
        #[arg(long, default_value_t = 100_000, value_parser = count_parser())]
        ops: u64,
        #[command(flatten)]
        contender: ContenderArgs,
    },
}

/// Who is driven through a workload.
#[derive(Debug, Args)]
struct ContenderArgs {
    /// Which call waits
    #[arg(long, default_value = "epoll", value_parser = backend_parser())]
    backend: Backend,
    /// How it is asked [default: level, where the backend has it]. The reactor takes them all
    #[arg(long, value_parser = trigger_parser())]
    trigger: Option<Trigger>,
    /// What stands between: nothing (raw), nothing but a zero timeout first (raw-zero), or ours
    #[arg(long, default_value = "selector", value_parser = layer_parser(Layer::ALL))]
    layer: Layer,
}

impl ContenderArgs {
    fn contender(&self) -> Contender {
        let trigger = self.trigger.unwrap_or_else(|| default_trigger(self.backend));
        Contender { layer: self.layer, backend: self.backend, trigger }
    }
}

fn count_parser() -> impl TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(1..)
}

/// A parser for one of `all`, by its name.
fn name_parser<T: Copy + Send + Sync + 'static>(
    all: impl IntoIterator<Item = T>,
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let all: Vec<T> = all.into_iter().collect();
    PossibleValuesParser::new(all.iter().map(|&one| name(one))).map(move |given| {
        *all.iter().find(|&&one| name(one) == given).expect("the parser takes no other")
    })
}

fn backend_parser() -> impl TypedValueParser<Value = Backend> {
    name_parser(Backend::ALL.iter().copied(), Backend::name)
}

fn layer_parser(among: impl IntoIterator<Item = Layer>) -> impl TypedValueParser<Value = Layer> {
    name_parser(among, Layer::name)
}

fn trigger_parser() -> impl TypedValueParser<Value = Trigger> {
    name_parser(Trigger::ALL.iter().copied(), Trigger::name)
}

/// Reads the arguments and does what they say.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            eprintln!("{}", one_line(&error));
            return ExitCode::from(2);
        }
        Err(help) => help.exit(),
    };
    match run(&cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// The reason alone, without the usage that clap adds below it.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let reason = text.split("\n\n").next().unwrap_or_default();
    reason.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Compare { quick, layer, json } => compare::run(*layer, *quick, json.as_deref()),
        Command::Ring { n, active, writes, contender } => {
            if active > n {
                let reason = format!("--active {active}: there are only {n} pipes (--n {n})");
                return Err(Failure::Usage(reason));
            }
            let (n, active) = (pipes_allowed(*n)?, *active as usize);
            single::run(Workload::Ring { n, active, writes: *writes }, contender.contender())
        }
        Command::Watch { n, ops, contender } => single::run(
            Workload::Watch { n: pipes_allowed(*n)?, operations: *ops },
            contender.contender(),
        ),
    }
}
