//! Worker threads for work that blocks, which a loop must not do itself.
//!
//! A [`Pool`] has a fixed number of threads and a queue of fixed length, so an overload shows at
//! once. The method decides what happens when the queue is full:
//!
//! | method | when the queue is full |
//! |---|---|
//! | [`submit`](Pool::submit) | **shed**: the job is refused and dropped |
//! | [`submit_or_wait`](Pool::submit_or_wait) | **block** until there is capacity |
//! | [`reserve`](Pool::reserve), before there is a job | **pause**: a waker is woken when there is capacity |
//!
//! A loop pauses: it stops accepting, and connections wait in the backlog. The result of a job
//! returns to the loop by a closure, see [`submit_for`](Pool::submit_for), or to the handler that asked
//! for it, see [`submit_to`](Pool::submit_to):
//!
//! ```
//! use tripoll::pool::Pool;
//! use tripoll::{Context, Reactor};
//!
//! let pool = Pool::new(2, 16)?;
//! let mut reactor = Reactor::builder().build_with(0_u64)?;
//! let add_up = || (1..=1_000_u64).sum::<u64>(); // on a worker
//! pool.submit_for(&reactor.handle(), add_up, |sum, cx: &mut Context<u64>| {
//!     *cx.state = sum.expect("no panic"); // on the loop
//!     cx.stop();
//! })?;
//! reactor.run()?;
//! assert_eq!(*reactor.state(), 500_500);
//! pool.drain(std::time::Duration::from_secs(1)).expect("nothing is left to do");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The select + threads model
//!
//! A loop accepts, and threads serve. [`Listener::serve_in_pool`](crate::net::Listener::serve_in_pool)
//! makes each accepted socket blocking and passes it to a worker. [`WhenFull`] says what happens when
//! the pool is full:
//!
//! ```
//! use std::io::{self, Read, Write};
//! use std::sync::Arc;
//! use tripoll::net::{Listener, Stream};
//! use tripoll::pool::{Pool, WhenFull};
//! use tripoll::Reactor;
//!
//! fn serve(mut client: Stream) -> io::Result<()> {
//!     let mut buffer = [0; 1024];
//!     loop {
//!         let count = client.read(&mut buffer)?; // may block: a worker runs it
//!         if count == 0 {
//!             return Ok(());
//!         }
//!         client.write_all(&buffer[..count].to_ascii_uppercase())?;
//!     }
//! }
//!
//! let pool = Arc::new(Pool::new(8, 64)?);
//! let mut reactor = Reactor::new()?;
//! let listener = Listener::bind("127.0.0.1:0")?;
//! # let tripoll::net::Address::Inet(address) = *listener.local_address() else { unreachable!() };
//! listener.serve_in_pool(&pool, WhenFull::Pause, &mut reactor.context(), serve)?;
//! # let handle = reactor.handle();
//! # let client = std::thread::spawn(move || {
//! #     let mut client = std::net::TcpStream::connect(address).unwrap();
//! #     client.write_all(b"hello").unwrap();
//! #     client.shutdown(std::net::Shutdown::Write).unwrap();
//! #     let mut answer = String::new();
//! #     client.read_to_string(&mut answer).unwrap();
//! #     handle.stop();
//! #     answer
//! # });
//! reactor.run()?;
//! # assert_eq!(client.join().unwrap(), "HELLO");
//! # io::Result::Ok(())
//! ```

mod counters;
mod error;
mod queue;

pub use crate::sync::Panicked;
pub use counters::PoolCounters;
pub use error::{SubmitError, Unfinished};

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};
use std::{fmt, io};

use crate::reactor::{Context, Id, ReactorHandle, Recipient};
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Mutex, MutexGuard, check_threads, lock};
use crate::sys;
use queue::Queue;

/// A fixed number of worker threads with a queue of fixed length.
///
/// A panic ends only its job; the worker continues. Dropping the pool drops the queued jobs, and
/// does not wait for the running ones; [`drain`](Self::drain) does.
///
/// ```
/// use std::sync::mpsc;
/// use std::time::Duration;
/// use tripoll::pool::{Pool, SubmitError};
///
/// let pool = Pool::new(1, 1)?; // one worker, and one job in the queue
/// let (begin, may_begin) = mpsc::channel::<()>();
/// pool.submit(move || drop(may_begin.recv()))?;
/// pool.submit(|| println!("the second job"))?;
/// assert_eq!(pool.submit(|| println!("the third")), Err(SubmitError::Full));
///
/// drop(begin);
/// pool.submit_or_wait(|| println!("the third"))?;
/// pool.drain(Duration::from_secs(10)).expect("all three were done");
/// # std::io::Result::Ok(())
/// ```
#[doc(alias = "thread pool")]
#[doc(alias = "backpressure")]
pub struct Pool {
    queue: Arc<Queue>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl Pool {
    /// Creates a pool of `workers` threads, at least one, and room for `queue` waiting jobs.
    ///
    /// # Errors
    ///
    /// Fails when the system cannot create another thread. `InvalidInput` for more than 4,194,304
    /// workers, the most tasks that Linux has.
    pub fn new(workers: usize, queue: usize) -> io::Result<Self> {
        let workers = workers.max(1);
        check_threads("a pool", workers, "workers")?;
        let pool = Pool {
            queue: Arc::new(Queue::new(workers, queue)),
            workers: Mutex::new(Vec::with_capacity(workers)),
        };
        for number in 0..workers {
            let queue = Arc::clone(&pool.queue);
            let worker = thread::Builder::new().name(format!("worker {number}"));
            // If it fails, dropping `pool` ends the earlier threads.
            let thread = worker.spawn(move || queue.work()).map_err(|error| {
                sys::with_context("a thread of the pool cannot be started", error)
            })?;
            pool.workers().push(thread);
        }
        Ok(pool)
    }

    fn workers(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        lock(&self.workers)
    }

    /// Returns how many jobs it can hold: one for each worker, and the queue.
    pub fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    /// Returns how many jobs it holds now, running and queued.
    pub fn jobs(&self) -> usize {
        self.queue.jobs()
    }

    /// Returns what it is doing, and what it has done so far.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tripoll::pool::Pool;
    ///
    /// let pool = Pool::new(2, 16)?;
    /// pool.submit(|| ())?;
    /// pool.drain(Duration::from_secs(10)).expect("it was done");
    /// assert_eq!(pool.counters().done, 1);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn counters(&self) -> PoolCounters {
        self.queue.counters()
    }

    /// Returns how many jobs have panicked.
    pub fn panics(&self) -> u64 {
        self.queue.counters().panics
    }

    /// Submits `job` to the workers.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] when the queue is full or the pool is being drained. The job is then
    /// dropped, and a connection that it owns is closed.
    pub fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), SubmitError> {
        self.queue.put(Box::new(move |_| job()), false)
    }

    /// Submits `job` to the workers, and blocks until there is capacity for it. On a loop's thread
    /// this blocks the whole loop.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Closed`] when the pool is being drained.
    pub fn submit_or_wait(&self, job: impl FnOnce() + Send + 'static) -> Result<(), SubmitError> {
        self.queue.put(Box::new(move |_| job()), true)
    }

    /// Submits `work` to the workers, and calls `answer` in the loop with its result, or with its
    /// panic. If the reactor has been dropped by then, `answer` is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`submit`](Self::submit). `answer` is then not called.
    #[doc(alias = "run_in_executor")]
    #[doc(alias = "spawn_blocking")]
    pub fn submit_for<S, T>(
        &self,
        handle: &ReactorHandle<S>,
        work: impl FnOnce() -> T + Send + 'static,
        answer: impl FnOnce(Result<T, Panicked>, &mut Context<'_, S>) + Send + 'static,
    ) -> Result<(), SubmitError>
    where
        S: 'static,
        T: Send + 'static,
    {
        let handle = handle.clone();
        let job = move |queue: &Queue| {
            let result = queue.run(work);
            let _ = handle.post(move |cx| answer(result, cx));
        };
        self.queue.put(Box::new(job), false)
    }

    /// Submits `work` to the workers, and tells the handler of a source its result, or its panic: see
    /// [`ReactorHandle::tell`]. If the source has been removed by then, `answer` is dropped. So a
    /// connection that asks for something need not wait for the answer.
    ///
    /// See [answers from a pool](crate::guide::pool_answers) in the guide.
    ///
    /// ```
    /// use std::io::{self, PipeWriter, Write};
    /// use tripoll::pool::Pool;
    /// use tripoll::reactor::Id;
    /// use tripoll::{Context, Handler, Interest, Next, Reactor, Source};
    ///
    /// /// Writes the results that it gets.
    /// struct Results;
    ///
    /// impl Handler<PipeWriter> for Results {
    ///     fn ready(&mut self, _: &mut Source<PipeWriter>, _: &mut Context) -> io::Result<Next> {
    ///         Ok(Next::Done)
    ///     }
    /// }
    ///
    /// let pool = Pool::new(2, 16)?;
    /// let (reader, writer) = io::pipe()?;
    /// let mut reactor = Reactor::new()?;
    /// let mut cx = reactor.context();
    /// let token = cx.add(writer, Interest::NONE, Results)?;
    /// let id: Id<(PipeWriter, Results)> = cx.id(token)?;
    /// let add_up = || (1..=1_000_u64).sum::<u64>(); // on a worker
    /// pool.submit_to(&cx.handle(), id, add_up, |_, pipe, sum, cx| {
    ///     cx.stop();
    ///     write!(pipe, "{}", sum.expect("no panic")) // on the loop
    /// })?;
    /// reactor.run()?;
    /// drop(reactor);
    /// assert_eq!(io::read_to_string(reader)?, "500500");
    /// # io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`submit`](Self::submit). `answer` is then not called.
    #[doc(alias = "run_in_executor")]
    #[doc(alias = "spawn_blocking")]
    pub fn submit_to<S, R, T>(
        &self,
        handle: &ReactorHandle<S>,
        id: Id<R>,
        work: impl FnOnce() -> T + Send + 'static,
        answer: impl FnOnce(
            &mut R::Handler,
            &mut R::Io<'_>,
            Result<T, Panicked>,
            &mut Context<'_, S>,
        ) -> io::Result<()>
        + Send
        + 'static,
    ) -> Result<(), SubmitError>
    where
        S: 'static,
        R: Recipient<S>,
        T: Send + 'static,
    {
        let handle = handle.clone();
        let job = move |queue: &Queue| {
            let result = queue.run(work);
            let _ = handle.tell(id, move |handler, io, cx| answer(handler, io, result, cx));
        };
        self.queue.put(Box::new(job), false)
    }

    /// Reserves capacity for one job. If there is none, `waker` is woken once, after capacity
    /// became free. The caller must then try again, because all waiters are woken. A pool that is
    /// being drained gives reservations too, and refuses their jobs.
    ///
    /// ```
    /// use std::future::poll_fn;
    /// use std::task::Poll;
    /// use tripoll::pool::{Pool, SubmitError};
    ///
    /// /// Submits a job from a task of any async runtime, without blocking its thread.
    /// async fn submit(pool: &Pool, job: fn()) -> Result<(), SubmitError> {
    ///     let reservation = poll_fn(|cx| match pool.reserve(cx.waker()) {
    ///         Some(reservation) => Poll::Ready(reservation),
    ///         None => Poll::Pending,
    ///     });
    ///     reservation.await.submit(job)
    /// }
    ///
    /// # use std::task::Context;
    /// # let pool = Pool::new(1, 1)?;
    /// # let task = std::pin::pin!(submit(&pool, || println!("a job")));
    /// # let mut cx = Context::from_waker(std::task::Waker::noop());
    /// # assert_eq!(task.poll(&mut cx), Poll::Ready(Ok(())));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn reserve(&self, waker: &Waker) -> Option<Reservation> {
        self.queue.reserve(waker).then(|| Reservation { queue: Arc::clone(&self.queue) })
    }

    /// As [`reserve`](Self::reserve), without a waker.
    pub fn try_reserve(&self) -> Option<Reservation> {
        self.reserve(Waker::noop())
    }

    /// Refuses further jobs, and waits until all jobs are done, for `grace` at most. Afterwards the
    /// queued jobs are dropped; running jobs continue.
    ///
    /// A worker that calls this does not wait for itself. When all workers call it, the queued jobs
    /// are dropped.
    ///
    /// # Errors
    ///
    /// [`Unfinished`] when jobs were not done in time.
    pub fn drain(&self, grace: Duration) -> Result<(), Unfinished> {
        self.close(Instant::now().checked_add(grace))
    }

    /// Drains until `deadline`; `None` is no deadline.
    pub(crate) fn close(&self, deadline: Option<Instant>) -> Result<(), Unfinished> {
        let me = thread::current().id();
        let is_worker = self.workers().iter().any(|worker| worker.thread().id() == me);
        let unfinished = self.queue.drain(deadline, is_worker);
        if unfinished.working == 0 && !is_worker {
            for worker in self.workers().drain(..) {
                let _ = worker.join(); // the panics of its jobs were caught
            }
        }
        if unfinished.dropped + unfinished.working == 0 { Ok(()) } else { Err(unfinished) }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("capacity", &self.capacity())
            .field("jobs", &self.jobs())
            .finish_non_exhaustive()
    }
}

/// Capacity of a [`Pool`] that is reserved for one job. Dropping it releases the capacity.
pub struct Reservation {
    queue: Arc<Queue>,
}

impl Reservation {
    /// Submits `job` to the workers.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Closed`] when the pool is being drained; never [`SubmitError::Full`].
    pub fn submit(self, job: impl FnOnce() + Send + 'static) -> Result<(), SubmitError> {
        self.queue.fill(Box::new(move |_| job()))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.queue.release();
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reservation")
    }
}

/// What an accepting loop does when its [`Pool`] is full. Default: `Pause`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// Pauses accepting until there is capacity. Connections wait in the backlog.
    #[default]
    Pause,
    /// Accepts and closes the connection, so that its client is refused at once.
    Shed,
    /// Accepts, and blocks the whole loop until there is capacity.
    Block,
}
