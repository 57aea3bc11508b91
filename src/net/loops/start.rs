//! How threads start together: all of them, or none.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use crate::sys;

/// Threads that wait until all of them are ready.
pub(super) struct Threads {
    threads: Vec<JoinHandle<()>>,
    goes: Vec<Sender<()>>,
    ready: Sender<io::Result<()>>,
    are_ready: Receiver<io::Result<()>>,
}

/// How a thread tells that it is ready, and learns that all are.
pub(super) struct Start {
    ready: Sender<io::Result<()>>,
    /// Disconnected if one of the threads is not ready: then none runs.
    go: Receiver<()>,
}

impl Threads {
    pub(super) fn new() -> Self {
        let (ready, are_ready) = mpsc::channel();
        Threads { threads: Vec::new(), goes: Vec::new(), ready, are_ready }
    }

    /// Starts a thread, which prepares itself and waits.
    pub(super) fn spawn(
        &mut self,
        name: String,
        body: impl FnOnce(String, Start) + Send + 'static,
    ) -> io::Result<()> {
        let (go, may_go) = mpsc::channel();
        let start = Start { ready: self.ready.clone(), go: may_go };
        let its_name = name.clone();
        let thread = thread::Builder::new().name(name.clone());
        let spawned = thread.spawn(move || body(its_name, start)).map_err(|error| {
            sys::with_context(format!("the thread {name:?} cannot be started"), error)
        })?;
        self.threads.push(spawned);
        self.goes.push(go);
        Ok(())
    }

    /// Lets all threads run when all are ready. If one is not, or `spawned` is an error, all end.
    pub(super) fn start(self, spawned: io::Result<()>) -> io::Result<Vec<JoinHandle<()>>> {
        let Threads { threads, goes, ready, are_ready } = self;
        drop(ready);
        match spawned.and_then(|()| are_ready.iter().take(threads.len()).collect()) {
            Ok(()) => {
                for go in goes {
                    let _ = go.send(()); // each of them waits for it
                }
                Ok(threads)
            }
            Err(error) => {
                drop((goes, are_ready));
                for thread in threads {
                    let _ = thread.join();
                }
                Err(error)
            }
        }
    }
}

impl Start {
    /// Tells whether the thread is ready, and waits for the others. Returns what it has prepared if it
    /// runs.
    pub(super) fn when_all_are_ready<T>(self, prepared: io::Result<T>) -> Option<T> {
        let (ready, prepared) = match prepared {
            Ok(prepared) => (Ok(()), Some(prepared)),
            Err(error) => (Err(error), None),
        };
        let is_heard = self.ready.send(ready).is_ok();
        prepared.filter(|_| is_heard && self.go.recv().is_ok())
    }
}
