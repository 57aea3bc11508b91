//! What the threads of several loops share.

use std::io::{self, Read};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::counters::{LoopState, LoopsCounters, Tally};
use super::distribution::{Chooser, Distribution};
use super::error::LoopError;
use super::peers::{Peer, PeerLimit};
use super::slot::{Admitted, LoopSlot};
use crate::net::deliver::warn;
use crate::net::limit::{Limit, Permit};
use crate::net::listener::Listener;
use crate::net::stream::Stream;
use crate::reactor::{Context, ReactorHandle};
use crate::sync::{Counter, LogLimit, catch_panic, lock};

/// Called in a loop with each of its connections.
pub(super) type Serve<S> = Box<dyn Fn(Stream, &mut Context<'_, S>) -> io::Result<()> + Send + Sync>;

/// Called with each failure.
pub(super) type OnFailure = Arc<dyn Fn(&LoopError) + Send + Sync>;

/// What happens with the other loops when one has failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenOneFails {
    /// The others go on, and take over what was handed to it.
    #[default]
    Continue,
    /// All are shut down, with this grace.
    ShutDown(Duration),
}

/// What the threads share.
pub(super) struct Shared<S: 'static> {
    pub(super) slots: Vec<Arc<LoopSlot<S>>>,
    pub(super) distribution: Distribution,
    chooser: Chooser,
    limit: Limit,
    peers: PeerLimit,
    serve: Serve<S>,
    /// How many connections a loop takes in one turn.
    pub(super) per_turn: u32,
    pub(super) when_one_fails: WhenOneFails,
    pub(super) on_failure: Option<OnFailure>,
    /// The reactor that accepts for all, if there is one.
    pub(super) acceptor: OnceLock<ReactorHandle>,
    pub(super) acceptor_tally: Tally,
    /// What has failed, in the order in which it has.
    pub(super) failures: Mutex<Vec<LoopError>>,
    /// Set when all are shut down: until when.
    shutdown: Mutex<Option<End>>,
    closed_unserved: Counter,
    warnings: LogLimit,
    panics: LogLimit,
}

/// When a shutdown ends. `None`: when all connections have ended.
type End = Option<Instant>;

/// What the threads share, before they do.
pub(super) struct Parts<S: 'static> {
    pub(super) count: usize,
    pub(super) distribution: Distribution,
    pub(super) max_connections: usize,
    pub(super) max_per_peer: Option<usize>,
    pub(super) per_turn: u32,
    pub(super) when_one_fails: WhenOneFails,
    pub(super) on_failure: Option<OnFailure>,
    pub(super) serve: Serve<S>,
}

impl<S: 'static> Shared<S> {
    pub(super) fn new(parts: Parts<S>) -> Arc<Self> {
        Arc::new(Shared {
            slots: (0..parts.count).map(LoopSlot::new).collect(),
            distribution: parts.distribution,
            chooser: Chooser::new(parts.distribution),
            limit: Limit::new(Some(parts.max_connections)),
            peers: PeerLimit::new(parts.max_per_peer),
            serve: parts.serve,
            per_turn: parts.per_turn,
            when_one_fails: parts.when_one_fails,
            on_failure: parts.on_failure,
            acceptor: OnceLock::new(),
            acceptor_tally: Tally::new(),
            failures: Mutex::default(),
            shutdown: Mutex::default(),
            closed_unserved: Counter::new(),
            warnings: LogLimit::new(),
            panics: LogLimit::new(),
        })
    }

    pub(super) fn limit(&self) -> &Limit {
        &self.limit
    }

    /// Admits a connection, or closes it: its peer has as many as it may.
    pub(super) fn admit(&self, stream: Stream, permit: Permit, tally: &Tally) -> Option<Admitted> {
        match self.peers.acquire(stream.peer()) {
            Some(peer) => Some(Admitted { stream, permit, peer }),
            None => {
                tally.refused_per_peer.add_one();
                close_politely(&stream);
                None
            }
        }
    }

    /// Serves a connection in the loop `slot`.
    pub(super) fn serve(&self, slot: &LoopSlot<S>, stream: Stream, cx: &mut Context<'_, S>) {
        slot.tally.accepted.add_one();
        let peer = stream.peer().clone();
        if let Err(error) = (self.serve)(stream, cx) {
            warn(&self.warnings, "the new connection of", &peer, &error);
        }
    }

    /// Hands a connection to a loop. If none takes any, closes and counts it.
    pub(super) fn hand_over(self: &Arc<Self>, admitted: Admitted) {
        if let Err(admitted) = self.try_hand_over(admitted) {
            self.closed_unserved.add_one();
            close_politely(&admitted.stream);
        }
    }

    /// Hands a connection to a loop.
    ///
    /// # Errors
    ///
    /// Gives the connection back if no loop takes any.
    pub(super) fn try_hand_over(
        self: &Arc<Self>,
        mut admitted: Admitted,
    ) -> Result<(), Box<Admitted>> {
        let load = |index: usize| {
            let slot = &self.slots[index];
            (slot.state() == LoopState::Running).then(|| slot.alive())
        };
        let peer = Peer::of(admitted.stream.peer());
        while let Some(index) = self.chooser.choose(self.slots.len(), peer, load) {
            match self.slots[index].hand(admitted) {
                Ok(must_wake) => {
                    if must_wake {
                        self.wake(index);
                    }
                    return Ok(());
                }
                Err(back) => admitted = *back, // it has ended meanwhile
            }
        }
        Err(Box::new(admitted))
    }

    /// Lets a loop take what was handed to it.
    fn wake(self: &Arc<Self>, index: usize) {
        let shared = Arc::clone(self);
        // A loop that ends empties its inbox before its reactor is dropped.
        let _ = self.slots[index].handle().post(move |cx| shared.take_in(index, cx));
    }

    /// Serves what was handed to a loop, as many as it may take in a turn.
    fn take_in(self: &Arc<Self>, index: usize, cx: &mut Context<'_, S>) {
        let slot = &self.slots[index];
        let mut left = self.per_turn;
        while let Some(handed) = slot.take() {
            let stream = handed.into_stream();
            if let Err(panic) = catch_panic(|| self.serve(slot, stream, cx)) {
                cx.note_panic();
                if let Some(left_out) = self.panics.pass() {
                    log::error!("loop {index}: a new connection was lost: {panic}{left_out}");
                }
            }
            left -= 1;
            if left == 0 && !cx.is_shutting_down() {
                return self.wake(index); // the others in the next turn
            }
            left = left.max(1);
        }
    }

    /// Hands on what a loop has not taken: it takes no more.
    pub(super) fn hand_on(self: &Arc<Self>, slot: &LoopSlot<S>) {
        while let Some(handed) = slot.take() {
            self.hand_over(handed.into_admitted());
        }
    }

    /// Lets a loop take no more connections. The others take over. Returns false if this was so before.
    pub(super) fn drain(
        self: &Arc<Self>,
        slot: &Arc<LoopSlot<S>>,
        then: impl FnOnce(&LoopSlot<S>, &mut Context<'_, S>) + Send + 'static,
    ) -> bool {
        if !slot.drain() {
            return false;
        }
        self.hand_on(slot);
        let (shared, its_slot) = (Arc::clone(self), Arc::clone(slot));
        let _ = slot.handle().post(move |cx| {
            shared.close_listener(&its_slot, cx);
            then(&its_slot, cx);
        });
        self.end_acceptor_without_loops();
        true
    }

    /// Closes the listener of one loop. What is in its backlog goes to the others. A listener that
    /// others have stays open, and what is in its backlog is theirs.
    fn close_listener(self: &Arc<Self>, slot: &Arc<LoopSlot<S>>, cx: &mut Context<'_, S>) {
        let Some(&token) = slot.listener.get() else { return };
        if self.distribution == Distribution::SharedListener {
            let _ = cx.remove(token); // it may have ended by itself
            return self.look_for_connections();
        }
        let (shared, slot) = (Arc::clone(self), Arc::clone(slot));
        let _ = cx.take(token, move |listener: Listener, _| {
            for _ in 0..=listener.backlog() {
                let waker = std::task::Waker::noop();
                let Some(permit) = shared.limit.acquire(waker) else { break };
                let Ok(stream) = listener.accept() else { break };
                if let Some(admitted) = shared.admit(stream, permit, &slot.tally) {
                    shared.hand_over(admitted);
                }
            }
        });
    }

    /// Lets the loops that share a listener look whether a connection is pending: the kernel may have
    /// woken only a loop that accepts no more.
    pub(super) fn look_for_connections(&self) {
        if self.distribution != Distribution::SharedListener {
            return;
        }
        for slot in &self.slots {
            if slot.state() == LoopState::Running
                && let Some(&listener) = slot.listener.get()
            {
                let _ = slot.handle().notify(listener);
            }
        }
    }

    /// Stops the thread that accepts for all when no loop takes any connection.
    pub(super) fn end_acceptor_without_loops(&self) {
        let is_running = |slot: &Arc<LoopSlot<S>>| slot.state() == LoopState::Running;
        if let Some(acceptor) = self.acceptor.get()
            && !self.slots.iter().any(is_running)
        {
            acceptor.stop();
        }
    }

    /// Shuts all down: first the thread that accepts for all, which hands on what is pending, and then
    /// the loops.
    pub(super) fn shutdown(&self, grace: Duration) {
        let end = *lock(&self.shutdown).get_or_insert(Instant::now().checked_add(grace));
        // One that has ended can shut no loop down.
        if self.acceptor.get().is_none_or(|acceptor| acceptor.shutdown(grace).is_err()) {
            self.shut_loops_down(end);
        }
    }

    /// Shuts the loops down if all are shut down: the thread that accepts for all has ended.
    pub(super) fn acceptor_ended(&self) {
        let end = *lock(&self.shutdown);
        if let Some(end) = end {
            self.shut_loops_down(end);
        }
    }

    fn shut_loops_down(&self, end: End) {
        let grace = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
        for slot in &self.slots {
            slot.drain();
            slot.shutdown(grace);
        }
    }

    /// Stops all threads at the end of their turns.
    pub(super) fn stop(&self) {
        if let Some(acceptor) = self.acceptor.get() {
            acceptor.stop();
        }
        for slot in &self.slots {
            slot.handle().stop();
        }
    }

    pub(super) fn counters(&self) -> LoopsCounters {
        let acceptor = || self.acceptor_tally.counters(LoopState::Running, 0);
        LoopsCounters {
            loops: self.slots.iter().map(|slot| slot.counters()).collect(),
            acceptor: self.distribution.has_acceptor().then(acceptor),
            closed_unserved: self.closed_unserved.get(),
        }
    }
}

/// Closes a connection that is not served. Its client sees an end, unless it goes on sending: what it
/// has sent so far is read, because the kernel answers unread data with a reset.
fn close_politely(mut stream: &Stream) {
    let _ = stream.shutdown(Shutdown::Write); // the client may have reset it
    let mut unwanted = [0; 4 << 10];
    for _ in 0..16 {
        if !matches!(stream.read(&mut unwanted), Ok(1..)) {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpStream;

    use super::*;
    use crate::net::address::Address;

    #[test]
    fn a_client_that_has_sent_data_sees_an_end_and_no_reset() {
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        let Address::Inet(address) = *listener.local_address() else { unreachable!() };
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(&[7; 10_000]).unwrap();
        let stream = listener.accept().unwrap();
        close_politely(&stream);
        drop(stream);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
}
