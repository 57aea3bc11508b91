//! One request after the other, in the loop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::net::Address;
use crate::server::base::BaseServer;
use crate::server::concurrency::{Concurrency, Runner, Supports};
use crate::server::handler::{Blocking, HandlerResult};
use crate::server::transport::Request;

/// One request after the other: Python's servers without a mix-in. While a handler blocks, all other
/// clients wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inline;

impl<X: Blocking> Supports<X> for Inline {}

impl Concurrency for Inline {
    fn runner<R: Request>(self) -> io::Result<Box<dyn Runner<R>>> {
        Ok(Box::new(self))
    }
}

impl<R: Request> Runner<R> for Inline {
    /// Short, because all other clients wait.
    fn send_timeout(&self) -> Duration {
        Duration::from_millis(20)
    }

    fn process_request(
        &self,
        server: &Arc<BaseServer<R>>,
        request: &R,
        client_address: &Address,
    ) -> HandlerResult {
        server.hooks.finish_request(server, request, client_address)?;
        server.hooks.shutdown_request(server, request);
        Ok(())
    }
}
