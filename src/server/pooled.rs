//! A fixed number of threads for all requests.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::concurrency::{Concurrency, MayWait, Strategy};
use super::transport::Request;
use super::{BaseServer, Outcome};
use crate::net::Address;
use crate::pool::Pool;

/// A fixed number of threads for all requests: the mix-in that Python's users write themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pooled {
    /// How many threads: 8.
    pub workers: usize,
    /// How many requests may wait for one of them: 64.
    pub queue: usize,
    /// What is done when as many wait.
    pub when_full: WhenFull,
    /// Whether `server_close` waits for the requests: yes.
    pub block_on_close: bool,
}

/// What a server does when its [pool](Pooled) is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Accepts no more until there is room: clients wait in the kernel's queue. The default.
    #[default]
    Pause,
    /// Accepts, and closes: clients learn at once. The refusal is told to `handle_error`.
    Shed,
    /// Waits, and the whole loop with it.
    Block,
}

impl Default for Pooled {
    fn default() -> Self {
        Pooled { workers: 8, queue: 64, when_full: WhenFull::Pause, block_on_close: true }
    }
}

impl MayWait for Pooled {}

impl Concurrency for Pooled {
    fn strategy<R: Request>(self) -> io::Result<Box<dyn Strategy<R>>> {
        Ok(Box::new(Workers { pool: Pool::new(self.workers, self.queue)?, choice: self }))
    }
}

/// The pool of a server.
#[derive(Debug)]
struct Workers {
    choice: Pooled,
    pool: Pool,
}

impl<R: Request> Strategy<R> for Workers {
    fn has_room(&self, call: Box<dyn FnOnce() + Send>) -> bool {
        self.choice.when_full != WhenFull::Pause || self.pool.has_room(call)
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
        match self.choice.when_full {
            WhenFull::Block => self.pool.submit_or_wait(job)?,
            WhenFull::Pause | WhenFull::Shed => self.pool.submit(job)?,
        }
        Ok(())
    }

    fn join(&self, grace: Option<Duration>) -> bool {
        if !self.choice.block_on_close {
            return true;
        }
        let deadline = grace.and_then(|grace| Instant::now().checked_add(grace));
        self.pool.close(deadline).is_ok()
    }
}
