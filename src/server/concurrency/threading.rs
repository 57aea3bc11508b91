//! A thread for each request.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::net::{Address, Limit};
use crate::server::base::BaseServer;
use crate::server::concurrency::{Concurrency, Runner, Slot, Supports};
use crate::server::handler::{Blocking, HandlerResult};
use crate::server::transport::Request;
use crate::sync::{Counter, lock, wait_until};
use crate::sys;

/// A thread for each request: Python's `ThreadingMixIn`.
///
/// ```
/// use tripoll::server::{Exchange, PythonSocket, Threading, ThreadingTcpServer};
///
/// let server = ThreadingTcpServer::builder("127.0.0.1:0")
///     .concurrency(Threading::default().max_threads(Some(64)))
///     .build_fn(|exchange: &mut Exchange| Ok(exchange.request.sendall(b"hello")?))?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Threading {
    /// Whether `server_close` ignores the threads. Default: false. (In Python such threads also do
    /// not keep the process alive. In Rust no thread does.)
    pub daemon_threads: bool,
    /// Whether `server_close` waits for the threads. Default: true.
    pub block_on_close: bool,
    /// How many threads can run at once. Further connections are not accepted until one ends, and
    /// further datagrams are not received. Default: 1024 (Python: no limit).
    pub max_threads: Option<usize>,
}

/// Setters of the fields, by value.
impl Threading {
    /// Sets [`daemon_threads`](#structfield.daemon_threads).
    #[must_use]
    pub fn daemon_threads(mut self, daemon_threads: bool) -> Self {
        self.daemon_threads = daemon_threads;
        self
    }

    /// Sets [`block_on_close`](#structfield.block_on_close).
    #[must_use]
    pub fn block_on_close(mut self, block_on_close: bool) -> Self {
        self.block_on_close = block_on_close;
        self
    }

    /// Sets [`max_threads`](#structfield.max_threads).
    #[must_use]
    pub fn max_threads(mut self, max_threads: Option<usize>) -> Self {
        self.max_threads = max_threads;
        self
    }
}

impl Default for Threading {
    fn default() -> Self {
        Threading { daemon_threads: false, block_on_close: true, max_threads: Some(1_024) }
    }
}

impl Threading {
    /// Returns Python's defaults: no limit of threads.
    pub fn python() -> Self {
        Threading { max_threads: None, ..Threading::default() }
    }
}

impl<X: Blocking> Supports<X> for Threading {}

impl Concurrency for Threading {
    fn runner<R: Request>(self) -> io::Result<Box<dyn Runner<R>>> {
        Ok(Box::new(ThreadPerRequest {
            limit: Limit::new(self.max_threads),
            options: self,
            running: Arc::default(),
        }))
    }
}

/// The threads of a server.
#[derive(Debug)]
struct ThreadPerRequest {
    options: Threading,
    limit: Limit,
    running: Arc<Threads>,
}

/// The running threads. An exiting thread joins one that exited earlier, so that at most eight
/// finished threads await joining.
#[derive(Debug, Default)]
struct Threads {
    state: Mutex<ThreadsState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct ThreadsState {
    /// By their numbers. A thread that is just being started has no handle yet: the lock is not
    /// held meanwhile, since exiting threads would wait for it.
    running: HashMap<u64, Option<JoinHandle<()>>>,
    /// In the order in which they exited. To join one that has only just exited would block.
    finished: VecDeque<JoinHandle<()>>,
    /// Number of callers that wait for a change.
    waiters: usize,
    /// Number of the threads themselves that wait for the end of the others.
    waiting_inside: usize,
}

/// The numbers of the threads of all servers.
static LAST_NUMBER: Counter = Counter::new();

thread_local! {
    static NUMBER: Cell<Option<u64>> = const { Cell::new(None) };
}

/// How many finished threads await joining.
const MAX_FINISHED: usize = 8;

impl ThreadsState {
    /// Adds a finished thread. Returns one that must be joined for it.
    fn add_finished(&mut self, thread: JoinHandle<()>) -> Option<JoinHandle<()>> {
        self.finished.push_back(thread);
        if self.finished.len() > MAX_FINISHED { self.finished.pop_front() } else { None }
    }
}

impl Threads {
    fn state(&self) -> MutexGuard<'_, ThreadsState> {
        lock(&self.state)
    }

    fn notify(&self, state: MutexGuard<'_, ThreadsState>) {
        let is_watched = state.waiters > 0; // a call to wake is a system call
        drop(state);
        if is_watched {
            self.changed.notify_all();
        }
    }

    fn spawn(self: &Arc<Self>, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let number = LAST_NUMBER.add_one();
        self.state().running.insert(number, None);
        let end = ExitGuard { running: Arc::clone(self), number };
        // If there can be no thread, `end` is dropped here.
        let builder = thread::Builder::new().name("request".into());
        let thread = builder.spawn(move || {
            NUMBER.set(Some(end.number));
            let _end = end;
            body();
        });
        let thread = thread.map_err(|error| {
            let context = "no thread can be started for the request (see RLIMIT_NPROC, \
                           /proc/sys/kernel/threads-max and the memory)";
            sys::with_context(context, error)
        })?;
        let mut state = self.state();
        let finished = match state.running.get_mut(&number) {
            Some(handle) => {
                *handle = Some(thread);
                None
            }
            None => state.add_finished(thread), // it was quick
        };
        drop(state);
        join_finished(finished);
        Ok(())
    }
}

/// Removes a thread from the running ones when it is dropped, also by a panic.
struct ExitGuard {
    running: Arc<Threads>,
    number: u64,
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        let mut state = self.running.state();
        let me = state.running.remove(&self.number).flatten();
        let finished = me.and_then(|me| state.add_finished(me));
        self.running.notify(state);
        join_finished(finished);
    }
}

fn join_finished(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        let _ = thread.join(); // its panics were reported where they happened
    }
}

impl<R: Request> Runner<R> for ThreadPerRequest {
    fn reserve(&self, waker: &Waker) -> Option<Slot> {
        Some(Slot { permit: Some(self.limit.acquire(waker)?), ..Slot::default() })
    }

    fn process_request(
        &self,
        server: &Arc<BaseServer<R>>,
        request: &R,
        client_address: &Address,
    ) -> HandlerResult {
        let (server, request, address) =
            (Arc::clone(server), request.clone(), client_address.clone());
        let slot = server.take_slot().counted(&self.limit);
        self.running.spawn(move || {
            server.work(&request, &address);
            drop((request, server)); // closed before the next connection is accepted
            drop(slot);
        })?;
        Ok(())
    }

    fn join(&self, deadline: Option<Instant>) -> bool {
        if self.options.daemon_threads || !self.options.block_on_close {
            return true;
        }
        let mut state = self.running.state();
        // A handler that closes its own server does not wait for itself, nor for another that does
        // so.
        let is_inside = NUMBER.get().is_some_and(|number| state.running.contains_key(&number));
        if is_inside {
            state.waiting_inside += 1;
            self.running.changed.notify_all();
        }
        let exempt = |state: &ThreadsState| if is_inside { state.waiting_inside } else { 0 };
        let mut is_late = false;
        while state.running.len() > exempt(&state) && !is_late {
            state.waiters += 1;
            (state, is_late) = wait_until(&self.running.changed, state, deadline);
            state.waiters -= 1;
        }
        state.waiting_inside -= usize::from(is_inside);
        if is_late {
            return false;
        }
        let finished = std::mem::take(&mut state.finished);
        drop(state);
        join_finished(finished);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finished_threads_are_joined_in_their_order_when_there_are_more_than_eight() {
        let mut state = ThreadsState::default();
        let mut add = |_| {
            let thread = thread::spawn(|| ());
            let id = thread.thread().id();
            (id, state.add_finished(thread).map(|thread| thread.thread().id()))
        };
        let added: Vec<_> = (0..MAX_FINISHED + 2).map(&mut add).collect();
        let (first, later) = added.split_at(MAX_FINISHED);
        assert!(first.iter().all(|&(_, joined)| joined.is_none()), "{added:?}");
        assert!(later.iter().zip(first).all(|(late, early)| late.1 == Some(early.0)), "{added:?}");
        join_finished(state.finished);
    }
}
