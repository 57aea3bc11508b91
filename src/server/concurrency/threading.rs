//! A thread for each request.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::net::{Address, Gate};
use crate::server::base::BaseServer;
use crate::server::concurrency::{Concurrency, MayWait, Strategy};
use crate::server::handler::HandlerResult;
use crate::server::transport::Request;
use crate::sync::{Call, lock, wait_until};

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

/// Who lives. A thread that ends buries one that ended some time before it, so that only a few dead
/// threads are ever kept.
#[derive(Debug, Default)]
struct Alive {
    roll: Mutex<Roll>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Roll {
    /// By their own numbers. Who has no handle yet is just being made: the lock is not held for so
    /// long, for those who end would wait for it.
    alive: HashMap<u64, Option<JoinHandle<()>>>,
    /// In the order of their ends. Whoever has only just ended is still busy with that, and would have
    /// to be waited for.
    dead: VecDeque<JoinHandle<()>>,
    /// How many wait for a change.
    watchers: usize,
    /// How many of the threads themselves wait for the end of the others.
    leaving: usize,
}

/// The numbers of the threads of all servers.
static LAST_NUMBER: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static NUMBER: Cell<Option<u64>> = const { Cell::new(None) };
}

/// How many dead threads are kept.
const MOST_DEAD: usize = 8;

impl Roll {
    /// A thread ends, or has ended. Returns who is to be buried for that.
    fn enter_dead(&mut self, thread: JoinHandle<()>) -> Option<JoinHandle<()>> {
        self.dead.push_back(thread);
        if self.dead.len() > MOST_DEAD { self.dead.pop_front() } else { None }
    }
}

impl Alive {
    fn roll(&self) -> MutexGuard<'_, Roll> {
        lock(&self.roll)
    }

    fn notify(&self, roll: MutexGuard<'_, Roll>) {
        let is_watched = roll.watchers > 0; // a call to wake is a system call
        drop(roll);
        if is_watched {
            self.changed.notify_all();
        }
    }

    fn spawn(self: &Arc<Self>, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let number = LAST_NUMBER.fetch_add(1, Ordering::Relaxed);
        self.roll().alive.insert(number, None);
        let end = End { alive: Arc::clone(self), number };
        // If there can be no thread, `end` is dropped here.
        let thread = thread::Builder::new().name("request".into()).spawn(move || {
            NUMBER.set(Some(end.number));
            let _end = end;
            body();
        })?;
        let mut roll = self.roll();
        let dead = match roll.alive.get_mut(&number) {
            Some(handle) => {
                *handle = Some(thread);
                None
            }
            None => roll.enter_dead(thread), // it was quick
        };
        drop(roll);
        bury(dead);
        Ok(())
    }
}

/// The end of a thread, however it comes.
struct End {
    alive: Arc<Alive>,
    number: u64,
}

impl Drop for End {
    fn drop(&mut self) {
        let mut roll = self.alive.roll();
        let me = roll.alive.remove(&self.number).flatten();
        let dead = me.and_then(|me| roll.enter_dead(me));
        self.alive.notify(roll);
        bury(dead);
    }
}

fn bury(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        let _ = thread.join(); // its panics were told where they happened
    }
}

impl<R: Request> Strategy<R> for Threads {
    fn has_room(&self, call: Option<&Call>) -> bool {
        self.gate.as_ref().is_none_or(|gate| gate.has_room(call))
    }

    fn process_request(
        &self,
        server: &Arc<BaseServer<R>>,
        request: &R,
        client_address: &Address,
    ) -> HandlerResult {
        let (server, request, address) =
            (Arc::clone(server), request.clone(), client_address.clone());
        let permit = self.gate.as_ref().map(Gate::enter);
        self.alive.spawn(move || {
            server.work(&request, &address);
            drop((request, server)); // closed before the next may come in
            drop(permit);
        })?;
        Ok(())
    }

    fn join(&self, deadline: Option<Instant>) -> bool {
        if self.choice.daemon_threads || !self.choice.block_on_close {
            return true;
        }
        let mut roll = self.alive.roll();
        // A handler that closes its own server does not wait for itself, nor for another that does.
        let is_inside = NUMBER.get().is_some_and(|number| roll.alive.contains_key(&number));
        if is_inside {
            roll.leaving += 1;
            self.alive.changed.notify_all();
        }
        let spared = |roll: &Roll| if is_inside { roll.leaving } else { 0 };
        let mut is_late = false;
        while roll.alive.len() > spared(&roll) && !is_late {
            roll.watchers += 1;
            (roll, is_late) = wait_until(&self.alive.changed, roll, deadline);
            roll.watchers -= 1;
        }
        roll.leaving -= usize::from(is_inside);
        if is_late {
            return false;
        }
        let dead = std::mem::take(&mut roll.dead);
        drop(roll);
        bury(dead);
        true
    }
}
