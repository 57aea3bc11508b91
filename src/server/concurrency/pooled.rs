//! A fixed number of threads for all requests.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use crate::net::Address;
use crate::pool::{Pool, Reservation, SubmitError, WhenFull};
use crate::server::base::BaseServer;
use crate::server::concurrency::{Concurrency, MayWait, Runner, Slot};
use crate::server::handler::HandlerResult;
use crate::server::transport::Request;
use crate::sync::lock;

/// A fixed number of threads for all requests: the mix-in that Python's users write themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pooled {
    /// How many threads: 8.
    pub workers: usize,
    /// How many requests may wait for one of them: 64.
    pub queue: usize,
    /// What is done when as many wait: nobody is accepted until there is room. Whoever is shed, or
    /// waits for room when the loop is to end, is told of to `handle_error`.
    pub when_full: WhenFull,
    /// Whether `server_close` waits for the requests: yes.
    pub block_on_close: bool,
}

impl Default for Pooled {
    fn default() -> Self {
        Pooled { workers: 8, queue: 64, when_full: WhenFull::Pause, block_on_close: true }
    }
}

impl MayWait for Pooled {}

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

/// The server may be closed before a worker comes.
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
