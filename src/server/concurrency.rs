//! Where and when requests are handled.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::transport::Request;
use super::{BaseServer, Outcome};
use crate::net::Address;

/// Where and when requests are handled: Python's mix-in classes, and three more.
///
/// One of [`Inline`](super::Inline), [`Threading`](super::Threading).
pub trait Concurrency: Sized + 'static {
    /// What it is for a server of requests `R`.
    #[doc(hidden)]
    fn strategy<R: Request>(self) -> Box<dyn Strategy<R>>;
}

/// A concurrency at work in a server.
#[doc(hidden)]
pub trait Strategy<R: Request>: fmt::Debug + Send + Sync {
    /// Whether one more request may be taken. If not, `call` is called when there is room again.
    fn has_room(&self, call: Box<dyn FnOnce() + Send>) -> bool {
        let _ = call;
        true
    }

    /// Has a request handled and shut down.
    fn process_request(
        &self,
        server: &Arc<BaseServer<R>>,
        request: &R,
        client_address: &Address,
    ) -> Outcome;

    /// What is to be done now and then.
    fn service_actions(&self) {}

    /// The timeout of `handle_request`, if the configuration says nothing.
    fn timeout(&self) -> Option<Duration> {
        None
    }

    /// Waits for those who still work, for `grace` at most. True if none is left.
    fn join(&self, grace: Option<Duration>) -> bool {
        let _ = grace;
        true
    }
}
