//! The running loops, as their owner sees them.

use std::fmt;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use super::counters::LoopsCounters;
use super::error::LoopError;
use super::shared::Shared;
use crate::net::address::Address;
use crate::reactor::{Counters, ReactorHandle};
use crate::sync::lock;

/// Several loops, each a thread with a reactor, that serve the connections of one address. The
/// [module's page](super) has an example, and compares the ways to distribute connections.
///
/// All methods take `&self`: share it in an `Arc`. Dropping it stops the loops at the end of their
/// turns, and does not wait for them.
///
/// See [a thread for each core](crate::guide::thread_per_core) in the guide.
///
/// ```
/// use std::time::Duration;
/// use tripoll::net::Loops;
///
/// let loops = Loops::builder()
///     .threads(2)
///     .serve("127.0.0.1:0", |_index| (), |stream, _cx| {
///         println!("{} is connected", stream.peer());
///         Ok(()) // and the connection is closed
///     })?;
/// println!("listening on {}", loops.local_address());
/// assert_eq!((loops.threads(), loops.counters().alive()), (2, 0));
/// loops.shutdown(Duration::from_secs(1));
/// loops.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "EventLoopGroup")]
#[doc(alias = "thread per core")]
#[doc(alias = "multi-threaded")]
pub struct Loops<S: 'static = ()> {
    shared: Arc<Shared<S>>,
    address: Address,
    threads: Mutex<Vec<JoinHandle<()>>>,
    ids: Vec<ThreadId>,
}

impl<S: 'static> Loops<S> {
    pub(super) fn new(
        shared: Arc<Shared<S>>,
        address: Address,
        threads: Vec<JoinHandle<()>>,
    ) -> Self {
        let ids = threads.iter().map(|thread| thread.thread().id()).collect();
        Loops { shared, address, threads: Mutex::new(threads), ids }
    }

    /// Returns the address that the loops serve, with the port that the system chose for port 0.
    pub fn local_address(&self) -> &Address {
        &self.address
    }

    /// Returns the number of loops, those that have ended included.
    pub fn threads(&self) -> usize {
        self.shared.slots.len()
    }

    /// Returns the counts of connections. It waits for no loop.
    pub fn counters(&self) -> LoopsCounters {
        self.shared.counters()
    }

    /// Returns the counters of each reactor. It asks all loops, and waits for the answers, for `within`
    /// at most. `None`: the loop has not answered. A handler of it blocks, for example. Of a loop that
    /// has ended it returns the last counters.
    ///
    /// A loop that calls this method gets no answer from itself.
    pub fn reactor_counters(&self, within: Duration) -> Vec<Option<Counters>> {
        let end = Instant::now().checked_add(within);
        let slots = &self.shared.slots;
        let (send, answers) = mpsc::channel();
        for slot in slots {
            let (index, send) = (slot.index, send.clone());
            // One that has ended drops its jobs, and with the last of them the channel ends.
            let _ = slot.handle().post(move |cx| {
                let _ = send.send((index, cx.counters())); // the answer may be too late
            });
        }
        drop(send);
        let mut all = vec![None; slots.len()];
        while all.contains(&None) {
            let left =
                end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            let Ok((index, counters)) = answers.recv_timeout(left) else { break };
            all[index] = Some(counters);
        }
        for (counters, slot) in all.iter_mut().zip(slots) {
            *counters = counters.or(slot.last_counters());
        }
        all
    }

    /// Returns a handle to the reactor of one loop, or `None` if there is no loop of this number. To
    /// [shut down](ReactorHandle::shutdown) one loop, [drain](Self::drain) it instead.
    pub fn reactor(&self, index: usize) -> Option<&ReactorHandle<S>> {
        Some(self.shared.slots.get(index)?.handle())
    }

    /// Drains one loop. It gets no new connections, and what it has not begun to serve goes to the
    /// others. Its own connections are told ([`Protocol::shutting_down`](crate::Protocol)), and may
    /// finish their output. Its thread ends when they have ended, and at the latest after `grace`,
    /// measured from now. Does not wait for that.
    ///
    /// When no loop is left that takes connections, the listener is closed.
    ///
    /// Returns false if there is no loop of this number, or it was drained or has ended before.
    pub fn drain(&self, index: usize, grace: Duration) -> bool {
        let Some(slot) = self.shared.slots.get(index) else { return false };
        self.shared.drain(slot, move |_, cx| cx.shutdown(grace))
    }

    /// As [`drain`](Self::drain), but its connections are not told. They go on until they end by
    /// themselves, and then the thread ends.
    pub fn let_finish(&self, index: usize) -> bool {
        let Some(slot) = self.shared.slots.get(index) else { return false };
        self.shared.drain(slot, |slot, _| slot.stop_when_empty())
    }

    /// Shuts all loops down gracefully, as [`Context::shutdown`](crate::Context::shutdown) shuts down
    /// one. What is pending in the backlog is still accepted and served, as far as the limits allow.
    /// All connections are told. The threads end when they have ended, and at the latest after
    /// `grace`, measured from now. Does not wait for that: [`join`](Self::join) does. A second call
    /// does nothing.
    pub fn shutdown(&self, grace: Duration) {
        self.shared.shutdown(grace);
    }

    /// Stops all loops at the end of their turns. Their connections are closed.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Waits until all threads have ended: after [`shutdown`](Self::shutdown), [`stop`](Self::stop), or
    /// when the last loop was drained or has failed.
    ///
    /// # Errors
    ///
    /// The first failure of a thread. All of them are in the log, and
    /// [`on_failure`](super::LoopsBuilder::on_failure) gets each.
    ///
    /// # Panics
    ///
    /// Panics on a thread of the loops, which would wait for itself.
    pub fn join(&self) -> Result<(), LoopError> {
        assert!(
            !self.ids.contains(&thread::current().id()),
            "`Loops::join` was called on a thread of the loops, which would wait for itself"
        );
        for thread in lock(&self.threads).drain(..) {
            let _ = thread.join(); // its panic is among the failures
        }
        match lock(&self.shared.failures).first() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }
}

impl<S: 'static> Drop for Loops<S> {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl<S: 'static> fmt::Debug for Loops<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loops")
            .field("address", &self.address)
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}
