//! Worker threads for work that blocks: what a loop must not do itself.
//!
//! A [`Pool`] has a fixed number of threads and a queue of fixed length, so that a flood of work is
//! somebody's problem at once and not everybody's later. What is to happen when the queue is full
//! is said by the verb:
//!
//! | verb | when the queue is full |
//! |---|---|
//! | [`submit`](Pool::submit) | **shed**: the job is given back |
//! | [`submit_or_wait`](Pool::submit_or_wait) | **block** until there is room |
//! | [`reserve`](Pool::reserve), before there is a job | **pause**: the pool calls when there is room |
//!
//! A loop pauses: it stops accepting, and who is not accepted waits in the kernel. What comes of a
//! job goes back to the loop as a closure, [`submit_for`](Pool::submit_for):
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
//! A loop accepts, a thread talks. [`Listener::serve_in_pool`](crate::net::Listener::serve_in_pool)
//! hands each accepted socket, made blocking, to a worker, and does with a full pool what
//! [`WhenFull`] says:
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
//!         let count = client.read(&mut buffer)?; // blocks, in a thread of its own
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

mod queue;

pub use crate::sync::Panicked;

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fmt, io};

use crate::reactor::{Context, ReactorHandle};
use crate::sync::{catch_panic, lock};
use queue::Queue;

/// A fixed number of worker threads with a queue of fixed length.
///
/// A job that panics ends alone; its worker goes on. Dropped, the pool forgets the jobs that wait,
/// and waits for nobody: whoever wants to wait [drains](Self::drain) it.
pub struct Pool {
    queue: Arc<Queue>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl Pool {
    /// A pool of so many workers, at least one, for whom so many jobs may wait.
    ///
    /// # Errors
    ///
    /// When the system has no more threads to give.
    pub fn new(workers: usize, queue: usize) -> io::Result<Self> {
        let workers = workers.max(1);
        let pool = Pool {
            queue: Arc::new(Queue::new(workers, queue)),
            workers: Mutex::new(Vec::with_capacity(workers)),
        };
        for number in 0..workers {
            let queue = Arc::clone(&pool.queue);
            let worker = thread::Builder::new().name(format!("worker {number}"));
            let thread = worker.spawn(move || queue.work())?; // those before are stopped by the drop
            pool.workers().push(thread);
        }
        Ok(pool)
    }

    fn workers(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        lock(&self.workers)
    }

    /// How many jobs it can have at once, working and waiting.
    pub fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    /// How many it has now, working and waiting.
    pub fn jobs(&self) -> usize {
        self.queue.jobs()
    }

    /// How many jobs have panicked.
    pub fn panics(&self) -> u64 {
        self.queue.panics()
    }

    /// Has `job` done by a worker.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] when the queue is full or the pool is being drained. The job is dropped: what it
    /// owns, a connection say, is closed.
    pub fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), SubmitError> {
        self.queue.put(Box::new(job), false)
    }

    /// Has `job` done by a worker, and waits until there is room for it: in a loop everybody waits.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] when the pool is being drained.
    pub fn submit_or_wait(&self, job: impl FnOnce() + Send + 'static) -> Result<(), SubmitError> {
        self.queue.put(Box::new(job), true)
    }

    /// Has `work` done by a worker, and `answer` called by the loop with what came of it. If the
    /// loop is gone by then, so is the answer.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit); the answer is then not called.
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
        let queue = Arc::clone(&self.queue);
        self.submit(move || {
            let result = catch_panic(work);
            if let Err(panic) = &result {
                queue.note_panic(panic);
            }
            let _ = handle.post(move |cx| answer(result, cx));
        })
    }

    /// Reserves capacity for one job. If there is none, `waker` is woken after capacity became free,
    /// and the caller must try again. A pool that is being drained always has capacity, and then
    /// refuses the job, so that no caller waits for it.
    pub fn reserve(&self, waker: &Waker) -> Option<Reservation> {
        self.queue.reserve(waker).then(|| Reservation { queue: Arc::clone(&self.queue) })
    }

    /// As [`reserve`](Self::reserve), without a waker.
    pub fn try_reserve(&self) -> Option<Reservation> {
        self.reserve(Waker::noop())
    }

    /// Takes no more jobs, and waits until those that it has are done, for `grace` at most. After
    /// that, jobs that still wait are dropped, and those that are being done are left to end by
    /// themselves.
    ///
    /// A worker that calls it does not wait for itself; when every worker does, what waits is dropped.
    ///
    /// # Errors
    ///
    /// [`Unfinished`] says how many were not done in time.
    pub fn drain(&self, grace: Duration) -> Result<(), Unfinished> {
        self.close(Instant::now().checked_add(grace))
    }

    /// As [`drain`](Self::drain), until `deadline`, or for as long as it takes.
    pub(crate) fn close(&self, deadline: Option<Instant>) -> Result<(), Unfinished> {
        let me = thread::current().id();
        let is_worker = self.workers().iter().any(|worker| worker.thread().id() == me);
        let unfinished = self.queue.drain(deadline, is_worker);
        if unfinished.working == 0 && !is_worker {
            for worker in self.workers().drain(..) {
                let _ = worker.join(); // its panics were caught where they happened
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

/// A place in a [`Pool`] that is kept for one job. Dropped, it is somebody else's.
pub struct Reservation {
    queue: Arc<Queue>,
}

impl Reservation {
    /// Has `job` done by a worker.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Closed`] when the pool is being drained; never [`SubmitError::Full`].
    pub fn submit(self, job: impl FnOnce() + Send + 'static) -> Result<(), SubmitError> {
        self.queue.fill(Box::new(job))
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

/// What a loop that accepts does when its [`Pool`] is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// Accepts no more until there is room: clients wait in the kernel's queue. The default.
    #[default]
    Pause,
    /// Accepts, and closes: clients learn at once.
    Shed,
    /// Waits, and the whole loop with it.
    Block,
}

/// A job that a [`Pool`] did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubmitError {
    /// As many wait as may wait.
    Full,
    /// The pool takes no more jobs.
    Closed,
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SubmitError::Full => "the pool's queue is full",
            SubmitError::Closed => "the pool takes no more jobs",
        })
    }
}

impl std::error::Error for SubmitError {}

impl From<SubmitError> for io::Error {
    fn from(refused: SubmitError) -> Self {
        io::Error::new(io::ErrorKind::ResourceBusy, refused)
    }
}

/// What a [`Pool`] had not done when its time was over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// Jobs that waited still. They were dropped.
    pub dropped: usize,
    /// Jobs that were being done. They still are.
    pub working: usize,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unfinished { dropped, working } = self;
        write!(f, "{dropped} jobs were dropped, and {working} are still being done")
    }
}

impl std::error::Error for Unfinished {}
