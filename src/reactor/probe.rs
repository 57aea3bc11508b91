//! Looking on.

use std::fmt;
use std::time::Duration;

use super::counters::Counters;
use super::io_state::{Flags, IoState};
use crate::selector::{Deadline, Event, Events, Interest, Readiness, Token};

/// Sees each turn of a reactor, without being able to change it.
///
/// All methods do nothing by default. A reactor without a probe pays for none of this; one with a
/// probe also reads the clock twice a turn. (For one readable line an event, no probe is needed:
/// switch on level *trace* of the `log` crate for the target `tripoll`.)
pub trait Probe {
    /// The kernel was asked for something else of a source: a change of interest was applied.
    fn applied(&mut self, token: Token, interest: Interest) {
        let _ = (token, interest);
    }

    /// The wait begins. [`Deadline::Now`] if somebody is ready already.
    fn waiting(&mut self, deadline: Deadline) {
        let _ = deadline;
    }

    /// The wait has ended, after `slept`, with these events.
    fn waited(&mut self, slept: Duration, events: &Events) {
        let _ = (slept, events);
    }

    /// A handler has been called.
    fn dispatched(&mut self, dispatch: &Dispatch) {
        let _ = dispatch;
    }

    /// An event came for a source that is already not_registered, and was dropped.
    fn stale(&mut self, event: Event) {
        let _ = event;
    }

    /// The turn has ended.
    fn turned(&mut self, counters: &Counters) {
        let _ = counters;
    }
}

/// One call of a handler, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dispatch {
    /// Whose handler it was.
    pub token: Token,
    /// What the kernel has said; empty when the handler was called again without being told anew.
    pub readiness: Readiness,
    /// What was wanted.
    pub interest: Interest,
    /// Operations that were made through the source.
    pub operations: u32,
    /// Bytes read.
    pub bytes_read: usize,
    /// Bytes written.
    pub bytes_written: usize,
    /// Whether the first operation said `WouldBlock`: the call was for nothing.
    pub spurious: bool,
    /// Whether the budget ended the call.
    pub cut_off: bool,
    /// What became of the source.
    pub outcome: DispatchOutcome,
}

/// What became of a source after a call of its handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DispatchOutcome {
    /// It is READY still, and called again in the next turn.
    Ready,
    /// It is called when the kernel tells anew.
    Waiting,
    /// It is called when it has been armed again.
    Disarmed,
    /// It is not_registered.
    Removed,
}

impl Dispatch {
    pub(super) fn of(io: &IoState, outcome: DispatchOutcome) -> Self {
        Dispatch {
            token: io.token,
            readiness: io.readiness,
            interest: io.interest_before,
            operations: io.used.operations,
            bytes_read: io.used.bytes_read as usize,
            bytes_written: io.used.bytes_written as usize,
            spurious: io.flags.contains(Flags::SPURIOUS),
            cut_off: io.flags.contains(Flags::CUT_OFF),
            outcome,
        }
    }
}

impl fmt::Display for Dispatch {
    /// One readable line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} wants ", self.token)?;
        bitflags::parser::to_writer(&self.interest, &mut *f)?;
        f.write_str(", told ")?;
        if self.readiness.is_empty() {
            f.write_str("nothing new")?;
        } else {
            bitflags::parser::to_writer(&self.readiness, &mut *f)?;
        }
        write!(f, "; {} operations", self.operations)?;
        if self.bytes_read > 0 {
            write!(f, ", read {}", self.bytes_read)?;
        }
        if self.bytes_written > 0 {
            write!(f, ", wrote {}", self.bytes_written)?;
        }
        if self.spurious {
            f.write_str(", spurious")?;
        }
        if self.cut_off {
            f.write_str(", cut off")?;
        }
        f.write_str(match self.outcome {
            DispatchOutcome::Ready => " -> still ready",
            DispatchOutcome::Waiting => " -> waiting",
            DispatchOutcome::Disarmed => " -> disarmed",
            DispatchOutcome::Removed => " -> removed",
        })
    }
}
