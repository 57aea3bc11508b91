//! The options of a server.

use std::io;
use std::time::Duration;

use crate::selector::{Backend, Trigger};

/// The options of a server: the class attributes of Python's servers, and more. They are set before
/// the server is bound.
///
/// ```
/// use tripoll::server::ServerConfig;
///
/// let config = ServerConfig::default().request_queue_size(5).allow_reuse_port(true);
/// assert!(config.allow_reuse_address && !ServerConfig::python().allow_reuse_address);
/// assert!(config.idle_timeout.is_some() && ServerConfig::python().idle_timeout.is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Length of the accept queue (`listen(2)` backlog), clamped to the system's limit. Default: 1024
    /// (Python: 5, which makes clients in a burst retry after one second).
    pub request_queue_size: u32,
    /// Whether a port can be bound while connections of an earlier server are in TIME_WAIT
    /// (`SO_REUSEADDR`). Default: true (Python: false).
    ///
    /// Always false for datagrams: two servers would share one port, and one of them would receive
    /// nothing.
    pub allow_reuse_address: bool,
    /// Whether several servers can share the port (`SO_REUSEPORT`). Default: false.
    pub allow_reuse_port: bool,
    /// Length of the longest datagram, in bytes. A longer one is truncated. At most 16 MiB. Default:
    /// 8192.
    pub max_packet_size: usize,
    /// How long `handle_request` waits for a request. Default: no limit; 300 s for a forking server.
    pub timeout: Option<Duration>,
    /// How long a read of a handler may block. Then it returns `TimedOut`. In the loop: how long
    /// nothing may be received. Then the exchange fails with `TimedOut`. A handler can set another
    /// timeout for itself. Default: no limit beside [`idle_timeout`](#structfield.idle_timeout).
    pub read_timeout: Option<Duration>,
    /// How long a connection may be idle in both directions while its handler waits. Then it is
    /// closed, and the handler sees the end of the stream. A write that blocks for so long, while the
    /// client reads nothing, returns `TimedOut`. It may take up to twice as long. Default: 60 s (Python:
    /// no limit).
    ///
    /// Without a limit, a client that connects and sends nothing keeps its thread, child, worker or
    /// connection for ever.
    #[doc(alias = "keepalive")]
    pub idle_timeout: Option<Duration>,
    /// Whether an IPv6 address accepts IPv6 clients only (`IPV6_V6ONLY`). Default: true, whatever the
    /// system's default is.
    pub v6_only: bool,
    /// Whether a stale file of a Unix socket, on which no process listens, is replaced. If several
    /// servers start at the same time, one of them listens and the others fail with `AddrInUse`.
    /// Default: false.
    pub replace_stale: bool,
    /// Whether the file of a Unix socket is removed when the server is closed: by the process that has
    /// bound it, and if it is still its own. Default: true (Python: false).
    pub unlink_on_close: bool,
    /// The permissions of the file of a Unix socket, for example `Some(0o660)`, at most 0o777. To
    /// connect, a process needs the permission to write. Abstract names have no file: every process
    /// of the network namespace can connect to them. Default: 0o777 without the umask. With the usual
    /// umask of 0o022 only processes of the same user can connect.
    pub socket_mode: Option<u32>,
    /// How many requests are accepted in one turn of the loop, at least one. Default: 32 (Python: 1).
    pub requests_per_turn: u32,
    /// The backend of the server's own loop. Default: [`Backend::default`] (Python: poll).
    pub backend: Backend,
    /// The trigger of the server's own loop. Default: level.
    pub trigger: Trigger,
}

/// UDP has 64 KiB at most, and a Unix socket what the kernel can allocate at once.
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
            idle_timeout: Some(Duration::from_secs(60)),
            v6_only: true,
            replace_stale: false,
            unlink_on_close: true,
            socket_mode: None,
            requests_per_turn: 32,
            backend: Backend::default(),
            trigger: Trigger::default(),
        }
    }
}

/// Setters of the fields, by value.
impl ServerConfig {
    /// Sets [`request_queue_size`](#structfield.request_queue_size).
    #[must_use]
    pub fn request_queue_size(mut self, request_queue_size: u32) -> Self {
        self.request_queue_size = request_queue_size;
        self
    }

    /// Sets [`allow_reuse_address`](#structfield.allow_reuse_address).
    #[must_use]
    pub fn allow_reuse_address(mut self, allow_reuse_address: bool) -> Self {
        self.allow_reuse_address = allow_reuse_address;
        self
    }

    /// Sets [`allow_reuse_port`](#structfield.allow_reuse_port).
    #[must_use]
    pub fn allow_reuse_port(mut self, allow_reuse_port: bool) -> Self {
        self.allow_reuse_port = allow_reuse_port;
        self
    }

    /// Sets [`max_packet_size`](#structfield.max_packet_size).
    #[must_use]
    pub fn max_packet_size(mut self, max_packet_size: usize) -> Self {
        self.max_packet_size = max_packet_size;
        self
    }

    /// Sets [`timeout`](#structfield.timeout).
    #[must_use]
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets [`read_timeout`](#structfield.read_timeout).
    #[must_use]
    pub fn read_timeout(mut self, read_timeout: Option<Duration>) -> Self {
        self.read_timeout = read_timeout;
        self
    }

    /// Sets [`idle_timeout`](#structfield.idle_timeout).
    #[must_use]
    pub fn idle_timeout(mut self, idle_timeout: Option<Duration>) -> Self {
        self.idle_timeout = idle_timeout;
        self
    }

    /// Sets [`v6_only`](#structfield.v6_only).
    #[must_use]
    pub fn v6_only(mut self, v6_only: bool) -> Self {
        self.v6_only = v6_only;
        self
    }

    /// Sets [`replace_stale`](#structfield.replace_stale).
    #[must_use]
    pub fn replace_stale(mut self, replace_stale: bool) -> Self {
        self.replace_stale = replace_stale;
        self
    }

    /// Sets [`unlink_on_close`](#structfield.unlink_on_close).
    #[must_use]
    pub fn unlink_on_close(mut self, unlink_on_close: bool) -> Self {
        self.unlink_on_close = unlink_on_close;
        self
    }

    /// Sets [`socket_mode`](#structfield.socket_mode).
    #[must_use]
    pub fn socket_mode(mut self, socket_mode: Option<u32>) -> Self {
        self.socket_mode = socket_mode;
        self
    }

    /// Sets [`requests_per_turn`](#structfield.requests_per_turn).
    #[must_use]
    pub fn requests_per_turn(mut self, requests_per_turn: u32) -> Self {
        self.requests_per_turn = requests_per_turn;
        self
    }

    /// Sets [`backend`](#structfield.backend).
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// Sets [`trigger`](#structfield.trigger).
    #[must_use]
    pub fn trigger(mut self, trigger: Trigger) -> Self {
        self.trigger = trigger;
        self
    }
}

impl ServerConfig {
    /// Returns Python's defaults, except [`v6_only`](#structfield.v6_only): it stays true, where Python
    /// leaves the system's default. A public server should keep
    /// [`idle_timeout`](#structfield.idle_timeout), which Python does not have. The defaults of Python's
    /// mix-in classes are [`Threading::python`](super::Threading::python) and
    /// [`Forking::default`](super::Forking).
    pub fn python() -> Self {
        ServerConfig {
            request_queue_size: 5,
            allow_reuse_address: false,
            idle_timeout: None,
            unlink_on_close: false,
            requests_per_turn: 1,
            backend: Backend::Poll,
            ..ServerConfig::default()
        }
    }

    /// Refuses options that make no sense.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.max_packet_size > LONGEST_PACKET {
            let message = format!(
                "max_packet_size is {} bytes, but no datagram is longer than {} MiB",
                self.max_packet_size,
                LONGEST_PACKET >> 20
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let timeouts = [("read_timeout", self.read_timeout), ("idle_timeout", self.idle_timeout)];
        for (name, timeout) in timeouts {
            if timeout.is_some_and(|timeout| timeout.is_zero()) {
                let message = format!("{name} is zero; use None for no limit");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }
        Ok(())
    }
}
