//! A child process for each request.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::concurrency::{Concurrency, Errand, MayWait, Strategy};
use super::handler::guard;
use super::transport::Request;
use super::{BaseServer, Outcome};
use crate::net::{Address, Gate, Permit};
use crate::pool::Call;
use crate::sys::{self, DespiteThreads, PollFd, PollFlags, Side};

/// A child process for each request: Python's `ForkingMixIn`.
///
/// A child is a copy of the process in which the handler runs; what it changes, changes there. The
/// server must run in a process that has no other thread, and refuses to serve elsewhere.
///
/// Children are reaped by their own numbers as soon as they end: those of others never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forking {
    /// How many children there may be at once: 40. When there are as many, no more is accepted until
    /// one ends. (Python stops its whole loop for that.)
    pub max_children: usize,
    /// Whether `server_close` waits for the children: yes.
    pub block_on_close: bool,
    /// The promise of whoever forks in spite of other threads: none.
    pub despite_threads: Option<DespiteThreads>,
}

impl Default for Forking {
    fn default() -> Self {
        Forking { max_children: 40, block_on_close: true, despite_threads: None }
    }
}

impl MayWait for Forking {}

impl Concurrency for Forking {
    fn strategy<R: Request>(self) -> io::Result<Box<dyn Strategy<R>>> {
        Ok(Box::new(Children {
            gate: Gate::new(self.max_children.max(1)),
            choice: self,
            active: Arc::default(),
            newest: Mutex::default(),
            inherited: Mutex::default(),
        }))
    }
}

/// The children of a server.
#[derive(Debug)]
struct Children {
    choice: Forking,
    gate: Gate,
    active: Arc<Mutex<HashMap<libc::pid_t, Child>>>,
    /// Who was born since the loop last asked.
    newest: Mutex<Vec<libc::pid_t>>,
    /// What the loop holds, and no child shall.
    inherited: Mutex<Vec<RawFd>>,
}

/// A child that was not reaped yet.
#[derive(Debug)]
struct Child {
    /// Readable when it has ended. Systems before Linux 5.3 have none.
    end: Option<Arc<OwnedFd>>,
    _permit: Permit,
}

/// Locks; what these hold is whole between any two of our steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reaps those of `children` who have ended.
fn collect(active: &Mutex<HashMap<libc::pid_t, Child>>, children: &[libc::pid_t]) {
    for &child in children {
        if sys::has_ended(child, false) {
            let reaped = lock(active).remove(&child);
            drop(reaped); // outside the lock: it makes room for the next
        }
    }
}

impl Children {
    fn all(&self) -> Vec<libc::pid_t> {
        lock(&self.active).keys().copied().collect()
    }

    /// Waits until a child has ended. False if it has not by the deadline.
    fn wait_for(&self, child: libc::pid_t, deadline: Instant) -> bool {
        let end = lock(&self.active).get(&child).and_then(|child| child.end.clone());
        loop {
            if sys::has_ended(child, false) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            match &end {
                Some(end) => {
                    let _ =
                        sys::poll(&mut [PollFd::new(end.as_raw_fd(), PollFlags::IN)], Some(left));
                }
                None => thread::sleep(left.min(Duration::from_millis(10))),
            }
        }
    }

    /// The child's whole life. It never returns to the loop that it is a copy of.
    fn live<R: Request>(
        &self,
        mut inherited: Vec<RawFd>,
        server: &BaseServer<R>,
        request: &R,
        address: &Address,
    ) -> ! {
        server.enter_child();
        // A datagram is answered through the server's own socket.
        inherited.retain(|&fd| fd != request.descriptor());
        if let Err(error) = sys::let_go(&inherited) {
            log::warn!(target: "tripoll", "a child keeps its parent's descriptors: {error}");
        }
        let outcome = guard(|| server.hooks.finish_request(server, request, address));
        if let Err(error) = &outcome {
            server.tell(request, address, error);
        }
        server.shut_down(request);
        sys::exit_now(outcome.is_err().into())
    }
}

impl<R: Request> Strategy<R> for Children {
    fn check(&self) -> io::Result<()> {
        match self.choice.despite_threads {
            Some(_) => Ok(()),
            None => sys::check_alone(),
        }
    }

    fn has_room(&self, call: Option<&Call>) -> bool {
        self.gate.has_room(call)
    }

    fn forks(&self) -> bool {
        true
    }

    fn note_descriptors(&self, fds: Vec<RawFd>) {
        *lock(&self.inherited) = fds;
    }

    fn process_request(
        &self,
        server: &Arc<BaseServer<R>>,
        request: &R,
        client_address: &Address,
    ) -> Outcome {
        // For this child alone: by the next, these numbers may be somebody else's.
        let inherited = std::mem::take(&mut *lock(&self.inherited));
        match sys::fork(self.choice.despite_threads)? {
            Side::Child => self.live(inherited, server, request, client_address),
            Side::Parent(child) => {
                let end = sys::watch_child(child).ok().map(Arc::new);
                let entry = Child { end, _permit: self.gate.enter() };
                lock(&self.active).insert(child, entry);
                lock(&self.newest).push(child);
                server.hooks.close_request(server, request);
                Ok(())
            }
        }
    }

    fn resume(&self) {
        *lock(&self.newest) = self.all();
    }

    /// Has the loop reap each child when it ends.
    fn errands(&self) -> Vec<Errand<R>> {
        let newest = std::mem::take(&mut *lock(&self.newest));
        let watch = |child| {
            let end = lock(&self.active).get(&child)?.end.clone()?;
            let active = Arc::clone(&self.active);
            Some(Errand::WhenReadable(end, Box::new(move || collect(&active, &[child]))))
        };
        newest.into_iter().filter_map(watch).collect()
    }

    /// Python's `collect_children`.
    fn service_actions(&self) {
        collect(&self.active, &self.all());
    }

    fn active_children(&self) -> Vec<u32> {
        self.all().into_iter().map(libc::pid_t::cast_unsigned).collect()
    }

    fn timeout(&self) -> Option<Duration> {
        Some(Duration::from_secs(300))
    }

    fn join(&self, deadline: Option<Instant>) -> bool {
        if !self.choice.block_on_close {
            collect(&self.active, &self.all());
            return true;
        }
        for child in self.all() {
            let has_ended = match deadline {
                None => sys::has_ended(child, true),
                Some(deadline) => self.wait_for(child, deadline),
            };
            if !has_ended {
                return false;
            }
            let reaped = lock(&self.active).remove(&child);
            drop(reaped);
        }
        true
    }

    /// A child's connection is its own: it is cut off with the child.
    fn cut(&self) {
        for child in self.all() {
            sys::kill(child);
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        collect(&self.active, &self.all());
    }
}
