//! The handle: access to a running reactor from other threads, and the wake protocol.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use std::{fmt, io};

use super::context::Context;
use super::id::{Id, Recipient};
use crate::selector::Token;
use crate::sync::{AtomicBool, AtomicU8, Counter, Mutex, MutexGuard, lock};
use crate::sys::EventFd;

/// A closure that the loop runs.
pub(super) type Job<S> = Box<dyn FnOnce(&mut Context<'_, S>) + Send>;

/// Gives access to a running [`Reactor`](super::Reactor) from any thread. It is cheap to clone, and
/// may outlive the reactor.
///
/// A wake costs a system call only when it is needed. While the loop is awake, or when the caller
/// *is* the loop, a wake is one atomic operation, or none if another wake is on its way. Of several wakes
/// to a sleeping loop only the first is a system call.
///
/// ```
/// use std::thread;
/// use tripoll::Reactor;
///
/// let mut reactor = Reactor::builder().build_with(Vec::new())?;
/// let handle = reactor.handle();
/// let other = thread::spawn(move || {
///     handle.post(|cx| {
///         cx.state.push("from a thread"); // runs in the loop
///         cx.stop();
///     })?;
///     std::io::Result::Ok(handle)
/// });
/// reactor.run()?;
/// let handle = other.join().expect("no panic")?;
/// assert_eq!(*reactor.state(), ["from a thread"]);
/// drop(reactor);
/// assert!(handle.post(|_| ()).is_err()); // there is no loop any more
/// # std::io::Result::Ok(())
/// ```
pub struct ReactorHandle<S = ()> {
    wake_state: Arc<WakeState<S>>,
}

impl<S: 'static> ReactorHandle<S> {
    pub(super) fn new(wake_state: &Arc<WakeState<S>>) -> Self {
        ReactorHandle { wake_state: Arc::clone(wake_state) }
    }

    /// Returns a handle that does not keep the reactor's descriptors open.
    pub(crate) fn downgrade(&self) -> WeakHandle<S> {
        WeakHandle { wake_state: Arc::downgrade(&self.wake_state) }
    }

    /// Posts a closure to the loop, which runs it in the current turn or the next one. It is the way
    /// to add a source, change an interest or switch the backend from another thread.
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
    /// `BrokenPipe` when the reactor has been dropped. A closure that it did not run is dropped with
    /// it.
    #[doc(alias = "call_soon_threadsafe")]
    #[doc(alias = "wakeup")]
    pub fn post(&self, job: impl FnOnce(&mut Context<'_, S>) + Send + 'static) -> io::Result<()> {
        self.wake_state.post(Box::new(job))
    }

    /// Arms a source again that was [disarmed](super::Next::Disarm). Does nothing if the source was
    /// removed.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` when the reactor has been dropped.
    pub fn arm(&self, token: Token) -> io::Result<()> {
        self.post(move |cx| {
            let _ = cx.arm(token);
        })
    }

    /// Notifies a source: see [`Context::notify`]. Does nothing if the source was removed.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` when the reactor has been dropped.
    pub fn notify(&self, token: Token) -> io::Result<()> {
        self.post(move |cx| {
            let _ = cx.notify(token);
        })
    }

    /// Tells the handler of a source something: see [`Context::tell`]. If the source was removed, the
    /// message is dropped.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` when the reactor has been dropped.
    pub fn tell<R: Recipient<S>>(
        &self,
        id: Id<R>,
        message: impl FnOnce(&mut R::Handler, &mut R::Io<'_>, &mut Context<'_, S>) -> io::Result<()>
        + Send
        + 'static,
    ) -> io::Result<()> {
        self.post(move |cx| {
            if let Err(error) = cx.tell(id, message) {
                log::debug!("a message is dropped: {error}");
            }
        })
    }

    /// Shuts the reactor down gracefully: see [`Context::shutdown`].
    ///
    /// # Errors
    ///
    /// `BrokenPipe` when the reactor has been dropped.
    pub fn shutdown(&self, grace: Duration) -> io::Result<()> {
        self.post(move |cx| cx.shutdown(grace))
    }

    /// Stops the loop: [`Reactor::run`](super::Reactor::run) returns at the end of the current turn.
    /// A sleeping loop wakes and returns at once.
    ///
    /// A stop is permanent: a later `run` returns without a turn. So a stop before `run` begins leaves
    /// posted jobs undone. To stop after them, [post](Self::post) a job that calls [`Context::stop`]. This
    /// method does not wait for the loop; to wait, join its thread.
    #[doc(alias = "signal")]
    pub fn stop(&self) {
        self.wake_state.stop();
        self.wake_state.wake();
    }

    /// Returns whether [`stop`](Self::stop) has been called.
    pub fn is_stopped(&self) -> bool {
        self.wake_state.is_stopped()
    }
}

/// A handle that does not keep the reactor's descriptors open, for a waker that may be registered long
/// after the reactor was dropped.
pub(crate) struct WeakHandle<S> {
    wake_state: Weak<WakeState<S>>,
}

impl<S: 'static> WeakHandle<S> {
    /// Returns the handle, unless the reactor has been dropped.
    pub(crate) fn upgrade(&self) -> Option<ReactorHandle<S>> {
        Some(ReactorHandle { wake_state: self.wake_state.upgrade()? })
    }
}

fn reactor_dropped() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the reactor has been dropped")
}

impl<S: 'static> Clone for ReactorHandle<S> {
    fn clone(&self) -> Self {
        ReactorHandle::new(&self.wake_state)
    }
}

impl<S: 'static> fmt::Debug for ReactorHandle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReactorHandle")
            .field("is_stopped", &self.is_stopped())
            .finish_non_exhaustive()
    }
}

/// What the loop and its handles share.
///
/// The state is AWAKE, ASLEEP (or about to be) or NOTIFIED. A caller first stores its job, then sets
/// NOTIFIED. Only a caller that replaces ASLEEP writes to the waker. The loop goes to sleep only from
/// AWAKE, in one compare-exchange: a job posted between its last check and the wait still wakes it.
/// The loop sets AWAKE *before* it takes the jobs, so that a job stored in between is found in the
/// next turn.
///
/// A caller that finds NOTIFIED while it holds the lock of the inbox has nothing to wake: the loop takes
/// the jobs later. If it had taken them before, it would also have set AWAKE before, and the caller would
/// see that.
pub(super) struct WakeState<S> {
    state: AtomicU8,
    is_stopped: AtomicBool,
    waker: EventFd,
    inbox: Mutex<Inbox<S>>,
    wakes: Counter,
    /// Those that are not counted in the inbox.
    wakes_saved: Counter,
}

/// What was posted.
struct Inbox<S> {
    /// `None` after the reactor was dropped.
    jobs: Option<VecDeque<Job<S>>>,
    /// How many were posted while a wake was on its way.
    wakes_saved: u64,
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
            inbox: Mutex::new(Inbox { jobs: Some(VecDeque::new()), wakes_saved: 0 }),
            wakes: Counter::new(),
            wakes_saved: Counter::new(),
        })
    }

    pub(super) fn waker(&self) -> &EventFd {
        &self.waker
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox<S>> {
        lock(&self.inbox)
    }

    /// Stores a job, and wakes the loop if no other wake is on its way.
    fn post(&self, job: Job<S>) -> io::Result<()> {
        let mut inbox = self.inbox();
        let Some(jobs) = &mut inbox.jobs else {
            drop(inbox); // before the job: it may own a handle
            return Err(reactor_dropped());
        };
        jobs.push_back(job);
        if self.state.load(Ordering::Acquire) == NOTIFIED {
            inbox.wakes_saved += 1;
        } else {
            drop(inbox);
            self.wake();
        }
        Ok(())
    }

    /// Wakes the loop.
    fn wake(&self) {
        if self.state.swap(NOTIFIED, Ordering::AcqRel) == ASLEEP {
            self.wakes.add_one();
            self.waker.wake();
        } else {
            self.wakes_saved.add_one();
        }
    }

    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
    }

    #[inline]
    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }

    /// Prepares the loop to sleep. Returns false if there is a wake to handle.
    #[inline]
    pub(super) fn prepare_to_sleep(&self) -> bool {
        let state = self.state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire);
        // ASLEEP already, if another loop polls this one.
        state.unwrap_or_else(|state| state) != NOTIFIED
    }

    /// Ends the sleep of the loop. Returns true if there is a wake to handle.
    ///
    /// A wake between the load and the store is overwritten. But its caller found the state ASLEEP,
    /// and wrote to the waker, which the next wait reports.
    #[inline]
    pub(super) fn finish_sleep(&self) -> bool {
        let state = self.state.load(Ordering::Acquire);
        if state == ASLEEP {
            self.state.store(AWAKE, Ordering::Release);
        }
        state == NOTIFIED
    }

    /// Moves the posted jobs into `jobs`, whose memory is used for the next ones.
    pub(super) fn take_jobs(&self, jobs: &mut VecDeque<Job<S>>) {
        self.state.swap(AWAKE, Ordering::AcqRel);
        if let Some(posted) = &mut self.inbox().jobs {
            match jobs.is_empty() {
                true => std::mem::swap(jobs, posted),
                false => jobs.append(posted),
            }
        }
    }

    /// Ends the sharing of the waker with a parent process. What was posted is found by the next turn.
    pub(super) fn renew(&self) -> io::Result<()> {
        self.waker.renew()?;
        self.state.swap(NOTIFIED, Ordering::AcqRel);
        Ok(())
    }

    /// Refuses further jobs, and drops the posted ones: the reactor is being dropped.
    pub(super) fn close(&self) {
        let left = self.inbox().jobs.take();
        drop(left); // after the lock is released: a job may own a handle
    }

    /// Returns the number of wakes that were system calls, and of those that were not.
    pub(super) fn wakes(&self) -> (u64, u64) {
        (self.wakes.get(), self.inbox().wakes_saved + self.wakes_saved.get())
    }
}

impl<S> fmt::Debug for WakeState<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakeState").field("is_stopped", &self.is_stopped()).finish_non_exhaustive()
    }
}
