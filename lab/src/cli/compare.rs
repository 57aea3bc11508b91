//! `tripoll compare`: the arguments, the progress bar, and the report.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;

use super::exports::Exports;
use super::failure::Failure;
use super::gate::Gate;
use super::load_args::LoadArgs;
use super::output::print;
use super::parsers::layer_parser;
use super::terminal::{columns, is_coloured, progress};
use crate::compare::format::on_kind;
use crate::compare::{Machine, Point, Preset, Progress, Report, measure_kinds};
use crate::study::{Options, Topic};
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
        return list();
    }
    exports.check()?;
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&stop))?;

    Pipes::check(1)?;
    if let Some(topic) = load.topic() {
        gate.refuse(topic.name())?;
        return study(topic, Options { quick: *quick }, exports, &stop);
    }
    let mut plan = load.plan(*layer, *quick, Pipes::max()?)?;
    let baseline = gate.open(&plan)?;
    let machine = Machine::pinned()?;
    let what = format!("{} points in {} rounds", plan.points.len(), plan.rounds);
    let progress = progress(plan.runs() as u64, &what);
    let rounds = plan.rounds;
    let measured = measure_kinds(&mut plan, |step| {
        progress.set_position(step.done as u64);
        progress.set_message(describe(rounds, step));
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

/// Lists the presets and the workloads.
fn list() -> Result<(), Failure> {
    let line = |(name, description): (&str, &str)| format!("{name:<10} {description}\n");
    let presets = Preset::ALL.map(|preset| line((preset.name(), preset.description())));
    let topics = Topic::ALL.map(|topic| line((topic.name(), topic.description())));
    print(&format!("--preset\n{}\n--workload\n{}", presets.concat(), topics.concat()))
}

/// Measures a workload that has a report of its own.
fn study(
    topic: Topic,
    options: Options,
    exports: &Exports,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let progress = progress(1_000, topic.description());
    let study = topic.study(options, &mut |share, what| {
        progress.set_position((share * 1_000.0) as u64);
        progress.set_message(what.to_string());
        match stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    progress.finish_and_clear();
    let study = match study {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(Failure::Stopped),
        study => study?,
    };
    print(&study.text(columns(io::stdout())))?;
    exports.write_study(&study)?;
    if study.stopped { Err(Failure::Stopped) } else { Ok(()) }
}

fn describe(rounds: usize, Progress { round, point, .. }: Progress) -> String {
    let round = match round {
        0 => "calibration".to_string(),
        round => format!("round {round} of {rounds}"),
    };
    let on = on_kind(point.kind());
    match point {
        Point::Watch { n, .. } => format!("{round}: {n} watched{on}"),
        Point::Sleep { n, .. } => format!("{round}: {n} watched{on}, asleep"),
        Point::Ring { n, active, .. } => format!("{round}: {active} ready of {n}{on}"),
    }
}
