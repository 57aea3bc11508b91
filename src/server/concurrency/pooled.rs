//! A fixed number of threads for all requests.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use crate::net::Address;
use crate::pool::{Pool, Reservation, SubmitError, WhenFull};
use crate::server::base::BaseServer;
use crate::server::concurrency::{Concurrency, Runner, Slot, Supports};
use crate::server::handler::{Blocking, HandlerResult};
use crate::server::transport::Request;
use crate::sync::lock;

/// A fixed number of threads for all requests. Python has no such mix-in; its users write it.
///
/// ```
/// use tripoll::server::{Exchange, Pooled, PooledTcpServer, PythonSocket};
///
/// let server = PooledTcpServer::builder("127.0.0.1:0")
///     .concurrency(Pooled::default().workers(4).queue(100))
///     .build_fn(|exchange: &mut Exchange| Ok(exchange.request.sendall(b"hello")?))?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pooled {
    /// Number of threads. Default: 8.
    pub workers: usize,
    /// How many requests can wait for a thread. Default: 64.
    pub queue: usize,
    /// What happens when the queue is full. Default: [`WhenFull::Pause`], no connection is accepted.
    /// A request that is shed, or still blocked when the loop must end, is reported to
    /// `handle_error`.
    pub when_full: WhenFull,
    /// Whether `server_close` waits for the requests. Default: true.
    pub block_on_close: bool,
}

/// Setters of the fields, by value.
impl Pooled {
    /// Sets [`workers`](#structfield.workers).
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets [`queue`](#structfield.queue).
    #[must_use]
    pub fn queue(mut self, queue: usize) -> Self {
        self.queue = queue;
        self
    }

    /// Sets [`when_full`](#structfield.when_full).
    #[must_use]
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Sets [`block_on_close`](#structfield.block_on_close).
    #[must_use]
    pub fn block_on_close(mut self, block_on_close: bool) -> Self {
        self.block_on_close = block_on_close;
        self
    }
}

impl Default for Pooled {
    fn default() -> Self {
        Pooled { workers: 8, queue: 64, when_full: WhenFull::Pause, block_on_close: true }
    }
}

impl<X: Blocking> Supports<X> for Pooled {}

impl Concurrency for Pooled {
    fn runner<R: Request>(self) -> io::Result<Box<dyn Runner<R>>> {
        Ok(Box::new(Workers {
            pool: Pool::new(self.workers, self.queue)?,
            options: self,
            blocked: Mutex::default(),
        }))
    }
}

/// The pool of a server.
#[derive(Debug)]
struct Workers {
    options: Pooled,
    pool: Pool,
    /// Wakes the loop while it waits for capacity.
    blocked: Mutex<Option<Waker>>,
}

impl Workers {
    /// Waits for capacity. Returns `None` if the loop must end before there is some: the worker that
    /// asks for its end may be waiting for it.
    fn wait_for_capacity(&self, is_stopping: impl Fn() -> bool) -> Option<Reservation> {
        let waker = Waker::from(Arc::new(UnparkThread(thread::current())));
        *lock(&self.blocked) = Some(waker.clone());
        loop {
            if let Some(reservation) = self.pool.reserve(&waker) {
                return Some(reservation);
            }
            if is_stopping() {
                return None;
            }
            thread::park();
        }
    }
}

/// Ends the parking of a thread.
struct UnparkThread(Thread);

impl Wake for UnparkThread {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A request that waits for a worker.
struct Work<R: Request> {
    server: Arc<BaseServer<R>>,
    request: R,
    address: Address,
    is_done: bool,
}

impl<R: Request> Work<R> {
    fn run(mut self) {
        self.is_done = true;
        self.server.work(&self.request, &self.address);
    }
}

/// Shuts the request down if the pool dropped it, because the server was closed.
impl<R: Request> Drop for Work<R> {
    fn drop(&mut self) {
        if !self.is_done {
            self.server.shut_down(&self.request);
        }
    }
}

impl<R: Request> Runner<R> for Workers {
    fn reserve(&self, waker: &Waker) -> Option<Slot> {
        let reservation = match self.options.when_full {
            WhenFull::Pause => Some(self.pool.reserve(waker)?),
            WhenFull::Shed | WhenFull::Block => None,
        };
        Some(Slot { reservation, ..Slot::default() })
    }

    fn process_request(
        &self,
        server: &Arc<BaseServer<R>>,
        request: &R,
        client_address: &Address,
    ) -> HandlerResult {
        let reserved = server.take_slot().reservation;
        let reservation = reserved.or_else(|| self.pool.try_reserve()).or_else(|| {
            let blocks = self.options.when_full == WhenFull::Block;
            blocks.then(|| self.wait_for_capacity(|| server.lifecycle.is_stopping()))?
        });
        let (server, request, address) =
            (Arc::clone(server), request.clone(), client_address.clone());
        let reservation = reservation.ok_or(SubmitError::Full)?;
        let work = Work { server, request, address, is_done: false };
        let _ = reservation.submit(move || work.run()); // if not, the work sees to its end
        Ok(())
    }

    fn stop(&self) {
        if let Some(waker) = lock(&self.blocked).take() {
            waker.wake();
        }
    }

    fn join(&self, deadline: Option<Instant>) -> bool {
        !self.options.block_on_close || self.pool.close(deadline).is_ok()
    }
}
