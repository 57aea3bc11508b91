//! The crate `tokio`: a task for each descriptor, on the runtime of one thread. To register a
//! descriptor is unsafe there.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::workload::driver::Driver;
use crate::workload::helper::Sender;
use crate::workload::raw::byte::{read_byte, write_byte};
use crate::workload::xorshift::Xorshift;

/// How many random places there are. They repeat after so many.
const PLACES: usize = 4_096;

pub(crate) struct TokioDriver {
    // The tasks have the readers, which must leave the runtime before it ends.
    tasks: Vec<JoinHandle<()>>,
    runtime: Runtime,
    readers: Vec<Arc<OwnedFd>>,
    shared: Arc<Shared>,
    step: usize,
}

/// What the tasks share. The runtime has one thread, but wants tasks that could be sent to another.
struct Shared {
    writers: Vec<Arc<OwnedFd>>,
    /// The random places of the watch. Empty in the ring.
    places: Mutex<Arc<[usize]>>,
    left: AtomicUsize,
    /// The number of tasks that have begun to wait.
    started: AtomicUsize,
    done: Notify,
    error: Mutex<Option<io::Error>>,
}

impl TokioDriver {
    pub(crate) fn new(
        (readers, writers): (&[Arc<OwnedFd>], &[Arc<OwnedFd>]),
        step: usize,
    ) -> io::Result<Self> {
        let shared = Shared {
            writers: writers.to_vec(),
            places: Mutex::default(),
            left: AtomicUsize::new(0),
            started: AtomicUsize::new(0),
            done: Notify::new(),
            error: Mutex::new(None),
        };
        Ok(TokioDriver {
            tasks: Vec::with_capacity(readers.len()),
            runtime: Builder::new_current_thread().enable_io().build()?,
            readers: readers.to_vec(),
            shared: Arc::new(shared),
            step,
        })
    }

    fn run(&mut self, events: u64) -> io::Result<()> {
        self.shared.left.store(events as usize, Ordering::Relaxed);
        self.runtime.block_on(self.shared.done.notified());
        let mut error = self.shared.error.lock().unwrap_or_else(PoisonError::into_inner);
        error.take().map_or(Ok(()), Err)
    }
}

impl Driver for TokioDriver {
    fn register(&mut self) -> io::Result<()> {
        let context = self.runtime.enter();
        for (index, reader) in self.readers.iter().enumerate() {
            // SAFETY: each `Arc` keeps its descriptor open, and always returns this one.
            let from =
                unsafe { AsyncFd::register_with_interest(Arc::clone(reader), Interest::READABLE)? };
            let to = Arc::clone(&self.shared.writers[(index + self.step) % self.readers.len()]);
            let shared = Arc::clone(&self.shared);
            self.tasks.push(self.runtime.spawn(async move {
                if let Err(error) = serve(from, to, &shared).await {
                    *shared.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    shared.left.store(0, Ordering::Relaxed);
                    shared.done.notify_one();
                }
            }));
        }
        drop(context);
        // The first poll of each task is part of its registration.
        let (shared, tasks) = (Arc::clone(&self.shared), self.tasks.len());
        self.runtime.block_on(async move {
            while shared.started.load(Ordering::Relaxed) < tasks {
                tokio::task::yield_now().await;
            }
        });
        Ok(())
    }

    fn ring(&mut self, writes: u64, _: u8) -> io::Result<()> {
        self.run(writes)
    }

    fn watch(&mut self, operations: u64, _: &Sender) -> io::Result<()> {
        let mut random = Xorshift::default();
        let places: Arc<[usize]> = (0..PLACES).map(|_| random.below(self.readers.len())).collect();
        write_byte(self.shared.writers[places[operations as usize % PLACES]].as_fd())?;
        *self.shared.places.lock().unwrap_or_else(PoisonError::into_inner) = places;
        self.run(operations)
    }
}

impl Drop for TokioDriver {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Serves a descriptor. The byte that is read is the only one there, so that it is not readable
/// afterwards: a read that finds nothing is spared, as the documentation of `clear_ready` allows.
async fn serve(from: AsyncFd<Arc<OwnedFd>>, to: Arc<OwnedFd>, shared: &Shared) -> io::Result<()> {
    let mut places: Option<Arc<[usize]>> = None;
    shared.started.fetch_add(1, Ordering::Relaxed);
    loop {
        let mut guard = from.readable().await?;
        let left = shared.left.load(Ordering::Relaxed);
        if left == 0 {
            return Ok(());
        }
        let left = left - 1;
        shared.left.store(left, Ordering::Relaxed);
        read_byte(from.get_ref().as_fd())?;
        guard.clear_ready();
        let places = places.get_or_insert_with(|| {
            Arc::clone(&shared.places.lock().unwrap_or_else(PoisonError::into_inner))
        });
        match left {
            _ if places.is_empty() => write_byte(to.as_fd())?,
            0 => {}
            _ => write_byte(shared.writers[places[left % PLACES]].as_fd())?,
        }
        if left == 0 {
            shared.done.notify_one();
        }
    }
}
