//! A thread for each request.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use super::concurrency::{Concurrency, MayWait, Strategy};
use super::transport::Request;
use super::{BaseServer, Outcome};
use crate::net::{Address, Gate};

/// A thread for each request: Python's `ThreadingMixIn`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threading {
    /// Whether `server_close` waits for nobody: no. (In Python such threads also do not keep the
    /// process alive; in Rust no thread does.)
    pub daemon_threads: bool,
    /// Whether `server_close` waits for the threads: yes.
    pub block_on_close: bool,
    /// How many threads there may be at once: any number, as in Python. When there are as many, no
    /// more is accepted until one ends.
    pub max_threads: Option<usize>,
}

impl Default for Threading {
    fn default() -> Self {
        Threading { daemon_threads: false, block_on_close: true, max_threads: None }
    }
}

impl MayWait for Threading {}

impl Concurrency for Threading {
    fn strategy<R: Request>(self) -> io::Result<Box<dyn Strategy<R>>> {
        Ok(Box::new(Threads {
            gate: self.max_threads.map(|most| Gate::new(most.max(1))),
            choice: self,
            alive: Arc::default(),
        }))
    }
}

/// The threads of a server.
#[derive(Debug)]
struct Threads {
    choice: Threading,
    gate: Option<Gate>,
    alive: Arc<Alive>,
}

/// Who lives. A thread that ends buries the one that ended before it, so that at most one dead
/// thread is ever kept.
#[derive(Debug, Default)]
struct Alive {
    threads: Mutex<Roll>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Roll {
    alive: HashMap<ThreadId, JoinHandle<()>>,
    last_dead: Option<JoinHandle<()>>,
}

impl Alive {
    fn roll(&self) -> MutexGuard<'_, Roll> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(self: &Arc<Self>, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let alive = Arc::clone(self);
        // Held until the newcomer is on the roll, so that it cannot end before.
        let mut roll = self.roll();
        let thread = thread::Builder::new().name("request".into()).spawn(move || {
            let _end = End(alive);
            body();
        })?;
        roll.alive.insert(thread.thread().id(), thread);
        Ok(())
    }
}

/// The end of a thread, however it comes.
struct End(Arc<Alive>);

impl Drop for End {
    fn drop(&mut self) {
        let mut roll = self.0.roll();
        let me = roll.alive.remove(&thread::current().id());
        let dead = std::mem::replace(&mut roll.last_dead, me);
        drop(roll);
        self.0.ended.notify_all();
        bury(dead);
    }
}

fn bury(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        let _ = thread.join(); // its panics were told where they happened
    }
}

impl<R: Request> Strategy<R> for Threads {
    fn has_room(&self, call: Box<dyn FnOnce() + Send>) -> bool {
        self.gate.as_ref().is_none_or(|gate| gate.has_room(call))
    }

    fn process_request(
        &self,
        server: &Arc<BaseServer<R>>,
        request: &R,
        client_address: &Address,
    ) -> Outcome {
        let (server, request, address) =
            (Arc::clone(server), request.clone(), client_address.clone());
        let permit = self.gate.as_ref().map(Gate::enter);
        self.alive.spawn(move || {
            server.hooks.process_request_thread(&server, &request, &address);
            drop((request, server)); // closed before the next may come in
            drop(permit);
        })?;
        Ok(())
    }

    fn join(&self, grace: Option<Duration>) -> bool {
        if self.choice.daemon_threads || !self.choice.block_on_close {
            return true;
        }
        let deadline = grace.and_then(|grace| Instant::now().checked_add(grace));
        let mut roll = self.alive.roll();
        // A handler that closes its own server does not wait for itself.
        let me = usize::from(roll.alive.contains_key(&thread::current().id()));
        while roll.alive.len() > me {
            roll = match deadline {
                None => self.alive.ended.wait(roll).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    let waited = self.alive.ended.wait_timeout(roll, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        let dead = roll.last_dead.take();
        drop(roll);
        bury(dead);
        true
    }
}
