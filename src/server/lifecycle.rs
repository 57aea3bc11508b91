//! The lifecycle of a server: serving, stopping, closing.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};
use std::{fmt, io};

use crate::selector::{Deadline, Token};
use crate::sync::{Counter, lock, wait_until};

/// The state that `serve_forever` and `shutdown` share.
///
/// ```text
///   ┌─────────┐      shutdown      ┌─────────────┐
///   │ NOT YET │ ─────────────────► │ CANCELLED  │
///   └─────────┘                    └─────────────┘
///        │ serve_forever                  │ serve_forever returns at once
///        ▼                                ▼
///   ┌─────────┐    the loop ends   ┌─────────────┐
///   │ SERVING │ ─────────────────► │   SERVED    │  shutdown: nothing to do
///   └─────────┘ ◄───────────────── └─────────────┘
///                  serve_forever
/// ```
///
/// `server_close` leads from each of these states to CLOSED, in which serving cannot begin. A *run*
/// is the time of one serving.
pub(super) struct Lifecycle {
    limits: Limits,
    state: Mutex<State>,
    ended: Condvar,
    /// Whether this is the copy in a child process, where nothing serves.
    is_child: AtomicBool,
}

#[derive(Default)]
struct State {
    has_served: bool,
    is_cancelled: bool,
    is_closed: bool,
    running: Option<Active>,
    /// Number of runs that have begun.
    count: u64,
    /// How long handlers may take to end after the server was closed. `None` is no limit.
    grace: Option<Duration>,
    /// When that time is over, once the server was closed.
    grace_until: Option<Deadline>,
}

/// The current run.
struct Active {
    thread: ThreadId,
    run_state: Arc<RunState>,
    /// Wakes the loop.
    stop: Box<dyn Fn() + Send>,
    /// When the output of clients in the loop must be flushed, once the run must stop.
    until: Option<Deadline>,
}

/// The time limits of a server's clients.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    pub(super) read: Option<Duration>,
    pub(super) idle: Option<Duration>,
}

impl Limits {
    pub(super) fn is_any(self) -> bool {
        self.read.or(self.idle).is_some()
    }
}

/// How long a shutdown waits for the output of clients in the loop.
const GRACE: Duration = Duration::from_secs(1);

/// The state that a loop checks while it serves. Each run has its own, so that a request to stop one
/// run does not reach the next.
pub(super) struct RunState {
    pub(super) limits: Limits,
    is_stopping: AtomicBool,
    is_exiting: AtomicBool,
    /// Number of requests that the loop tried to accept.
    tried: Counter,
    /// Number of clients in the loop that are closing, with output to flush.
    pending_flushes: AtomicUsize,
    /// Notifies a source in the loop.
    notify: Box<dyn Fn(Token) + Send + Sync>,
}

impl fmt::Debug for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunState")
            .field("is_stopping", &self.is_stopping())
            .field("is_exiting", &self.is_exiting())
            .finish_non_exhaustive()
    }
}

impl RunState {
    fn new(limits: Limits, notify: impl Fn(Token) + Send + Sync + 'static) -> Self {
        RunState {
            limits,
            is_stopping: AtomicBool::new(false),
            is_exiting: AtomicBool::new(false),
            tried: Counter::new(),
            pending_flushes: AtomicUsize::new(0),
            notify: Box::new(notify),
        }
    }

    /// Notifies a source in the loop.
    pub(super) fn notify(&self, token: Token) {
        (self.notify)(token);
    }

    /// Counts one more client to which data is still to be sent.
    pub(super) fn begin_flush(&self) {
        self.pending_flushes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end_flush(&self) {
        self.pending_flushes.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn has_pending_flushes(&self) -> bool {
        self.pending_flushes.load(Ordering::Relaxed) > 0
    }

    /// Returns whether the loop must accept no more requests.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Returns whether the run ends because a handler returned `Exit`.
    pub(super) fn is_exiting(&self) -> bool {
        self.is_exiting.load(Ordering::Acquire)
    }

    /// Counts a request that was accepted, or failed to be.
    pub(super) fn note_request(&self) {
        self.tried.add_one();
    }

    /// Returns the number of those requests.
    pub(super) fn tried(&self) -> u64 {
        self.tried.get()
    }
}

/// Identifies a run, so that a caller of `shutdown` waits for the end of that run and no other.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunId(u64);

impl Lifecycle {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Lifecycle {
            limits,
            state: Mutex::default(),
            ended: Condvar::new(),
            is_child: AtomicBool::new(false),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Begins to serve on this thread. `stop` wakes its loop, and `notify` notifies a source in it.
    /// Returns `None` if serving must end at once.
    pub(super) fn begin(
        self: &Arc<Self>,
        stop: impl Fn() + Send + 'static,
        notify: impl Fn(Token) + Send + Sync + 'static,
    ) -> io::Result<Option<ServeGuard>> {
        let mut state = self.state();
        if state.running.is_some() {
            let message = "the server is serving already";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
        }
        state.has_served = true;
        if std::mem::take(&mut state.is_cancelled) {
            return Ok(None);
        }
        if state.is_closed {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "the server has been closed"));
        }
        state.count += 1;
        let run_state = Arc::new(RunState::new(self.limits, notify));
        state.running = Some(Active {
            thread: thread::current().id(),
            run_state: Arc::clone(&run_state),
            stop: Box::new(stop),
            until: None,
        });
        Ok(Some(ServeGuard { lifecycle: Arc::clone(self), run_state }))
    }

    pub(super) fn enter_child(&self) {
        self.is_child.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_child(&self) -> bool {
        self.is_child.load(Ordering::Relaxed)
    }

    /// Requests the end of the current run. Before the first run it cancels that one. Between runs it
    /// does nothing.
    pub(super) fn request_stop(&self) -> RunId {
        self.stop(|_| ())
    }

    /// As [`request_stop`](Self::request_stop), and prevents further runs.
    pub(super) fn close(&self) -> RunId {
        self.stop(|state| state.is_closed = true)
    }

    /// As [`close`](Self::close), with a deadline for the output of clients in the loop.
    pub(super) fn close_by(&self, until: Deadline) {
        self.stop(|state| {
            state.is_closed = true;
            state.grace_until = Some(until);
            if let Some(running) = &mut state.running {
                running.until = Some(until);
            }
        });
    }

    /// Returns when the output of clients in the loop must be flushed.
    pub(super) fn until(&self) -> Deadline {
        let state = self.state();
        state.running.as_ref().and_then(|running| running.until).unwrap_or(Deadline::Now)
    }

    /// Ends the current run, because a handler returned `Exit`.
    pub(super) fn exit(&self) {
        self.stop(|state| {
            if let Some(running) = &state.running {
                running.run_state.is_exiting.store(true, Ordering::Release);
            }
        });
    }

    fn stop(&self, also: impl FnOnce(&mut State)) -> RunId {
        if self.is_child() {
            return RunId(0); // a child has no loop, and the parent's is out of its reach
        }
        let mut state = self.state();
        also(&mut state);
        if let Some(running) = &mut state.running {
            running.until.get_or_insert_with(|| Deadline::after(GRACE));
            running.run_state.is_stopping.store(true, Ordering::Release);
            (running.stop)();
        } else if !state.has_served {
            state.is_cancelled = true;
        }
        RunId(state.count)
    }

    /// Waits until that run has ended. Returns false if it has not by the deadline.
    pub(super) fn wait(&self, RunId(count): RunId, deadline: Option<Instant>) -> bool {
        let mut state = self.state();
        while state.running.is_some() && state.count == count {
            let is_late;
            (state, is_late) = wait_until(&self.ended, state, deadline);
            if is_late {
                return false;
            }
        }
        true
    }

    /// Returns whether this thread is the one that serves.
    pub(super) fn is_here(&self) -> bool {
        let here = thread::current().id();
        self.state().running.as_ref().is_some_and(|running| running.thread == here)
    }

    /// Returns the state of the current run.
    pub(super) fn run_state(&self) -> Option<Arc<RunState>> {
        self.state().running.as_ref().map(|running| Arc::clone(&running.run_state))
    }

    /// Returns whether the current run must end.
    pub(super) fn is_stopping(&self) -> bool {
        self.run_state().is_some_and(|run_state| run_state.is_stopping())
    }

    pub(super) fn is_closed(&self) -> bool {
        !self.is_child() && self.state().is_closed
    }

    /// Returns whether the server was closed and its handlers must have ended.
    pub(super) fn is_grace_over(&self) -> bool {
        let until = if self.is_child() { None } else { self.state().grace_until };
        until.is_some_and(|until| until.remaining() == Some(Duration::ZERO))
    }

    pub(super) fn set_grace(&self, grace: Option<Duration>) {
        self.state().grace = grace;
    }

    /// Returns how long handlers may take to end after a close. `None` is no limit.
    pub(super) fn grace(&self) -> Option<Duration> {
        self.state().grace
    }
}

/// Ends the run when it is dropped.
#[derive(Debug)]
pub(super) struct ServeGuard {
    lifecycle: Arc<Lifecycle>,
    pub(super) run_state: Arc<RunState>,
}

impl Drop for ServeGuard {
    fn drop(&mut self) {
        let ended = self.lifecycle.state().running.take();
        self.lifecycle.ended.notify_all();
        drop(ended); // after the lock is released: it holds a handle to a loop
    }
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle").field("is_running", &self.state().running.is_some()).finish()
    }
}
