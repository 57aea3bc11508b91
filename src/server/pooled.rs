//! A fixed number of threads for all requests.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::concurrency::{Concurrency, MayWait, Strategy};
use super::transport::Request;
use super::{BaseServer, Outcome};
use crate::net::Address;
use crate::pool::{Place, Pool, WhenFull};

/// A fixed number of threads for all requests: the mix-in that Python's users write themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pooled {
    /// How many threads: 8.
    pub workers: usize,
    /// How many requests may wait for one of them: 64.
    pub queue: usize,
    /// What is done when as many wait: nobody is accepted until there is room. Whoever is shed is
    /// told of to `handle_error`.
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
    fn strategy<R: Request>(self) -> io::Result<Box<dyn Strategy<R>>> {
        let pool = Pool::new(self.workers, self.queue)?;
        Ok(Box::new(Workers { pool, choice: self, place: Mutex::default() }))
    }
}

/// The pool of a server.
#[derive(Debug)]
struct Workers {
    choice: Pooled,
    pool: Pool,
    /// Kept for the next request.
    place: Mutex<Option<Place>>,
}

impl<R: Request> Strategy<R> for Workers {
    fn has_room(&self, call: Box<dyn FnOnce() + Send>) -> bool {
        if self.choice.when_full != WhenFull::Pause {
            return true;
        }
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if place.is_none() {
            *place = self.pool.reserve(call);
        }
        place.is_some()
    }

    fn process_request(
        &self,
        server: &Arc<BaseServer<R>>,
        request: &R,
        client_address: &Address,
    ) -> Outcome {
        let (server, request, address) =
            (Arc::clone(server), request.clone(), client_address.clone());
        let job = move || server.hooks.process_request_thread(&server, &request, &address);
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (place, self.choice.when_full) {
            (Some(place), _) => place.submit(job)?,
            (None, WhenFull::Block) => self.pool.submit_or_wait(job)?,
            (None, WhenFull::Pause | WhenFull::Shed) => self.pool.submit(job)?,
        }
        Ok(())
    }

    fn join(&self, deadline: Option<Instant>) -> bool {
        if !self.choice.block_on_close {
            return true;
        }
        self.pool.close(deadline).is_ok()
    }
}
