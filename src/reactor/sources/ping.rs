//! A wake from other threads.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::events::{self, Events};
use crate::reactor::context::Context;
use crate::selector::Token;
use crate::sync::AtomicBool;
use crate::sys::EventFd;

/// A source that other threads make ready with a [`Pinger`]: `eventfd(2)`.
///
/// Pings carry no data, and are coalesced: any number of pings before the handler is called is one
/// event. To pass data, see [`channel`](super::channel()). A job for the loop needs no source at all:
/// see [`ReactorHandle::post`](crate::ReactorHandle::post).
///
/// ```
/// use tripoll::Reactor;
/// use tripoll::reactor::sources::Ping;
///
/// let mut reactor = Reactor::new()?;
/// let (ping, pinger) = Ping::new()?;
/// ping.on(&mut reactor.context(), |(), cx| cx.stop())?;
/// std::thread::spawn(move || pinger.ping());
/// reactor.run()?;
/// # std::io::Result::Ok(())
/// ```
///
/// A forked child shares the descriptor with its parent, so only one of them may use it.
#[derive(Debug)]
pub struct Ping {
    shared: Arc<Shared>,
}

/// Makes its [`Ping`] ready, from any thread. It may outlive the `Ping`, and then does nothing.
#[derive(Debug, Clone)]
pub struct Pinger {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    event_fd: EventFd,
    /// Whether there was a ping since the last event. The first one writes to the descriptor.
    is_pinged: AtomicBool,
}

impl Ping {
    /// Creates a source and its pinger.
    ///
    /// # Errors
    ///
    /// Those of `eventfd(2)`: the process or the system has no descriptors left.
    pub fn new() -> io::Result<(Ping, Pinger)> {
        let is_pinged = AtomicBool::new(false);
        let shared = Arc::new(Shared { event_fd: EventFd::new()?, is_pinged });
        Ok((Ping { shared: Arc::clone(&shared) }, Pinger { shared }))
    }

    /// Takes the event: the source is not ready until the next ping. What a thread did before its ping
    /// is visible after this call.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there was no ping.
    pub fn take(&mut self) -> io::Result<()> {
        // In this order: a ping after the second step writes to the descriptor again. One between the
        // two steps has written in vain, and the next call finds nothing.
        self.shared.event_fd.clear();
        match self.shared.is_pinged.swap(false, Ordering::AcqRel) {
            true => Ok(()),
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Adds the source to a reactor. `callback` is called after pings.
    ///
    /// # Errors
    ///
    /// Fails when the selector cannot watch the source.
    pub fn on<S: 'static>(
        self,
        cx: &mut Context<'_, S>,
        callback: impl FnMut((), &mut Context<'_, S>) + 'static,
    ) -> io::Result<Token> {
        events::on(self, cx, callback)
    }
}

impl Pinger {
    /// Makes the source ready. Never blocks. Only the first of several pings is a system call.
    pub fn ping(&self) {
        if !self.shared.is_pinged.swap(true, Ordering::AcqRel) {
            self.shared.event_fd.wake();
        }
    }
}

impl Events for Ping {
    type Event = ();

    fn next(&mut self) -> io::Result<()> {
        self.take()
    }
}

impl AsFd for Ping {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.event_fd.as_fd()
    }
}
