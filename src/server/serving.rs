//! Whether the server serves, and how it is asked to stop.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::BaseServer;
use super::transport::Request;
use crate::pool;

/// The state that `serve_forever` and `shutdown` share.
///
/// ```text
///   ┌─────────┐      shutdown      ┌─────────────┐
///   │ NOT YET │ ─────────────────► │ FORESTALLED │
///   └─────────┘                    └─────────────┘
///        │ serve_forever                  │ serve_forever returns at once
///        ▼                                ▼
///   ┌─────────┐    the loop ends   ┌─────────────┐
///   │ SERVING │ ─────────────────► │   SERVED    │  shutdown: nothing to do
///   └─────────┘ ◄───────────────── └─────────────┘
///                  serve_forever
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
    /// Whether this is a child's copy: here nobody serves.
    is_child: AtomicBool,
}

#[derive(Default)]
struct State {
    has_served: bool,
    running: Option<Running>,
    /// Which serving this is.
    count: u64,
    /// How long those who still work may take to end, once the server is being closed.
    grace: Option<Duration>,
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
            is_child: AtomicBool::new(false),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the loop is to take no more requests.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// See [`ServingGuard::begin`]. False if it is to end at once.
    fn begin(&self, stop: impl Fn() + Send + 'static) -> io::Result<bool> {
        let mut state = self.state();
        if state.running.is_some() {
            let message = "the server is serving already";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
        }
        state.has_served = true;
        self.is_exiting.store(false, Ordering::Release); // whoever said so, said it to another loop
        if self.is_stopping.swap(false, Ordering::AcqRel) {
            return Ok(false); // shut down before it began
        }
        state.count += 1;
        state.running = Some(Running { thread: thread::current().id(), stop: Box::new(stop) });
        Ok(true)
    }

    pub(super) fn enter_child(&self) {
        self.is_child.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_child(&self) -> bool {
        self.is_child.load(Ordering::Relaxed)
    }

    /// Asks the loop to end. Before the first serving that is remembered, after it is nothing.
    pub(super) fn request_stop(&self) {
        if self.is_child() {
            return; // a child has no loop, and the parent's is out of its reach
        }
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
        self.request_stop();
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

    /// Waits until the serving that is under way has ended. False if it has not by the deadline.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.state();
        let count = state.count;
        while state.running.is_some() && state.count == count {
            let is_late;
            (state, is_late) = pool::wait_until(&self.ended, state, deadline);
            if is_late {
                return false;
            }
        }
        true
    }

    pub(super) fn set_grace(&self, grace: Option<Duration>) {
        self.state().grace = grace;
    }

    /// How long those who still work may take to end; `None` is for as long as it takes.
    pub(super) fn grace(&self) -> Option<Duration> {
        self.state().grace
    }
}

/// Serving is under way, and has ended when this is dropped.
pub(super) struct ServingGuard<R: Request>(Arc<BaseServer<R>>);

impl<R: Request> ServingGuard<R> {
    /// Serving begins on this thread; `stop` is how to wake its loop. `None` if it is to end at once.
    pub(super) fn begin(
        server: Arc<BaseServer<R>>,
        stop: impl Fn() + Send + 'static,
    ) -> io::Result<Option<Self>> {
        Ok(server.serving.begin(stop)?.then(|| ServingGuard(server)))
    }
}

impl<R: Request> Drop for ServingGuard<R> {
    fn drop(&mut self) {
        let serving = &self.0.serving;
        serving.state().running = None;
        serving.is_stopping.store(false, Ordering::Release);
        serving.ended.notify_all();
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("is_stopping", &self.is_stopping()).finish_non_exhaustive()
    }
}
