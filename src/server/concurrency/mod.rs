//! Where and when requests are handled.

pub(super) mod forking;
pub(in crate::server) mod in_loop;
pub(super) mod inline;
mod loop_timeouts;
pub(super) mod parked;
pub(in crate::server) mod parked_client;
mod parking;
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
pub use parked::Parked;
use parking::Parking;
pub use pooled::Pooled;
pub use threading::Threading;

use crate::net::{Address, Limit, Permit, SEND_TIMEOUT};
use crate::pool::Reservation;
use crate::selector::Token;
use crate::server::base::BaseServer;
use crate::server::handler::{ExchangeKind, HandlerResult};
use crate::server::transport::Request;

/// Where and when requests are handled: Python's mix-in classes, and more.
///
/// It is one of [`Inline`](crate::server::Inline), [`Threading`](crate::server::Threading), [`Forking`](crate::server::Forking),
/// [`Pooled`](crate::server::Pooled), [`Parked`](crate::server::Parked) or
/// [`InReactor`](crate::server::InReactor). It is sealed.
pub trait Concurrency: Sized + 'static {
    /// Returns the runner for a server of requests `R`.
    #[doc(hidden)]
    fn runner<R: Request>(self) -> io::Result<Box<dyn Runner<R>>>;
}

/// Runs the requests of one server.
#[doc(hidden)]
pub trait Runner<R: Request>: fmt::Debug + Send + Sync {
    /// Checks that requests can be handled in this process.
    fn check(&self) -> io::Result<()> {
        Ok(())
    }

    /// Reserves what one more request needs. If there is none, `waker` is woken after some became
    /// free.
    fn reserve(&self, waker: &Waker) -> Option<Slot> {
        let _ = waker;
        Some(Slot::default())
    }

    /// Called before a request is processed, with a function that lists the descriptors of the loop.
    fn note_descriptors(&self, held: &dyn Fn() -> Vec<RawFd>) {
        let _ = held;
    }

    /// Handles a request and shuts it down, here or elsewhere.
    fn process_request(
        &self,
        server: &Arc<BaseServer<R>>,
        request: &R,
        client_address: &Address,
    ) -> HandlerResult;

    /// Gives a client to the loop, where its handler runs, or where it is parked.
    fn adopt(&self, request: &R, client_address: &Address, slot: Slot) {
        let _ = (request, client_address, slot);
        unreachable!(
            "`Supports` admits handlers for the loop to `InReactor` only, and only `Parked` parks"
        );
    }

    /// Returns whether the clients of handlers that may block wait in the loop for their turn.
    fn parks(&self) -> bool {
        false
    }

    /// Returns the sources in the loop that must be notified when the run ends: those of parked clients.
    fn parked(&self) -> Vec<Token> {
        Vec::new()
    }

    /// Called when a new loop begins, which knows nothing of the requests to earlier loops.
    fn resume(&self) {}

    /// Returns what the loop must do. Called when a loop begins, after each request, and with `again`
    /// after [`LoopRequest::PollLater`].
    fn loop_requests(&self, again: bool) -> Vec<LoopRequest<R>> {
        let _ = again;
        Vec::new()
    }

    /// Returns how long a handler may block until the receiver of a datagram has room.
    fn send_timeout(&self) -> Duration {
        SEND_TIMEOUT
    }

    /// Returns how many bytes all clients in the loop may hold together. `None` is no limit.
    fn max_buffered(&self) -> Option<usize> {
        None
    }

    /// Does what must be done from time to time.
    fn service_actions(&self) {}

    /// Returns the process ids of the running children.
    fn active_children(&self) -> Vec<u32> {
        Vec::new()
    }

    /// Returns the default timeout of `handle_request`.
    fn timeout(&self) -> Option<Duration> {
        None
    }

    /// Called when the loop must end: ends any wait on its thread.
    fn stop(&self) {}

    /// Waits for the running handlers, until the deadline at most. Returns true if none is left.
    fn join(&self, deadline: Option<Instant>) -> bool {
        let _ = deadline;
        true
    }

    /// Ends the running handlers, as far as that takes more than shutting down their connections.
    fn cut(&self) {}
}

/// What was reserved for a request before it was accepted.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Slot {
    /// Where the number of running handlers is limited.
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

/// What a concurrency asks of the loop.
#[doc(hidden)]
pub enum LoopRequest<R> {
    /// Ask again after a short pause: something has no descriptor that reports it.
    PollLater,
    /// Call the closure once, when the descriptor is readable.
    OnReadable(Arc<OwnedFd>, Box<dyn FnOnce()>),
    /// Adopt this client.
    Adopt(R, Address, Slot),
    /// Park this client, and begin its conversation.
    Park(R, Address, Slot, Arc<Parking>),
}

impl<R> fmt::Debug for LoopRequest<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LoopRequest::PollLater => "PollLater",
            LoopRequest::OnReadable(..) => "OnReadable",
            LoopRequest::Adopt(..) => "Adopt",
            LoopRequest::Park(..) => "Park",
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
