//! Runs a load to its end.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use tripoll::Reactor;

use super::client::{CONNECTING, begin_one};
use super::options::Load;
use super::outcome::Outcome;
use super::state::{Progress, State};

/// How often the progress is reported.
const REPORT: Duration = Duration::from_millis(100);

impl Load {
    /// Sends the load. Calls `on_progress` about ten times a second. If that returns `Break`, the
    /// outcome has what was measured so far.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there is nothing to send. The error of a connection that cannot be made at
    /// the beginning. Those of the reactor.
    pub fn run(
        self,
        mut on_progress: impl FnMut(Progress) -> ControlFlow<()> + 'static,
    ) -> io::Result<Outcome> {
        let is_positive = self.rate.is_finite() && self.rate > 0.0;
        if self.active == 0 || self.active > self.connections || !is_positive {
            let message = "a load needs a rate, and one active connection at least";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let reactor = Reactor::builder().backend(self.backend).trigger(self.trigger);
        let mut reactor = reactor.build_with(State::new(self))?;
        let mut cx = reactor.context();
        for _ in 0..CONNECTING {
            begin_one(&mut cx);
        }
        cx.set_interval(REPORT, move |cx| {
            if on_progress(cx.state.progress()).is_break() {
                cx.state.is_over = true;
                cx.state.tally.is_stopped = true;
                cx.stop();
            }
        });
        reactor.run()?;
        Ok(Outcome::new(reactor.into_state()))
    }
}
