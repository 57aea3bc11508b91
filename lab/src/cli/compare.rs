//! `tripoll compare`: the arguments, the progress bar, and the report.

use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::exports::Exports;
use super::failure::Failure;
use super::gate::Gate;
use super::load_args::LoadArgs;
use super::output::print;
use super::parsers::layer_parser;
use crate::compare::{Machine, Plan, Point, Preset, Progress, Report, measure};
use crate::workload::{Layer, Pipes};

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct Compare {
    /// Measure fewer and shorter rounds, in about 20 seconds
    #[arg(long)]
    quick: bool,
    /// The layer of tripoll to compare with the raw loops
    #[arg(long, default_value = "selector", value_parser = layer_parser(Layer::TRIPOLL))]
    layer: Layer,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    exports: Exports,
    #[command(flatten)]
    gate: Gate,
}

pub(super) fn run(arguments: &Compare) -> Result<(), Failure> {
    let Compare { quick, layer, load, exports, gate } = arguments;
    if load.list {
        let line = |preset: Preset| format!("{:<10} {}\n", preset.name(), preset.description());
        return print(&Preset::ALL.map(line).concat());
    }
    exports.check()?;
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&stop))?;

    Pipes::check(1)?;
    let plan = load.plan(*layer, *quick, Pipes::max()?)?;
    let baseline = gate.open(&plan)?;
    let pipes = Pipes::open_kind(plan.kind, plan.pipes())?;
    let machine = Machine::pinned()?;
    let progress = progress(&plan);
    let measured = measure(&plan, &pipes, |step| {
        progress.set_position(step.done as u64);
        progress.set_message(describe(&plan, step));
        if stop.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    progress.finish_and_clear();
    let measured = measured?;
    if measured.cells.is_empty() {
        return Err(Failure::Stopped);
    }
    let mut report = Report::new(&plan, machine.measured(), &measured);
    if let Some(baseline) = &baseline {
        report.compare_with(baseline);
    }

    let stdout = io::stdout();
    print(&report.text(columns(&stdout), is_coloured(&stdout)))?;
    exports.write(&report)?;
    if measured.stopped {
        return Err(Failure::Stopped);
    }
    gate.judge(&plan, &measured, baseline.as_ref(), columns(&stdout).max(40))
}

/// Returns whether the report has colours: on a terminal, unless `NO_COLOR` or `TERM` say otherwise.
fn is_coloured(to: &impl IsTerminal) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    to.is_terminal() && !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// Returns a progress bar on standard error. If that is no terminal, prints one line instead.
fn progress(plan: &Plan) -> ProgressBar {
    if !io::stderr().is_terminal() {
        eprintln!("measuring {} points in {} rounds", plan.points.len(), plan.rounds);
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(bar_template(columns(io::stderr())))
        .expect("the template is valid");
    ProgressBar::new(plan.runs() as u64).with_style(style.progress_chars("█▉▊▋▌▍▎▏ "))
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
fn columns(to: impl AsFd) -> usize {
    let size = rustix::termios::tcgetwinsize(to).map(|size| usize::from(size.ws_col));
    size.ok().filter(|&columns| columns > 0).unwrap_or(80)
}

fn describe(plan: &Plan, Progress { round, point, .. }: Progress) -> String {
    let round = match round {
        0 => "calibration".to_string(),
        round => format!("round {round} of {}", plan.rounds),
    };
    match point {
        Point::Watch { n } => format!("{round}: {n} watched"),
        Point::Sleep { n } => format!("{round}: {n} watched, asleep"),
        Point::Ring { n, active, .. } => format!("{round}: {active} ready of {n}"),
    }
}
