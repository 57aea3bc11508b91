//! The class attributes of Python's servers.

use std::io;
use std::time::Duration;

use crate::selector::{Backend, Trigger};

/// The class attributes of Python's servers, and some that Python lacks. Said before the server is
/// bound, so that none of them can come too late.
///
/// ```
/// use tripoll::server::ServerConfig;
///
/// let config = ServerConfig { request_queue_size: 5, ..ServerConfig::default() };
/// assert!(config.allow_reuse_address && !ServerConfig::python().allow_reuse_address);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// How many connections may wait to be accepted: 1,024, as far as the system allows. (Python: 5,
    /// which makes clients of a burst wait a second for their second try.)
    pub request_queue_size: u32,
    /// Whether a port may be taken while connections of an earlier server are in TIME_WAIT
    /// (`SO_REUSEADDR`): yes. (Python: no.) For datagrams it is always no: there it would mean that
    /// two servers share one port and one of them gets nothing. (Python: no, but a subclass can say
    /// yes.)
    pub allow_reuse_address: bool,
    /// Whether several servers may share the port (`SO_REUSEPORT`): no.
    pub allow_reuse_port: bool,
    /// The longest datagram: 8,192 bytes. A longer one is cut. (At most 16 MiB: the kernel takes none
    /// that is longer.)
    pub max_packet_size: usize,
    /// How long `handle_request` waits: for ever; 300 s for a forking server that says nothing else.
    pub timeout: Option<Duration>,
    /// How long a handler may wait for its client to send something: for ever. Then its read fails
    /// with `TimedOut`. (In the loop, which is always ready to read: how long nothing may come; then
    /// the conversation fails with that.) A handler can say otherwise for itself.
    pub read_timeout: Option<Duration>,
    /// How long nothing may pass over a connection, in neither direction, while its handler waits: for
    /// ever. Then the connection is closed, and the handler is told what it is told when a client has
    /// finished. (A write that waits for so long fails with `TimedOut`.) It may take up to twice as
    /// long when something has passed meanwhile.
    pub idle_timeout: Option<Duration>,
    /// Whether an IPv6 address takes IPv6 clients only (`IPV6_V6ONLY`): yes, whatever the system's
    /// own default is.
    pub v6_only: bool,
    /// Whether the file of a Unix socket that nobody listens on any more may be replaced: no.
    pub replace_stale: bool,
    /// Whether a Unix socket's file is removed when the server is closed, if it is still its own:
    /// yes. (Python: no.)
    pub unlink_on_close: bool,
    /// How many requests are taken in one turn of the loop: 32. (Python: 1.)
    pub requests_per_turn: u32,
    /// Which kernel call the server waits with.
    pub backend: Backend,
    /// How the kernel is asked.
    pub trigger: Trigger,
}

/// UDP has 64 KiB, and a Unix socket what the kernel can allocate at once.
const LONGEST_PACKET: usize = 16 << 20;

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            request_queue_size: 1_024,
            allow_reuse_address: true,
            allow_reuse_port: false,
            max_packet_size: 8_192,
            timeout: None,
            read_timeout: None,
            idle_timeout: None,
            v6_only: true,
            replace_stale: false,
            unlink_on_close: true,
            requests_per_turn: 32,
            backend: Backend::default(),
            trigger: Trigger::default(),
        }
    }
}

impl ServerConfig {
    /// What Python has, where it differs: but for [`v6_only`](Self::v6_only), which stays true, where
    /// Python leaves the system's default as it is.
    pub fn python() -> Self {
        ServerConfig {
            request_queue_size: 5,
            allow_reuse_address: false,
            unlink_on_close: false,
            requests_per_turn: 1,
            backend: Backend::Poll,
            ..ServerConfig::default()
        }
    }

    /// Refuses what cannot be meant.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.max_packet_size > LONGEST_PACKET {
            let message = format!(
                "a max_packet_size of {} bytes is too much: there is no datagram of more than {} MiB",
                self.max_packet_size,
                LONGEST_PACKET >> 20
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let timeouts = [("read_timeout", self.read_timeout), ("idle_timeout", self.idle_timeout)];
        for (name, timeout) in timeouts {
            if timeout.is_some_and(|timeout| timeout.is_zero()) {
                let message =
                    format!("a {name} of zero lets nobody say anything: None is for ever");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }
        Ok(())
    }
}
