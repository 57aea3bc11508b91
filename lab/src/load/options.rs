//! What is sent, to which server, and how.

use std::time::Duration;

use tripoll::net::Address;
use tripoll::{Backend, Trigger};

use super::answer::Ask;

/// A load to send.
#[derive(Debug, Clone)]
pub struct Load {
    /// The server.
    pub address: Address,
    /// What each request is.
    pub ask: Ask,
    /// The number of connections.
    pub connections: usize,
    /// How many of them send requests. The others are silent.
    pub active: usize,
    /// The number of requests a second, over all connections.
    pub rate: f64,
    /// For how long requests become due.
    pub duration: Duration,
    /// How long an answer may take, from the time at which its request was sent.
    pub timeout: Duration,
    /// The backend of the generator itself.
    pub backend: Backend,
    /// The trigger of the generator itself.
    pub trigger: Trigger,
}
