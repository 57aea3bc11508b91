//! Reaching the loop from other threads.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use std::{fmt, io};

use super::context::Context;
use crate::selector::Token;
use crate::sync::lock;
use crate::sys::EventFd;

/// Work for the loop.
pub(super) type Job<S> = Box<dyn FnOnce(&mut Context<'_, S>) + Send>;

/// Reaches a running [`Reactor`](super::Reactor) from any thread: cheap to clone, and good for as
/// long as anybody keeps it.
///
/// Waking is paid for only when it is needed. While the loop is awake, or when the caller *is* the
/// loop, a wake is a store to memory; of many wakes to a sleeping loop the first alone is a system
/// call.
pub struct ReactorHandle<S = ()> {
    wake_state: Arc<WakeState<S>>,
}

impl<S: 'static> ReactorHandle<S> {
    pub(super) fn new(wake_state: &Arc<WakeState<S>>) -> Self {
        ReactorHandle { wake_state: Arc::clone(wake_state) }
    }

    /// Has `job` run by the loop, in the turn that is under way or the next. The way to register a
    /// source, change an interest or switch the backend from another thread.
    ///
    /// ```
    /// use std::{io, net::TcpListener};
    /// use tripoll::{Context, Interest, Next, Reactor, Source};
    ///
    /// let mut reactor = Reactor::new()?;
    /// let handle = reactor.handle();
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// std::thread::spawn(move || {
    ///     handle.post(move |cx| {
    ///         let accept = |_: &mut Source<TcpListener>, _: &mut Context| Ok(Next::Keep);
    ///         cx.add(listener, Interest::READ, accept).expect("a listener can be watched");
    ///         cx.stop();
    ///     })
    /// });
    /// reactor.run()?;
    /// assert_eq!(reactor.context().len(), 1);
    /// # io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// `BrokenPipe` when the reactor is not_registered. A job that a reactor does not live to run is dropped.
    pub fn post(&self, job: impl FnOnce(&mut Context<'_, S>) + Send + 'static) -> io::Result<()> {
        self.wake_state.jobs().as_mut().ok_or_else(not_registered)?.push(Box::new(job));
        self.wake_state.wake();
        Ok(())
    }

    /// Arms a source again that was [disarmed](super::Next::Disarm): what was wanted of it before is
    /// wanted again. Nothing happens if it is not_registered by then.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` when the reactor is not_registered.
    pub fn arm(&self, token: Token) -> io::Result<()> {
        self.post(move |cx| {
            let _ = cx.arm(token);
        })
    }

    /// Has a source's handler called, see [`Context::notify`]. Nothing happens if it is not_registered by then.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` when the reactor is not_registered.
    pub fn notify(&self, token: Token) -> io::Result<()> {
        self.post(move |cx| {
            let _ = cx.notify(token);
        })
    }

    /// Ends the loop in good order, see [`Context::shutdown`].
    ///
    /// # Errors
    ///
    /// `BrokenPipe` when the reactor is not_registered.
    pub fn shutdown(&self, grace: Duration) -> io::Result<()> {
        self.post(move |cx| cx.shutdown(grace))
    }

    /// Stops the loop: [`Reactor::run`](super::Reactor::run) returns when the turn that is under way
    /// has ended, and a sleeping loop returns at once. Stopping is for good: a `run` that begins
    /// later returns without a turn. It waits for nobody; whoever wants to wait joins the loop's
    /// thread.
    pub fn stop(&self) {
        self.wake_state.stop();
        self.wake_state.wake();
    }

    /// Whether [`stop`](Self::stop) has been called.
    pub fn is_stopped(&self) -> bool {
        self.wake_state.is_stopped()
    }
}

fn not_registered() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the reactor has been dropped")
}

impl<S: 'static> Clone for ReactorHandle<S> {
    fn clone(&self) -> Self {
        ReactorHandle::new(&self.wake_state)
    }
}

impl<S: 'static> fmt::Debug for ReactorHandle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("is_stopped", &self.is_stopped()).finish_non_exhaustive()
    }
}

/// What the loop and its handles share.
///
/// The loop is AWAKE, ASLEEP (or about to be) or NOTIFIED. A caller first leaves its job, then makes
/// the state NOTIFIED; only who finds it ASLEEP rings the waker. The loop goes to sleep only from
/// AWAKE, in one compare-exchange, so that a notice given while it was awake cannot be slept over;
/// and it takes the state back to AWAKE *before* it takes the jobs, so that one left in between is
/// found the next time.
pub(super) struct WakeState<S> {
    state: AtomicU8,
    is_stopped: AtomicBool,
    waker: EventFd,
    /// `None` when the reactor is not_registered.
    jobs: Mutex<Option<Vec<Job<S>>>>,
    wakes: AtomicU64,
    wakes_saved: AtomicU64,
}

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const NOTIFIED: u8 = 2;

impl<S> WakeState<S> {
    pub(super) fn new() -> io::Result<Self> {
        Ok(WakeState {
            state: AtomicU8::new(AWAKE),
            is_stopped: AtomicBool::new(false),
            waker: EventFd::new()?,
            jobs: Mutex::new(Some(Vec::new())),
            wakes: AtomicU64::new(0),
            wakes_saved: AtomicU64::new(0),
        })
    }

    pub(super) fn waker(&self) -> &EventFd {
        &self.waker
    }

    fn jobs(&self) -> MutexGuard<'_, Option<Vec<Job<S>>>> {
        lock(&self.jobs)
    }

    /// Gives notice to the loop.
    fn wake(&self) {
        if self.state.swap(NOTIFIED, Ordering::AcqRel) == ASLEEP {
            self.wakes.fetch_add(1, Ordering::Relaxed);
            self.waker.wake();
        } else {
            self.wakes_saved.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
    }

    #[inline]
    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }

    /// The loop wants to sleep. False if there is a notice to attend to.
    #[inline]
    pub(super) fn prepare_to_sleep(&self) -> bool {
        let state = self.state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire);
        // It sleeps already if it was parked.
        !matches!(state, Err(NOTIFIED))
    }

    /// The loop has woken. True if there is a notice to attend to.
    ///
    /// A notice given between the two steps is overwritten; but whoever gave it found the loop
    /// ASLEEP, and rang the waker, which the next wait will hear.
    #[inline]
    pub(super) fn finish_sleep(&self) -> bool {
        match self.state.load(Ordering::Acquire) {
            ASLEEP => {
                self.state.store(AWAKE, Ordering::Release);
                false
            }
            state => state == NOTIFIED,
        }
    }

    /// Takes the jobs, which begin anew.
    pub(super) fn take_jobs(&self) -> Vec<Job<S>> {
        self.state.swap(AWAKE, Ordering::AcqRel);
        self.jobs().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The reactor is being dropped: no more jobs are taken, and those that wait are dropped.
    pub(super) fn close(&self) {
        let left = self.jobs().take();
        drop(left); // outside the lock: a job may own a handle
    }

    /// How many wakes were system calls, and how many were not.
    pub(super) fn wakes(&self) -> (u64, u64) {
        (self.wakes.load(Ordering::Relaxed), self.wakes_saved.load(Ordering::Relaxed))
    }
}

impl<S> fmt::Debug for WakeState<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakeState").field("is_stopped", &self.is_stopped()).finish_non_exhaustive()
    }
}
