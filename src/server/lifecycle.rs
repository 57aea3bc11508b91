//! Whether the server serves, and how it is asked to stop.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};
use std::{fmt, io};

use crate::selector::{Deadline, Token};
use crate::sync::{lock, wait_until};

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
///
/// From each of them `server_close` leads to CLOSED, where no serving begins any more.
pub(super) struct Lifecycle {
    state: Mutex<State>,
    ended: Condvar,
    /// Whether this is a child's copy: here nobody serves.
    is_child: AtomicBool,
}

#[derive(Default)]
struct State {
    has_served: bool,
    is_cancelled: bool,
    is_closed: bool,
    running: Option<Active>,
    /// How many servings have begun.
    count: u64,
    /// How long those who still work may take to end, once the server is being closed.
    grace: Option<Duration>,
}

/// The serving that is under way.
struct Active {
    thread: ThreadId,
    run_state: Arc<RunState>,
    /// Wakes the loop.
    stop: Box<dyn Fn() + Send>,
    /// By when clients in the loop must have taken what they are owed, once it is to stop.
    until: Option<Deadline>,
}

/// How long they have if nobody says otherwise.
const GRACE: Duration = Duration::from_secs(1);

/// What one serving shares with its loop and with the clients in the loop. Each serving has its own,
/// so that a request to stop one does not stop the next.
pub(super) struct RunState {
    is_stopping: AtomicBool,
    is_exiting: AtomicBool,
    /// How many requests were tried.
    tried: AtomicU64,
    /// Number of clients in the loop whose conversation is over, and whose output is not yet written.
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
    fn new(notify: impl Fn(Token) + Send + Sync + 'static) -> Self {
        RunState {
            is_stopping: AtomicBool::new(false),
            is_exiting: AtomicBool::new(false),
            tried: AtomicU64::new(0),
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

    /// Whether the loop is to take no more requests.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Whether it ends because a handler has said `Exit`.
    pub(super) fn is_exiting(&self) -> bool {
        self.is_exiting.load(Ordering::Acquire)
    }

    /// One more request is taken, or has failed to be.
    pub(super) fn note_request(&self) {
        self.tried.fetch_add(1, Ordering::AcqRel);
    }

    /// How many that were.
    pub(super) fn tried(&self) -> u64 {
        self.tried.load(Ordering::Acquire)
    }
}

/// Which serving was asked to stop: whoever waits, waits for that one's end and no other's.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunId(u64);

impl Lifecycle {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Lifecycle {
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
        let run_state = Arc::new(RunState::new(notify));
        state.running = Some(Active {
            thread: thread::current().id(),
            run_state: Arc::clone(&run_state),
            stop: Box::new(stop),
            until: None,
        });
        Ok(Some(ServeGuard { serving: Arc::clone(self), run_state }))
    }

    pub(super) fn enter_child(&self) {
        self.is_child.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_child(&self) -> bool {
        self.is_child.load(Ordering::Relaxed)
    }

    /// Asks the loop to end. Before the first serving that is remembered, after it is nothing.
    pub(super) fn request_stop(&self) -> RunId {
        self.stop(|_| ())
    }

    /// As [`request_stop`](Self::request_stop), and no other serving begins.
    pub(super) fn close(&self) -> RunId {
        self.stop(|state| state.is_closed = true)
    }

    /// As [`close`](Self::close), and clients in the loop have until then.
    pub(super) fn close_by(&self, until: Deadline) {
        self.stop(|state| {
            state.is_closed = true;
            if let Some(running) = &mut state.running {
                running.until = Some(until);
            }
        });
    }

    /// By when clients in the loop must have taken what they are owed.
    pub(super) fn until(&self) -> Deadline {
        let state = self.state();
        state.running.as_ref().and_then(|running| running.until).unwrap_or(Deadline::Now)
    }

    /// A handler has said `Exit`: the loop ends with that.
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

    /// Waits until that serving has ended. False if it has not by the deadline.
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

    /// Whether this thread is the one that serves.
    pub(super) fn is_here(&self) -> bool {
        let here = thread::current().id();
        self.state().running.as_ref().is_some_and(|running| running.thread == here)
    }

    /// What the loop looks at that serves now.
    pub(super) fn run_state(&self) -> Option<Arc<RunState>> {
        self.state().running.as_ref().map(|running| Arc::clone(&running.run_state))
    }

    /// Whether a serving is under way that is to end.
    pub(super) fn is_stopping(&self) -> bool {
        self.run_state().is_some_and(|run_state| run_state.is_stopping())
    }

    pub(super) fn set_grace(&self, grace: Option<Duration>) {
        self.state().grace = grace;
    }

    /// How long those who still work may take to end; `None` is for as long as it takes.
    pub(super) fn grace(&self) -> Option<Duration> {
        self.state().grace
    }
}

/// A serving, under way until this is dropped.
#[derive(Debug)]
pub(super) struct ServeGuard {
    serving: Arc<Lifecycle>,
    pub(super) run_state: Arc<RunState>,
}

impl Drop for ServeGuard {
    fn drop(&mut self) {
        let ended = self.serving.state().running.take();
        self.serving.ended.notify_all();
        drop(ended); // outside the lock: it holds a handle to somebody's loop
    }
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("is_running", &self.state().running.is_some()).finish()
    }
}
