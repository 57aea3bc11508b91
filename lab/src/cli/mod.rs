//! The command line.
//!
//! The report goes to standard output, progress and errors to standard error. Exit codes:
//!
//! | code | meaning |
//! |---|---|
//! | 0 | success |
//! | 1 | a system call failed, the report could not be written, or a checked program is wrong |
//! | 2 | the arguments are wrong; the reason is one line |
//! | 3 | a condition of `compare --fail-if` holds |
//! | 130 | stopped by Ctrl-C, as in shells |

mod balance;
mod check;
mod compare;
mod exports;
mod failure;
mod gate;
mod handoff;
mod handoff_peers;
mod lab;
mod load_args;
mod load_generator;
mod output;
mod parsers;
mod price;
mod single;
mod slides;
mod soak;
mod terminal;
mod trace;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use tripoll::{Backend, Trigger};

use crate::balance::Balance;
use crate::live::Options;
use crate::study::serve_echo;
use crate::workload::{Contender, Layer, Workload, default_trigger};
use failure::Failure;
use handoff::Handoff;
use load_generator::Generator;
use parsers::{backend_parser, count_parser, layer_parser, trigger_parser};
use price::Price;
use single::pipes_allowed;

/// Compare select, poll and epoll on this machine.
#[derive(Debug, Parser)]
#[command(name = "tripoll", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure select, poll and epoll on this machine, and report where one becomes cheaper
    ///
    /// Takes about two minutes on two slow processors. The report goes to standard output, in
    /// sentences and then in tables. For a load of your own: `--fds 200 --active 10%`
    Compare(compare::Compare),
    /// Run libevent's ring once, and print one line of figures
    ///
    /// Of N pipes, A hold a byte; each event reads it and writes it to the next pipe. Prints
    /// `ns=<wall ns per event> cpu_ns=<CPU ns per event> reg_ns=<ns per registration>`.
    Ring {
        /// Number of pipes that are watched
        #[arg(long, default_value_t = 100, value_parser = count_parser())]
        n: u64,
        /// Number of pipes that hold a byte at any time
        #[arg(long, default_value_t = 1, value_parser = count_parser())]
        active: u64,
        /// Number of events
        #[arg(long, default_value_t = 1_000_000, value_parser = count_parser())]
        writes: u64,
        #[command(flatten)]
        contender: ContenderArgs,
    },
    /// Run the watch table of The Linux Programming Interface once, and print one line of figures
    ///
    /// A byte is written to a random one of N pipes, waited for and read. Prints
    /// `ns=<wall ns per operation> cpu_ns=<CPU ns per operation> reg_ns=<ns per registration>`.
    Watch {
        /// Number of pipes that are watched
        #[arg(long, default_value_t = 100, value_parser = count_parser())]
        n: u64,
        /// Number of operations
        #[arg(long, default_value_t = 100_000, value_parser = count_parser())]
        ops: u64,
        #[command(flatten)]
        contender: ContenderArgs,
    },
    /// Give jobs to a pool of threads, and report what it costs to get their answers back
    ///
    /// Prints the time and the processor time of a job, and how often the loop and the workers sleep
    /// and are woken for it. With one job in flight, each hand-off wakes a sleeping thread.
    Handoff {
        /// Number of jobs
        #[arg(long, default_value_t = 1_000_000, value_parser = count_parser())]
        jobs: u64,
        /// Number of jobs that are submitted and not answered, at any time
        #[arg(long, default_value_t = 64, value_parser = count_parser())]
        in_flight: u64,
        /// Number of threads
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=1_024))]
        workers: u64,
        /// The system call that waits
        #[arg(long, default_value = "epoll", value_parser = backend_parser())]
        backend: Backend,
        /// Measure the same by other means beside it, in turn
        #[arg(long)]
        peers: bool,
    },
    /// Do one thing again and again, and print one line of figures
    ///
    /// The client is in the same thread. Prints `ns=<wall ns each> cpu_ns=<CPU ns each>`. It is made to
    /// be counted: by callgrind for instructions, by strace for system calls.
    Price {
        /// What is done
        item: price::Item,
        /// How often
        #[arg(long, default_value_t = 100_000, value_parser = count_parser())]
        count: u64,
        /// The system call that waits
        #[arg(long, default_value = "epoll", value_parser = backend_parser())]
        backend: Backend,
        /// The trigger
        #[arg(long, default_value = "edge", value_parser = trigger_parser())]
        trigger: Trigger,
    },
    /// Send requests to a server at a fixed rate, and report how long the answers take
    ///
    /// For servers that send each line back, and with --http for servers of HTTP. Requests are sent
    /// when they are due, however long the answers before take. Latency is counted from when a
    /// request was due, so that a server that stalls cannot hide it. Exits with 1 if a request was not
    /// answered.
    Load(Generator),
    /// Show how evenly each way of distribution loads several loops
    ///
    /// Clients connect from many addresses. For each way, one line has the connections that each loop
    /// has got, those that are open in it when the others have left, and the ratio of the most to the
    /// least.
    Balance {
        /// Number of loops, each a thread
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
        threads: u64,
        /// Number of connections for each way
        #[arg(long, default_value_t = 2_000, value_parser = count_parser())]
        connections: u64,
        /// Number of clients that connect at the same time
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1_000))]
        clients: u64,
        /// One of so many connections stays open. The others leave after an answer
        #[arg(long, default_value_t = 5, value_parser = count_parser())]
        one_stays_of: u64,
        /// The system call that waits
        #[arg(long, default_value = "epoll", value_parser = backend_parser())]
        backend: Backend,
        /// The trigger
        #[arg(long, default_value = "level", value_parser = trigger_parser())]
        trigger: Trigger,
    },
    /// Make slides of the book: a page for each of the twelve lessons
    Slides {
        /// The folder for the pages
        folder: PathBuf,
        /// The folder of a book, instead of that in the source tree
        #[arg(long, value_name = "FOLDER")]
        book: Option<PathBuf>,
    },
    /// Check an exercise of the book, with a program in any language
    ///
    /// Starts the program, plays the clients of the chapter, and says what is wrong in a sentence.
    /// Without a command it explains the exercise.
    Check {
        /// The number of the chapter, or another name of the list
        #[arg(required_unless_present = "list")]
        exercise: Option<String>,
        /// List all exercises
        #[arg(long)]
        list: bool,
        /// How many seconds the program may take until it listens
        #[arg(long, value_name = "SECONDS", default_value_t = 8)]
        start_within: u64,
        /// The program and its arguments
        #[arg(last = true)]
        command: Vec<OsString>,
    },
    /// Send clients of every kind to every kind of server, and account for what is left
    ///
    /// Slow, flooding, silent and resetting clients come and go beside friendly ones, while the
    /// backend changes. Afterwards there must be as many descriptors, sources, timers, threads and
    /// children as before, and every byte of the friendly ones must have come back: else the exit
    /// code is 1.
    Soak {
        /// For how many minutes clients come
        #[arg(long, default_value_t = 1)]
        minutes: u64,
        /// For how many seconds instead
        #[arg(long, conflicts_with = "minutes")]
        seconds: Option<u64>,
        /// What the clients do follows from this number
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Watch, step and break a live reactor in the browser
    ///
    /// Prints the address of a page, which only this machine can open. Ctrl-C ends the lab.
    Lab {
        /// The scenario to begin with
        #[arg(long, value_name = "NAME")]
        scenario: Option<String>,
        /// Print the scenarios, with the questions that they answer
        #[arg(long)]
        list: bool,
        /// Write all records to this file
        #[arg(long, value_name = "FILE")]
        record: Option<PathBuf>,
        /// Write FILE.html, a page that plays a recording and needs no server
        #[arg(long, value_name = "FILE", conflicts_with_all = ["record", "scenario", "export"])]
        replay: Option<PathBuf>,
        /// Play all scenarios, or that of --scenario, and write them as pages that need no server
        #[arg(long, value_name = "DIR", conflicts_with = "record")]
        export: Option<PathBuf>,
        /// Where the page is served. Port 0 is any free port
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// The system call that waits
        #[arg(long, default_value = "epoll", value_parser = backend_parser())]
        backend: Backend,
        /// The trigger [default: level, or that of the handler]
        #[arg(long, value_parser = trigger_parser())]
        trigger: Option<Trigger>,
        /// The handler
        #[arg(long, value_name = "NAME", default_value = "correct")]
        handler: String,
    },
    /// Print what a server did, turn by turn, as lines of text
    ///
    /// It traces a recording, a scenario of the lab, or a server that runs until Ctrl-C.
    Trace(trace::TraceArgs),
    /// Run the servers of a soak
    #[command(hide = true)]
    SoakServers { part: String },
    /// Run the server of `compare --workload latency`
    #[command(hide = true)]
    EchoServer {
        #[arg(value_parser = backend_parser())]
        backend: Backend,
    },
}

/// The contender that runs a workload.
#[derive(Debug, Args)]
struct ContenderArgs {
    /// The system call that waits
    #[arg(long, default_value = "epoll", value_parser = backend_parser())]
    backend: Backend,
    /// The trigger [default: level, if the backend has it]. The reactor takes all of them
    #[arg(long, value_parser = trigger_parser())]
    trigger: Option<Trigger>,
    /// The layer: C library (raw), C library with a zero timeout first (raw-zero), or tripoll's
    #[arg(long, default_value = "selector", value_parser = layer_parser(Layer::ALL))]
    layer: Layer,
}

impl ContenderArgs {
    fn contender(&self) -> Contender {
        let trigger = self.trigger.unwrap_or_else(|| default_trigger(self.backend));
        Contender { layer: self.layer, backend: self.backend, trigger }
    }
}

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && error.kind() != NO_COMMAND => {
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

/// Without arguments, the command prints its whole help.
const NO_COMMAND: ErrorKind = ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;

/// Returns the reason, and what may have been meant. The usage that clap adds is in `--help`.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n").map(str::trim);
    let reason = paragraphs.next().unwrap_or_default().split_whitespace();
    let reason = reason.collect::<Vec<_>>().join(" ");
    let tips = paragraphs.flat_map(str::lines).filter_map(|line| line.trim().strip_prefix("tip: "));
    [reason].into_iter().chain(tips.map(String::from)).collect::<Vec<_>>().join("; ")
}

fn run(command: &Command) -> Result<(), Failure> {
    match command {
        &Command::Handoff { jobs, in_flight, workers, backend, peers } => {
            handoff::run(Handoff { jobs, in_flight, workers, backend, peers })
        }
        &Command::Price { item, count, backend, trigger } => {
            price::run(Price { item, count, backend, trigger })
        }
        &Command::Balance { threads, connections, clients, one_stays_of, backend, trigger } => {
            let [threads, connections, clients, one_stays_of] =
                [threads, connections, clients, one_stays_of].map(|count| count as usize);
            balance::run(Balance { threads, connections, clients, one_stays_of, backend, trigger })
        }
        Command::Check { list: true, .. } => check::list(),
        Command::Check { exercise, command, start_within, .. } => {
            check::run(exercise.as_deref().unwrap_or_default(), command, *start_within)
        }
        Command::Load(generator) => generator.run(),
        Command::Slides { folder, book } => slides::run(folder, book.as_deref()),
        Command::Soak { minutes, seconds, seed } => soak::run(*minutes, *seconds, *seed),
        Command::Lab { list: true, .. } => lab::list(),
        Command::Lab { replay: Some(file), .. } => lab::replay(file),
        Command::Lab { export: Some(folder), scenario, .. } => {
            lab::export(folder, scenario.as_deref())
        }
        Command::Lab { scenario, listen, backend, trigger, handler, record, .. } => {
            let options = Options {
                listen: *listen,
                backend: *backend,
                trigger: *trigger,
                handler: handler.clone(),
                scenario: scenario.clone(),
            };
            lab::run(&options, record.as_deref())
        }
        Command::Trace(args) => args.run(),
        Command::SoakServers { part } => soak::run_servers(part),
        Command::EchoServer { backend } => Ok(serve_echo(*backend)?),
        Command::Compare(arguments) => compare::run(arguments),
        Command::Ring { n, active, writes, contender } => {
            if active > n {
                let reason = format!("--active {active} is more than --n {n}");
                return Err(Failure::Usage(reason));
            }
            let (n, active) = (pipes_allowed(*n)?, *active as usize);
            single::run(
                Workload::Ring { n, active, writes: *writes, changes: 0 },
                contender.contender(),
            )
        }
        Command::Watch { n, ops, contender } => single::run(
            Workload::Watch { n: pipes_allowed(*n)?, operations: *ops },
            contender.contender(),
        ),
    }
}
