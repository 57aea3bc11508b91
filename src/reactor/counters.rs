//! What the loop has done: always counted.

/// What a [`Reactor`](super::Reactor) has done since it was made.
///
/// Every figure is one that a program can act upon, or that explains a busy processor. Counting
/// costs an addition to memory, and is never switched off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Rounds of the loop.
    pub turns: u64,
    /// System calls that wait.
    pub waits: u64,
    /// Events that the kernel told, of the reactor's own descriptors too.
    pub events: u64,
    /// Calls of handlers because their source was ready.
    pub dispatches: u64,
    /// Calls that found nothing: the first operation said `WouldBlock`.
    pub spurious: u64,
    /// Calls that did nothing at all with their source, and did not say so. A handler that does so
    /// is called again every turn: when this number runs, it is why the processor is busy.
    pub idle: u64,
    /// Events of sources that were already not_registered.
    pub stale: u64,
    /// Calls that the [`Budget`](super::Budget) ended; they went on in the next turn.
    pub cut_off: u64,
    /// System calls that changed what the kernel watches. None on select and poll.
    pub controls: u64,
    /// Changes of interest that would each have been such a system call, and were none.
    pub controls_saved: u64,
    /// Times that the kernel's list had to be mended, see
    /// [`selector::Counters::repairs`](crate::selector::Counters::repairs).
    pub repairs: u64,
    /// Wakes that were a system call.
    pub wakes: u64,
    /// Wakes that were none: the loop was awake, or woken already.
    pub wakes_saved: u64,
    /// Timers and deadlines that came.
    pub timers: u64,
    /// Sources that ended by an error.
    pub errors: u64,
    /// Handlers, timers and jobs that panicked.
    pub panics: u64,
    /// Switches of the backend.
    pub switches: u64,
}
