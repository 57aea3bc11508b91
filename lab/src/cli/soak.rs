//! `tripoll soak`: the arguments and the report.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::failure::Failure;
use super::output::print;
use crate::soak::{Part, Soak, run_part};

pub(super) fn run(minutes: u64, seconds: Option<u64>, seed: u64) -> Result<(), Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&stop))?;
    let time = Duration::from_secs(seconds.unwrap_or(minutes.saturating_mul(60)));
    let outcome = Soak { time, seed }.run(&stop)?;
    print(&outcome.to_string())?;
    match outcome.is_clean() {
        true => Ok(()),
        false => Err(Failure::Runtime(format!("--seed {seed}: something is left or was lost"))),
    }
}

pub(super) fn run_servers(part: &str) -> Result<(), Failure> {
    let part = Part::named(part).ok_or_else(|| Failure::Usage(format!("no part {part}")))?;
    run_part(part).map_err(|error: io::Error| Failure::Runtime(format!("{part}: {error}")))
}
