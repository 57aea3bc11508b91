//! Whether the server serves, and how it is asked to stop.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// The state that `serve_forever` and `shutdown` share.
///
/// ```text
///               shutdown: sticky
///   ┌─────────┐ ────────────────► ┌──────────┐
///   │ NOT YET │                   │ FORESTALLED │
///   └─────────┘                   └──────────┘
///        │ serve_forever               │ serve_forever returns at once
///        ▼                             ▼
///   ┌─────────┐   the loop ends   ┌─────────┐
///   │ SERVING │ ────────────────► │ SERVED  │  shutdown: nothing to do
///   └─────────┘ ◄──────────────── └─────────┘
///               serve_forever
/// ```
pub(super) struct Serving {
    state: Mutex<State>,
    ended: Condvar,
    /// Read by the loop before each request.
    is_stopping: AtomicBool,
    /// Whether a handler has said `Exit`.
    is_exiting: AtomicBool,
    /// How many requests were tried.
    taken: AtomicU64,
}

#[derive(Default)]
struct State {
    has_served: bool,
    running: Option<Running>,
    /// Which serving this is.
    count: u64,
}

struct Running {
    thread: ThreadId,
    stop: Box<dyn Fn() + Send>,
}

impl Serving {
    pub(super) fn new() -> Self {
        Serving {
            state: Mutex::default(),
            ended: Condvar::new(),
            is_stopping: AtomicBool::new(false),
            is_exiting: AtomicBool::new(false),
            taken: AtomicU64::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the loop is to take no more requests.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Serving begins on this thread; `stop` is how to wake its loop. `None` if it is to end at once.
    pub(super) fn begin(
        &self,
        stop: impl Fn() + Send + 'static,
    ) -> io::Result<Option<ServingGuard<'_>>> {
        let mut state = self.state();
        if state.running.is_some() {
            let message = "the server is serving already";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
        }
        state.has_served = true;
        if self.is_stopping.swap(false, Ordering::AcqRel) {
            return Ok(None); // shut down before it began
        }
        state.count += 1;
        state.running = Some(Running { thread: thread::current().id(), stop: Box::new(stop) });
        Ok(Some(ServingGuard(self)))
    }

    /// Asks the loop to end. Before the first serving that is remembered, after it is nothing.
    pub(super) fn request_stop(&self) {
        let state = self.state();
        if let Some(running) = &state.running {
            self.is_stopping.store(true, Ordering::Release);
            (running.stop)();
        } else if !state.has_served {
            self.is_stopping.store(true, Ordering::Release);
        }
    }

    /// A handler has said `Exit`: the loop ends with that.
    pub(super) fn exit(&self) {
        self.is_exiting.store(true, Ordering::Release);
        self.is_stopping.store(true, Ordering::Release);
    }

    /// Whether the serving that ends now, ends because of an `Exit`.
    pub(super) fn take_exit(&self) -> bool {
        self.is_exiting.swap(false, Ordering::AcqRel)
    }

    /// One more request is taken, or has failed to be.
    pub(super) fn take(&self) {
        self.taken.fetch_add(1, Ordering::AcqRel);
    }

    /// How many that were.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    /// Whether this thread is the one that serves.
    pub(super) fn is_here(&self) -> bool {
        let here = thread::current().id();
        self.state().running.as_ref().is_some_and(|running| running.thread == here)
    }

    /// Waits until the serving that is under way has ended, for `timeout` at most. True if it has.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> bool {
        let mut state = self.state();
        let count = state.count;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        while state.running.is_some() && state.count == count {
            state = match deadline {
                None => self.ended.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    let waited = self.ended.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        true
    }
}

/// Serving is under way, and has ended when this is dropped.
pub(super) struct ServingGuard<'a>(&'a Serving);

impl Drop for ServingGuard<'_> {
    fn drop(&mut self) {
        self.0.state().running = None;
        self.0.is_stopping.store(false, Ordering::Release);
        self.0.ended.notify_all();
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("is_stopping", &self.is_stopping()).finish_non_exhaustive()
    }
}
