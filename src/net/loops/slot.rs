//! One loop, as the other threads see it: its state, its connections, and what is handed to it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::counters::{LoopCounters, LoopState, Tally};
use super::peers::PeerPermit;
use crate::net::limit::Permit;
use crate::net::stream::Stream;
use crate::reactor::{Counters, ReactorHandle};
use crate::selector::Token;
use crate::sync::lock;

/// One loop of several.
pub(super) struct LoopSlot<S: 'static> {
    pub(super) index: usize,
    /// Set before the loop runs.
    handle: OnceLock<ReactorHandle<S>>,
    inbox: Mutex<Inbox<S>>,
    alive: AtomicUsize,
    pub(super) tally: Tally,
    /// The source of its own listener, if it has one.
    pub(super) listener: OnceLock<Token>,
    /// The counters of a reactor that has ended.
    last: OnceLock<Counters>,
}

/// What is handed to a loop, and whether more may be. One lock holds both, so that nothing is put into
/// an inbox that no loop will empty.
struct Inbox<S: 'static> {
    state: LoopState,
    /// Whether the loop ends as soon as it has no connection.
    ends_when_empty: bool,
    /// Each of them holds a permit, so the limit of connections bounds their number.
    pending: VecDeque<Handed<S>>,
    /// Whether the loop has been woken and has not found the inbox empty since.
    is_woken: bool,
}

/// A connection that was accepted within its limits, before a loop has it.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) stream: Stream,
    pub(super) permit: Permit,
    pub(super) peer: PeerPermit,
}

/// A connection on its way to a loop.
pub(super) struct Handed<S: 'static> {
    admitted: Admitted,
    load: Load<S>,
}

/// Counts one connection toward the load of its loop, until it is dropped.
pub(super) struct Load<S: 'static> {
    slot: Arc<LoopSlot<S>>,
}

impl<S: 'static> LoopSlot<S> {
    pub(super) fn new(index: usize) -> Arc<Self> {
        Arc::new(LoopSlot {
            index,
            handle: OnceLock::new(),
            inbox: Mutex::new(Inbox {
                state: LoopState::Running,
                ends_when_empty: false,
                pending: VecDeque::new(),
                is_woken: false,
            }),
            alive: AtomicUsize::new(0),
            tally: Tally::new(),
            listener: OnceLock::new(),
            last: OnceLock::new(),
        })
    }

    /// Sets the handle of the loop's reactor, once.
    pub(super) fn set_handle(&self, handle: ReactorHandle<S>) {
        let was_set = self.handle.set(handle);
        debug_assert!(was_set.is_ok(), "a loop has one reactor");
    }

    /// Returns the handle of the loop's reactor.
    pub(super) fn handle(&self) -> &ReactorHandle<S> {
        self.handle.get().expect("it is set before other threads know the loop")
    }

    pub(super) fn state(&self) -> LoopState {
        lock(&self.inbox).state
    }

    /// Returns the number of its connections, those that are handed to it included.
    pub(super) fn alive(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }

    pub(super) fn counters(&self) -> LoopCounters {
        self.tally.counters(self.state(), self.alive())
    }

    /// Returns the counters of its reactor, if it has ended.
    pub(super) fn last_counters(&self) -> Option<Counters> {
        self.last.get().copied()
    }

    /// Counts one connection toward its load.
    fn load(self: &Arc<Self>) -> Load<S> {
        self.alive.fetch_add(1, Ordering::Relaxed);
        Load { slot: Arc::clone(self) }
    }

    /// Takes a connection for the loop that accepted it.
    pub(super) fn keep(self: &Arc<Self>, admitted: Admitted) -> Stream {
        Handed { admitted, load: self.load() }.into_stream()
    }

    /// Hands a connection to the loop. Returns whether the loop must be woken: no wake is on its way.
    ///
    /// # Errors
    ///
    /// Gives the connection back if the loop takes no more.
    pub(super) fn hand(self: &Arc<Self>, admitted: Admitted) -> Result<bool, Box<Admitted>> {
        let mut inbox = lock(&self.inbox);
        if inbox.state != LoopState::Running {
            return Err(Box::new(admitted));
        }
        inbox.pending.push_back(Handed { admitted, load: self.load() });
        Ok(!std::mem::replace(&mut inbox.is_woken, true))
    }

    /// Takes the next of the connections that were handed to it. After the last one, the next that is
    /// handed wakes the loop again.
    pub(super) fn take(&self) -> Option<Handed<S>> {
        let mut inbox = lock(&self.inbox);
        let next = inbox.pending.pop_front();
        inbox.is_woken = next.is_some();
        next
    }

    /// Lets the loop take no more connections. Those that were handed to it stay. Returns false if this
    /// was so before.
    pub(super) fn drain(&self) -> bool {
        let mut inbox = lock(&self.inbox);
        let was_running = inbox.state == LoopState::Running;
        if was_running {
            inbox.state = LoopState::Draining;
        }
        was_running
    }

    /// Stops the loop as soon as it has no connection.
    pub(super) fn stop_when_empty(&self) {
        lock(&self.inbox).ends_when_empty = true;
        self.stop_if_empty();
    }

    fn stop_if_empty(&self) {
        let ends = lock(&self.inbox).ends_when_empty;
        if ends && self.alive() == 0 {
            self.handle().stop();
        }
    }

    /// Notes that the loop has ended. What was handed to it stays until it is [taken](Self::take).
    pub(super) fn end(&self, last: Counters) {
        let _ = self.last.set(last);
        lock(&self.inbox).state = LoopState::Ended;
    }

    /// Shuts the loop down. A loop that has ended is left alone.
    pub(super) fn shutdown(&self, grace: Duration) {
        let _ = self.handle().shutdown(grace);
    }
}

impl<S> Handed<S> {
    /// Returns the connection, which counts toward its loop and its limits until it is dropped.
    pub(super) fn into_stream(self) -> Stream {
        let Handed { admitted: Admitted { mut stream, permit, peer }, load } = self;
        stream.hold(permit, Some(Box::new((peer, load))));
        stream
    }

    /// Returns the connection for another loop.
    pub(super) fn into_admitted(self) -> Admitted {
        self.admitted
    }
}

impl<S> Drop for Load<S> {
    fn drop(&mut self) {
        if self.slot.alive.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.slot.stop_if_empty();
        }
    }
}

impl<S> fmt::Debug for Load<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Load").field(&self.slot.index).finish()
    }
}
