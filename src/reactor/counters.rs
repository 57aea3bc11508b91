//! What the loop has done. It is always counted.

/// Counts what a [`Reactor`](super::Reactor) has done since it was made.
///
/// A program can act upon each figure, or it explains a busy processor. Counting costs one addition
/// and cannot be disabled.
///
/// See [metrics](crate::guide::metrics) in the guide.
///
/// ```
/// use std::io::{PipeReader, Read, Write};
/// use tripoll::{Context, Deadline, Interest, Next, Reactor, Source};
///
/// let (reader, mut writer) = std::io::pipe()?;
/// let mut reactor = Reactor::new()?;
/// let read = |pipe: &mut Source<PipeReader>, _: &mut Context| {
///     pipe.read(&mut [0; 64])?;
///     Ok(Next::Keep)
/// };
/// reactor.context().add(reader, Interest::READ, read)?;
/// writer.write_all(b"hello")?;
/// reactor.turn(Deadline::Never)?;
///
/// let counters = reactor.context().counters();
/// assert_eq!((counters.turns, counters.events, counters.dispatches), (1, 1, 1));
/// assert_eq!((counters.spurious, counters.idle), (0, 0));
/// # std::io::Result::Ok(())
/// ```
#[doc(alias = "metrics")]
#[doc(alias = "statistics")]
#[doc(alias = "Prometheus")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Turns of the loop.
    pub turns: u64,
    /// System calls that wait, those with a zero timeout included.
    pub waits: u64,
    /// Events that the kernel reported, those of the reactor's own descriptors included.
    pub events: u64,
    /// Calls of handlers because their source was ready.
    pub dispatches: u64,
    /// Calls in vain: their first operation returned `WouldBlock`.
    pub spurious: u64,
    /// Calls that did nothing with their source, and returned [`Next::Keep`](super::Next::Keep).
    /// Such a handler is called again in each turn. When this number grows fast, it is why the
    /// processor is busy.
    pub idle: u64,
    /// Events of sources that were removed before.
    pub stale: u64,
    /// Sources that were parked: see the [module's page](super). Each was called in vain, because of an
    /// error or hang-up that stays.
    pub parked: u64,
    /// Calls that the [`Budget`](super::Budget) ended. They continued in the next turn.
    pub cut_off: u64,
    /// System calls that changed what the kernel watches. Zero on select and poll.
    pub controls: u64,
    /// Changes of interest for which such a system call was saved.
    pub controls_saved: u64,
    /// Repairs of the kernel's list; see [`SelectorCounters::repairs`].
    ///
    /// [`SelectorCounters::repairs`]: crate::selector::SelectorCounters::repairs
    pub repairs: u64,
    /// Wakes that needed a system call.
    pub wakes: u64,
    /// Wakes that needed none: the loop was awake, or had been woken already.
    pub wakes_saved: u64,
    /// Timers and deadlines that fired.
    pub timers: u64,
    /// Jobs that ran: closures that a [handle](super::ReactorHandle::post) has posted, and
    /// [deferred](super::Context::defer) ones.
    pub jobs: u64,
    /// Sources that were removed because of an error.
    pub errors: u64,
    /// Handlers, timers and jobs that panicked.
    pub panics: u64,
    /// Switches to another backend, those of [`Backend::Auto`](crate::Backend::Auto) included.
    pub switches: u64,
}
