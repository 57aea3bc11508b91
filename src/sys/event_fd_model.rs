//! A model of `eventfd(2)` for loom, which cannot see a thread that the kernel blocks.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use loom::sync::Notify;
use loom::sync::atomic::AtomicBool;

use super::event_fd;

thread_local! {
    /// The models by number. All threads of a loom model run on one thread of the process.
    static MODELS: RefCell<BTreeMap<RawFd, Arc<Model>>> = const { RefCell::new(BTreeMap::new()) };
}

/// As the real `EventFd`. Its descriptor is only a number.
#[derive(Debug)]
pub(crate) struct EventFd {
    fd: event_fd::EventFd,
    model: Arc<Model>,
}

#[derive(Debug)]
struct Model {
    is_readable: AtomicBool,
    written: Notify,
}

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        let fd = event_fd::EventFd::new()?;
        let model = Arc::new(Model { is_readable: AtomicBool::new(false), written: Notify::new() });
        MODELS.with_borrow_mut(|models| models.insert(fd.as_fd().as_raw_fd(), Arc::clone(&model)));
        Ok(EventFd { fd, model })
    }

    pub(crate) fn renew(&self) -> io::Result<()> {
        self.clear();
        Ok(())
    }

    pub(crate) fn wake(&self) {
        self.model.is_readable.store(true, Ordering::Release);
        self.model.written.notify();
    }

    pub(crate) fn clear(&self) {
        self.model.is_readable.swap(false, Ordering::AcqRel);
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for EventFd {
    fn drop(&mut self) {
        MODELS.with_borrow_mut(|models| models.remove(&self.as_fd().as_raw_fd()));
    }
}

/// Returns whether a descriptor is readable, for the selector of a loom model. Returns `None` if it is
/// not an event counter.
#[doc(hidden)]
pub fn is_event_fd_readable(fd: RawFd) -> Option<bool> {
    let model = MODELS.with_borrow(|models| models.get(&fd).cloned())?;
    Some(model.is_readable.load(Ordering::Acquire))
}

/// Blocks the thread until an event counter may have become readable. May return without a reason.
#[doc(hidden)]
pub fn wait_for_event_fd(fd: RawFd) {
    let model = MODELS.with_borrow(|models| models.get(&fd).cloned());
    model.expect("the descriptor of an event counter").written.wait();
}
