//! A fixed number of threads for all requests.

use std::sync::{Arc, Mutex};
use std::time::Instant;
use std::{io, thread};

use crate::net::Address;
use crate::pool::{Pool, Reservation, SubmitError, WhenFull};
use crate::server::base::BaseServer;
use crate::server::concurrency::{Concurrency, MayWait, Runner};
use crate::server::handler::HandlerResult;
use crate::server::transport::Request;
use crate::sync::{Call, lock};

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
            reservation: Mutex::default(),
            blocked: Mutex::default(),
        }))
    }
}

/// The pool of a server.
#[derive(Debug)]
struct Workers {
    options: Pooled,
    pool: Pool,
    /// Kept for the next request.
    reservation: Mutex<Option<Reservation>>,
    /// How to wake the loop that waits for room.
    blocked: Mutex<Option<Call>>,
}

impl Workers {
    /// Waits for room. `None` if the loop is to end before there is some: a worker may be what asks
    /// for that, and waits for the loop.
    fn wait_for_room(&self, is_stopping: impl Fn() -> bool) -> Option<Reservation> {
        let loop_thread = thread::current();
        let call = Call::new(move || loop_thread.unpark());
        *lock(&self.blocked) = Some(call.clone());
        loop {
            if let Some(reservation) = self.pool.reserve(Some(&call)) {
                return Some(reservation);
            }
            if is_stopping() {
                return None;
            }
            thread::park();
        }
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
    fn has_room(&self, call: Option<&Call>) -> bool {
        if self.options.when_full != WhenFull::Pause {
            return true;
        }
        let mut reservation = lock(&self.reservation);
        if reservation.is_none() {
            *reservation = self.pool.reserve(call);
        }
        reservation.is_some()
    }

    fn process_request(
        &self,
        server: &Arc<BaseServer<R>>,
        request: &R,
        client_address: &Address,
    ) -> HandlerResult {
        let kept = lock(&self.reservation).take();
        let reservation = kept.or_else(|| self.pool.reserve(None)).or_else(|| {
            let waits = self.options.when_full == WhenFull::Block;
            waits.then(|| self.wait_for_room(|| server.lifecycle.is_stopping()))?
        });
        let (server, request, address) =
            (Arc::clone(server), request.clone(), client_address.clone());
        let reservation = reservation.ok_or(SubmitError::Full)?;
        let work = Work { server, request, address, is_done: false };
        let _ = reservation.submit(move || work.run()); // if not, the work sees to its end
        Ok(())
    }

    fn stop(&self) {
        if let Some(call) = lock(&self.blocked).take() {
            call.make();
        }
    }

    fn join(&self, deadline: Option<Instant>) -> bool {
        !self.options.block_on_close || self.pool.close(deadline).is_ok()
    }
}
