//! The thread that makes a descriptor ready while the measured thread sleeps.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::raw::byte::write_byte;

/// Makes descriptors ready: at once, or while the measured thread sleeps.
pub(super) enum Sender {
    /// The measured thread writes the byte itself, before it waits.
    Direct,
    /// The measured thread tells a helper to write the byte.
    Helper(Helper),
}

impl Sender {
    /// Makes the descriptor `index` ready, by a byte to `to`.
    #[inline]
    pub(super) fn send(&self, index: usize, to: BorrowedFd<'_>) -> io::Result<()> {
        match self {
            Sender::Direct => write_byte(to),
            Sender::Helper(helper) => helper.send(index),
        }
    }
}

/// A thread on the same processor, which runs when the measured thread sleeps.
pub(super) struct Helper {
    orders: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Helper {
    /// Starts the thread. It first calls `prepare`.
    pub(super) fn start(writers: &[Arc<OwnedFd>], prepare: fn()) -> io::Result<Self> {
        let (orders, sender) = io::pipe()?;
        let writers = writers.to_vec();
        let thread = thread::Builder::new().spawn(move || {
            prepare();
            serve(orders, &writers);
        })?;
        Ok(Helper { orders: Some(sender), thread: Some(thread) })
    }

    fn send(&self, index: usize) -> io::Result<()> {
        let mut orders = self.orders.as_ref().expect("there until the drop");
        orders.write_all(&index.to_ne_bytes())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Writes a byte for each order, until no more can come.
fn serve(mut orders: PipeReader, writers: &[Arc<OwnedFd>]) {
    let mut order = [0; size_of::<usize>()];
    while orders.read_exact(&mut order).is_ok() {
        // A byte that cannot be written is missed by the measured thread, which says so.
        let _ = write_byte(writers[usize::from_ne_bytes(order)].as_fd());
    }
}
