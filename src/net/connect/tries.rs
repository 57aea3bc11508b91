//! Several tries, one after another, until one succeeds.

use std::io;

use super::super::retry::{Pauses, Retry};
use super::super::stage::{Connecting, Stop, Then};
use super::pause::Sleeper;
use super::run::{self, Done, Plan};
use crate::reactor::Context;
use crate::sync::LogLimit;
use crate::sys;

/// A connect that is tried several times.
pub(super) struct Tries<S> {
    plan: Plan,
    pauses: Pauses,
    connecting: Connecting,
    done: Done<S>,
}

/// Begins the first try. `done` is called with the last one's result.
pub(super) fn begin<S: 'static>(
    plan: Plan,
    retry: &Retry,
    connecting: Connecting,
    cx: &mut Context<'_, S>,
    done: Done<S>,
) {
    let pauses = Pauses::new(retry);
    let tries = Tries { plan, pauses, connecting, done };
    tries.begin_try(Sleeper::new(), true, cx);
}

impl<S: 'static> Tries<S> {
    /// `sleeper`: the descriptor of the next pause, if there was one.
    fn begin_try(self, sleeper: io::Result<Sleeper>, is_in_call: bool, cx: &mut Context<'_, S>) {
        let (plan, connecting) = (self.plan.clone(), self.connecting.clone());
        let done: Done<S> = Box::new(move |result, cx| match result {
            Err(Stop::Failed(error)) => self.failed(error, sleeper, cx),
            result => (self.done)(result, cx),
        });
        run::begin(plan, connecting, is_in_call, cx, done);
    }

    fn failed(mut self, error: io::Error, sleeper: io::Result<Sleeper>, cx: &mut Context<'_, S>) {
        let (pause, error) = after_failure(&mut self.pauses, error);
        let (Some(pause), Ok(sleeper)) = (pause, sleeper) else {
            return (self.done)(Err(Stop::Failed(error)), cx);
        };
        static LINES: LogLimit = LogLimit::new();
        if let Some(left_out) = LINES.pass() {
            log::warn!("{error}; it is tried again in {pause:?}{left_out}");
        }
        let connecting = self.connecting.clone();
        if let Err((error, tries)) = sleeper.sleep(pause, &connecting, self, cx) {
            (tries.done)(Err(Stop::Failed(error)), cx);
        }
    }
}

impl<S: 'static> Then<S, Sleeper> for Tries<S> {
    fn then(self, slept: Result<Sleeper, Stop>, cx: &mut Context<'_, S>) {
        match slept {
            Ok(sleeper) => self.begin_try(Ok(sleeper), false, cx),
            Err(stop) => (self.done)(Err(stop), cx),
        }
    }
}

/// Notes the failure of a try. Returns the pause before the next one, and the error. If there is no
/// next one, it says how many tries there were.
pub(super) fn after_failure(
    pauses: &mut Pauses,
    error: io::Error,
) -> (Option<std::time::Duration>, io::Error) {
    let is_hopeless = error.kind() == io::ErrorKind::InvalidInput;
    match pauses.fail().filter(|_| !is_hopeless) {
        Some(pause) => (Some(pause), error),
        None if pauses.failed() == 1 => (None, error),
        None => {
            let context = format!("the last of {} tries", pauses.failed());
            (None, sys::with_context(context, error))
        }
    }
}
