//! `tripoll ring` and `tripoll watch`: one run, one line of figures.

use super::failure::Failure;
use super::output::print;
use crate::workload::{Contender, Measurement, Pipes, Workload};

/// Checks that the descriptor limit allows `n` pipes.
pub(super) fn pipes_allowed(n: u64) -> Result<usize, Failure> {
    let count = usize::try_from(n).unwrap_or(usize::MAX);
    match Pipes::check(count) {
        Ok(()) => Ok(count),
        Err(error) => Err(Failure::Usage(format!("--n {n}: {error}"))),
    }
}

/// Runs `workload` once and prints its figures.
pub(super) fn run(workload: Workload, contender: Contender) -> Result<(), Failure> {
    contender.check().map_err(|error| Failure::Usage(error.to_string()))?;
    let Contender { backend, trigger, .. } = contender;
    let effective = contender.effective_trigger();
    if effective != trigger {
        eprintln!("--trigger {trigger}: {backend} is asked by {effective}");
    }
    let measurement = workload.run(contender, &Pipes::open(workload.n())?)?;
    print(&format!("{}\n", figures(&measurement)))
}

fn figures(measurement: &Measurement) -> String {
    format!(
        "ns={:.1} cpu_ns={:.1} reg_ns={:.1}",
        measurement.wall_ns(),
        measurement.cpu_ns(),
        measurement.registration_ns()
    )
}
