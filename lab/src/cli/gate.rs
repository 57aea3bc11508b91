//! What `compare` compares its results with: an earlier report, and conditions.

use std::fs;
use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use super::output::print;
use crate::compare::format::wrapped;
use crate::compare::{Baseline, Condition, Measured, Plan};

/// An earlier report, and conditions.
#[derive(Debug, Args)]
pub(super) struct Gate {
    /// Say how the costs have changed since this report of --export-json
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Exit with 3 if this holds for one of the calls, as 'tripoll/raw > 1.10'. May be repeated
    ///
    /// Compares the processor time of an event, the median of all points. On each side: tripoll (the
    /// layer that is compared), raw, raw-zero, mio or another library; or two of select, poll, epoll,
    /// epoll-edge. With --baseline, the right side can be `baseline`.
    #[arg(long, value_name = "CONDITION")]
    fail_if: Vec<Condition>,
}

impl Gate {
    /// Refuses all of them beside a workload that has a report of its own.
    pub(super) fn refuse(&self, workload: &str) -> Result<(), Failure> {
        let option = match (&self.baseline, &self.fail_if[..]) {
            (None, []) => return Ok(()),
            (Some(_), _) => "--baseline",
            (None, _) => "--fail-if",
        };
        Err(Failure::Usage(format!("{option} cannot be used with --workload {workload}")))
    }

    /// Reads the earlier report, and checks that the plan has what the conditions are about.
    pub(super) fn open(&self, plan: &Plan) -> Result<Option<Baseline>, Failure> {
        for condition in &self.fail_if {
            if condition.needs_baseline() && self.baseline.is_none() {
                let reason = format!("--fail-if '{condition}': it needs --baseline FILE");
                return Err(Failure::Usage(reason));
            }
            let wrong = |reason| Failure::Usage(format!("--fail-if '{condition}': {reason}"));
            condition.check(plan).map_err(wrong)?;
        }
        let Some(path) = &self.baseline else { return Ok(None) };
        let named = |reason: String| format!("--baseline {}: {reason}", path.display());
        let text = fs::read_to_string(path);
        let text = text.map_err(|error| Failure::Runtime(named(error.to_string())))?;
        let wrong = |reason| Failure::Usage(named(reason));
        let baseline = Baseline::parse(&path.display().to_string(), &text).map_err(wrong)?;
        baseline.check(&plan.kinds).map_err(wrong)?;
        Ok(Some(baseline))
    }

    /// Judges the conditions, and prints a sentence for each in lines of `width` columns.
    pub(super) fn judge(
        &self,
        plan: &Plan,
        measured: &Measured,
        baseline: Option<&Baseline>,
        width: usize,
    ) -> Result<(), Failure> {
        let mut held = 0;
        for condition in &self.fail_if {
            let judged = condition.judge(plan, &measured.cells, baseline);
            held += usize::from(judged.holds);
            print(&format!("{}\n", wrapped(&judged.sentence, width)))?;
        }
        if held > 0 { Err(Failure::Condition) } else { Ok(()) }
    }
}
