//! A pause between two tries: a stage that waits for nothing but its time.
//!
//! It has a source, so that it can be cancelled and shut down as every stage. The descriptor is opened
//! at the beginning and kept until the end: a pause must be possible when there are no more.

use std::io;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::super::stage::{self, Cause, Connecting, Then, Wait};
use crate::reactor::{Context, Source};
use crate::selector::Interest;
use crate::sys::EventFd;

/// The descriptor of the pauses.
#[derive(Debug)]
pub(super) struct Sleeper(EventFd);

impl Sleeper {
    pub(super) fn new() -> io::Result<Self> {
        EventFd::new().map(Sleeper)
    }

    /// Begins a pause.
    ///
    /// # Errors
    ///
    /// Fails when the selector cannot watch the descriptor. `then` comes back.
    pub(super) fn sleep<S: 'static, T: Then<S, Sleeper>>(
        self,
        pause: Duration,
        connecting: &Connecting,
        then: T,
        cx: &mut Context<'_, S>,
    ) -> Result<(), (io::Error, T)> {
        let wait = Sleep { until: cx.now().checked_add(pause) };
        let source = stage::begin(self.0, Interest::NONE, wait, then, cx)?;
        connecting.wait_for(source);
        Ok(())
    }
}

#[derive(Debug)]
struct Sleep {
    /// `None`: for ever.
    until: Option<Instant>,
}

impl Wait<EventFd> for Sleep {
    type Output = Sleeper;

    fn poll(
        &mut self,
        cause: Cause,
        _: &mut Source<'_, EventFd>,
        _: Instant,
    ) -> Poll<io::Result<()>> {
        if cause == Cause::Deadline { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn deadline(&self) -> Option<Instant> {
        self.until
    }

    fn finish(self, event_fd: EventFd) -> io::Result<Sleeper> {
        Ok(Sleeper(event_fd))
    }
}
