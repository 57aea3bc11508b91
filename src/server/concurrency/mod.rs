//! Where and when requests are handled.

pub(super) mod forking;
pub(in crate::server) mod in_loop;
pub(super) mod inline;
mod loop_timeouts;
pub(super) mod pooled;
pub(super) mod threading;

use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};
use std::{fmt, io};

pub use forking::Forking;
pub use in_loop::InReactor;
pub use inline::Inline;
pub use pooled::Pooled;
pub use threading::Threading;

use crate::net::{Address, Limit, Permit, SEND_TIMEOUT};
use crate::pool::Reservation;
use crate::server::base::BaseServer;
use crate::server::handler::{ExchangeKind, HandlerResult};
use crate::server::transport::Request;

/// Where and when requests are handled: Python's mix-in classes, and more.
///
/// [`Inline`](crate::server::Inline), [`Threading`](crate::server::Threading), [`Forking`](crate::server::Forking),
/// [`Pooled`](crate::server::Pooled) or [`InReactor`](crate::server::InReactor). It cannot be implemented elsewhere.
pub trait Concurrency: Sized + 'static {
    /// What it is for a server of requests `R`.
    #[doc(hidden)]
    fn runner<R: Request>(self) -> io::Result<Box<dyn Runner<R>>>;
}

/// A concurrency at work in a server.
#[doc(hidden)]
pub trait Runner<R: Request>: fmt::Debug + Send + Sync {
    /// Whether it can work here and now.
    fn check(&self) -> io::Result<()> {
        Ok(())
    }

    /// Reserves what one more request needs. If there is none, `waker` is woken after some became
    /// free.
    fn reserve(&self, waker: &Waker) -> Option<Slot> {
        let _ = waker;
        Some(Slot::default())
    }

    /// Can ask what the loop holds, before a request is processed.
    fn note_descriptors(&self, held: &dyn Fn() -> Vec<RawFd>) {
        let _ = held;
    }

    /// Has a request handled and shut down.
    fn process_request(
        &self,
        server: &Arc<BaseServer<R>>,
        request: &R,
        client_address: &Address,
    ) -> HandlerResult;

    /// Has the loop adopt a client, whose handler is one for the loop.
    fn adopt(&self, request: &R, client_address: &Address, slot: Slot) {
        let _ = (request, client_address, slot);
        unreachable!("`Supports` lets no handler for the loop come here");
    }

    /// Another loop has begun, which knows nothing of the errands of those before.
    fn resume(&self) {}

    /// What the loop is to do for it: asked when a loop begins, after each request, and `again` when
    /// it has asked for that.
    fn loop_requests(&self, again: bool) -> Vec<LoopRequest<R>> {
        let _ = again;
        Vec::new()
    }

    /// How long a handler may wait for the receiver of a datagram.
    fn send_timeout(&self) -> Duration {
        SEND_TIMEOUT
    }

    /// What is to be done now and then.
    fn service_actions(&self) {}

    /// The children that work, by their numbers.
    fn active_children(&self) -> Vec<u32> {
        Vec::new()
    }

    /// The timeout of `handle_request`, if the configuration says nothing.
    fn timeout(&self) -> Option<Duration> {
        None
    }

    /// The loop is to end: whatever it waits for, it is to wait no longer.
    fn stop(&self) {}

    /// Waits for those who still work, until the deadline at most. True if none is left.
    fn join(&self, deadline: Option<Instant>) -> bool {
        let _ = deadline;
        true
    }

    /// Cuts off those who still work, as far as that is more than shutting their connections.
    fn cut(&self) {}
}

/// What was reserved for a request before it was accepted.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Slot {
    /// Where the number of requests is limited.
    pub(super) permit: Option<Permit>,
    /// In a pool.
    pub(super) reservation: Option<Reservation>,
}

impl Slot {
    /// Adds a permit of `limit` to a slot without one: that of a request which a hook processes
    /// later, or twice. Such a request counts, but it may exceed the limit.
    pub(super) fn counted(mut self, limit: &Limit) -> Self {
        self.permit.get_or_insert_with(|| limit.force_acquire());
        self
    }
}

/// What the loop is to do for a concurrency.
#[doc(hidden)]
pub enum LoopRequest<R> {
    /// Ask for errands again in a moment: there is something of which no descriptor tells.
    PollLater,
    /// Call this once, when that is readable.
    OnReadable(Arc<OwnedFd>, Box<dyn FnOnce()>),
    /// Keep this client in the loop.
    Adopt(R, Address, Slot),
}

impl<R> fmt::Debug for LoopRequest<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LoopRequest::PollLater => "PollLater",
            LoopRequest::OnReadable(..) => "OnReadable",
            LoopRequest::Adopt(..) => "Adopt",
        })
    }
}

/// The kinds of exchange that a concurrency supports: those whose handlers may block, or, in the loop,
/// those whose handlers never do.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` server does not support handlers of `{X}`",
    note = "stream handlers of `InReactor` are `RequestHandler<LoopExchange>`; those of all other \
            servers are not"
)]
pub trait Supports<X: ExchangeKind>: Concurrency {}
