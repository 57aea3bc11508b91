//! Observing a reactor: the trait `Probe` and what is reported to it.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::counters::Counters;
use super::io_state::{Flags, IoState};
use crate::selector::{Deadline, Event, Events, Interest, Readiness, Token};

/// Observes each turn of a reactor, without being able to change it.
///
/// All methods do nothing by default. A reactor without a probe pays nothing for it. A reactor with
/// a probe also reads the clock twice a turn. For one readable line an event no probe is needed:
/// enable level *trace* of the `log` crate for `tripoll`.
///
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
/// use tripoll::reactor::{Dispatch, Probe};
/// use tripoll::{Context, Deadline, Interest, Next, Reactor, Source};
///
/// struct CountIdle(Rc<Cell<u32>>);
///
/// impl Probe for CountIdle {
///     fn dispatched(&mut self, dispatch: &Dispatch) {
///         if dispatch.operations == 0 {
///             self.0.set(self.0.get() + 1);
///         }
///     }
/// }
///
/// let idle = Rc::new(Cell::new(0));
/// let mut reactor = Reactor::builder().probe(CountIdle(Rc::clone(&idle))).build()?;
/// let (reader, writer) = std::io::pipe()?;
/// let lazy = |_: &mut Source<std::io::PipeReader>, _: &mut Context| Ok(Next::Keep);
/// reactor.context().add(reader, Interest::READ, lazy)?;
/// drop(writer); // the end of the stream: the reader is ready
/// for _ in 0..3 {
///     reactor.turn(Deadline::Never)?;
/// }
/// assert_eq!(idle.get(), 3); // the handler read nothing, so it was called in each turn
/// # std::io::Result::Ok(())
/// ```
pub trait Probe {
    /// Returns whether [`Dispatch::took`] is measured, which reads the clock twice for each call of a
    /// handler. Asked once a turn. Default: no.
    fn measures_calls(&self) -> bool {
        false
    }

    /// Called when a source was added, before its handler is called. Its descriptor says what it is: a
    /// socket has addresses, and `/proc/self/fd` has a name for each. [`Token::index`] numbers the sources
    /// from 0, and that of a removed source is used again, so that a table by index stays small.
    fn added(&mut self, token: Token, descriptor: BorrowedFd<'_>) {
        let _ = (token, descriptor);
    }

    /// Called when a changed interest was applied to the selector.
    fn applied(&mut self, token: Token, interest: Interest) {
        let _ = (token, interest);
    }

    /// Called before the wait. The deadline is [`Deadline::Now`] when there is work already.
    fn waiting(&mut self, deadline: Deadline) {
        let _ = deadline;
    }

    /// Called after the wait, with its duration and its events.
    fn waited(&mut self, slept: Duration, events: &Events) {
        let _ = (slept, events);
    }

    /// Called after each call of a handler.
    fn dispatched(&mut self, dispatch: &Dispatch) {
        let _ = dispatch;
    }

    /// Called for a stale event: its source was removed before. The event is dropped.
    fn stale(&mut self, event: Event) {
        let _ = event;
    }

    /// Called at the end of the turn.
    fn turned(&mut self, counters: &Counters) {
        let _ = counters;
    }
}

/// One call of a handler, and its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dispatch {
    /// The source.
    pub token: Token,
    /// What the kernel reported. Empty when the handler was called again without a new event.
    pub readiness: Readiness,
    /// The source's interest when the call began.
    pub interest: Interest,
    /// Number of operations made through the source.
    pub operations: u32,
    /// Number of bytes read.
    pub bytes_read: usize,
    /// Number of bytes written.
    pub bytes_written: usize,
    /// How long the call took, if the probe [asks for it](Probe::measures_calls).
    pub took: Option<Duration>,
    /// Whether the first operation returned `WouldBlock`: the call was in vain.
    pub spurious: bool,
    /// Whether the budget ended the call.
    pub cut_off: bool,
    /// The state of the source after the call.
    pub outcome: DispatchOutcome,
}

/// The state of a source after a call of its handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DispatchOutcome {
    /// The source is still ready. Its handler is called again in the next turn.
    Ready,
    /// The handler is called when the kernel reports a new event.
    Waiting,
    /// The source is disarmed. The handler is called after the source was armed again.
    Disarmed,
    /// The source was removed.
    Removed,
}

impl Dispatch {
    pub(super) fn of(io: &IoState, outcome: DispatchOutcome, took: Option<Duration>) -> Self {
        let (bytes_read, bytes_written) = io.bytes_of_call();
        Dispatch {
            token: io.token,
            readiness: io.readiness,
            interest: io.settings.interest,
            operations: io.operations(),
            bytes_read: bytes_read as usize,
            bytes_written: bytes_written as usize,
            took,
            spurious: io.settings.flags.contains(Flags::SPURIOUS),
            cut_off: io.settings.flags.contains(Flags::CUT_OFF),
            outcome,
        }
    }
}

impl fmt::Display for Dispatch {
    /// Formats the call as one readable line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} interest ", self.token)?;
        bitflags::parser::to_writer(&self.interest, &mut *f)?;
        f.write_str(", reported ")?;
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
        if let Some(took) = self.took {
            write!(f, ", took {took:?}")?;
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
