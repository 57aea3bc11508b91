//! One request after the other, in the loop.

use std::sync::Arc;

use super::concurrency::{Concurrency, Strategy};
use super::transport::Request;
use super::{BaseServer, Outcome};
use crate::net::Address;

/// One request after the other: Python's servers without a mix-in. A handler that waits, waits for
/// everybody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inline;

impl Concurrency for Inline {
    fn strategy<R: Request>(self) -> Box<dyn Strategy<R>> {
        Box::new(self)
    }
}

impl<R: Request> Strategy<R> for Inline {
    fn process_request(
        &self,
        server: &Arc<BaseServer<R>>,
        request: &R,
        client_address: &Address,
    ) -> Outcome {
        server.hooks.finish_request(server, request, client_address)?;
        server.hooks.shutdown_request(server, request);
        Ok(())
    }
}
