//! A listening socket.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::{fmt, fs, io};

use socket2::{Socket, Type};

use super::accept::OnEnd;
use super::address::Address;
use super::bind::BindOptions;
use super::buffered_total::BufferedTotal;
use super::listener_counters::ListenerMeter;
use super::socket_file::SocketFile;
use super::socket_kind::{SocketKind, socket_of};
use super::stream::Stream;
use super::to_address::ToAddress;
use crate::sys;

/// A listening socket, TCP or Unix. When it is dropped it is closed, and the file of a Unix socket is
/// removed: [by the process that has bound it](Self::set_unlink_on_drop), and if it is still the
/// socket's own.
///
/// It is made from an [`OwnedFd`] and the listeners of the standard library, if they listen, and
/// converts into them. A conversion changes nothing: `O_NONBLOCK` and other options stay as they are.
/// A reactor makes each listener non-blocking. [`inherited`](super::inherited) returns those with which
/// the process was started.
///
/// ```
/// use std::io::{Read, Write};
/// use tripoll::net::{Address, Listener};
/// use tripoll::Reactor;
///
/// let mut reactor = Reactor::new()?;
/// let listener = Listener::builder().max_connections(1_000).bind("127.0.0.1:0")?;
/// let address = listener.local_address().clone();
/// let greet = |mut client: tripoll::net::Stream, cx: &mut tripoll::Context| {
///     client.write_all(b"hello")?; // a short greeting fits into any socket buffer
///     cx.stop();
///     Ok(())
/// };
/// listener.serve(&mut reactor.context(), greet)?;
///
/// let Address::Inet(address) = address else { unreachable!("bound to an IP address") };
/// let mut client = std::net::TcpStream::connect(address)?;
/// reactor.run()?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert_eq!(answer, "hello");
/// # std::io::Result::Ok(())
/// ```
#[doc(alias = "server")]
#[doc(alias = "accept")]
#[doc(alias = "TcpListener")]
#[doc(alias = "evconnlistener")]
#[derive(Debug)]
pub struct Listener {
    // Dropped first: a socket that is closed looks stale as long as its file exists.
    file: Option<SocketFile>,
    socket: Socket,
    address: Address,
    backlog: u32,
    max_connections: Option<usize>,
    buffered_total: Arc<BufferedTotal>,
    accepts_per_turn: u32,
    on_end: Option<EndCallback>,
    /// Set by the first call of `meter`.
    meter: OnceLock<ListenerMeter>,
    /// Whether it is a TCP socket, as those are that it accepts. `None`: it is not known.
    is_tcp: Option<bool>,
    /// Whether what it accepts has `TCP_NODELAY` set, as the listener itself.
    gives_nodelay: bool,
}

/// What is called when a listener ends: see [`Listener::on_end`].
struct EndCallback(OnEnd);

impl fmt::Debug for EndCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndCallback")
    }
}

/// Builds a [`Listener`].
///
/// ```
/// use tripoll::net::Listener;
///
/// let options = Listener::builder().backlog(128).max_connections(1_000).max_buffered(16 << 20);
/// let tcp = options.clone().bind("127.0.0.1:0")?; // port 0: any free port
/// assert!(tcp.local_address().to_string().starts_with("127.0.0.1:"));
///
/// let path = std::env::temp_dir().join(format!("tripoll-{}", std::process::id()));
/// let unix = options.replace_stale(true).mode(0o600).bind(&path)?; // for this user only
/// drop(unix);
/// assert!(!path.exists());
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing listens before `bind`"]
pub struct ListenerBuilder {
    backlog: u32,
    options: BindOptions,
    max_connections: Option<usize>,
    max_buffered: usize,
    accepts_per_turn: u32,
}

impl Listener {
    /// Listens on `address`, with the defaults of [`Listener::builder`]. Port 0 is any free port.
    ///
    /// # Errors
    ///
    /// As [`ListenerBuilder::bind`].
    pub fn bind(address: impl ToAddress) -> io::Result<Self> {
        Listener::builder().bind(address)
    }

    /// Returns a builder, which sets the options.
    pub fn builder() -> ListenerBuilder {
        ListenerBuilder {
            backlog: 1_024,
            options: BindOptions {
                reuse_address: true,
                reuse_port: false,
                v6_only: true,
                replace_stale: false,
                mode: None,
            },
            max_connections: None,
            max_buffered: MAX_BUFFERED,
            accepts_per_turn: ACCEPTS_PER_TURN,
        }
    }

    /// Returns the address it listens on, with the port that the system chose for port 0.
    pub fn local_address(&self) -> &Address {
        &self.address
    }

    /// Returns the length of the accept queue: the requested backlog, clamped to the system's limit
    /// (`/proc/sys/net/core/somaxconn`).
    pub fn backlog(&self) -> u32 {
        self.backlog
    }

    /// Sets whether this process removes the file of a Unix socket when the listener is dropped. Default:
    /// true in the process that has bound it. False in a child that was forked later, and for a listener
    /// that was made of a descriptor. The file is removed only if it is still the socket's own.
    ///
    /// How the file survives when the socket is handed to another process:
    ///
    /// * The listener is converted into an `OwnedFd`: this process never removes the file.
    /// * This process drops the listener, and a copy of its descriptor lives on in another process: set it
    ///   to false here before. Otherwise the file is removed while the other process serves.
    /// * This process [executes](std::os::unix::process::CommandExt::exec) another program: nothing is
    ///   dropped, and the file stays.
    ///
    /// The last owner sets it to true. There it needs the absolute path of the socket. A listener that was
    /// made of a descriptor takes what was at that path for its file.
    pub fn set_unlink_on_drop(&mut self, yes: bool) {
        if let Some(file) = &mut self.file {
            file.set_unlink(yes);
        }
    }

    /// Makes [`accept`](Self::accept) non-blocking, or blocking for a thread that does nothing else.
    /// A listener in a reactor is always non-blocking. Default: non-blocking.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)`.
    pub fn set_nonblocking(&self, yes: bool) -> io::Result<()> {
        sys::set_nonblocking(self.as_fd().as_raw_fd(), yes).map(drop)
    }

    /// Returns a meter, which counts the connections from now on. Call it before the listener
    /// [serves](Self::serve) or [serves in a pool](Self::serve_in_pool). A listener without a meter counts
    /// nothing. ([`Loops`](super::Loops) have [counters](super::Loops::counters) of their own.)
    ///
    /// ```
    /// use std::io::Write;
    /// use tripoll::net::Listener;
    /// use tripoll::{Deadline, Reactor};
    ///
    /// let listener = Listener::bind("127.0.0.1:0")?;
    /// let meter = listener.meter();
    /// let address = listener.local_address().to_string();
    /// let mut reactor = Reactor::builder().build_with(Vec::new())?;
    /// listener.serve(&mut reactor.context(), |stream, cx| {
    ///     cx.state.push(stream);
    ///     Ok(())
    /// })?;
    /// let _client = std::net::TcpStream::connect(address)?;
    /// reactor.turn(Deadline::Never)?;
    /// assert_eq!((meter.counters().accepted, meter.counters().alive), (1, 1));
    /// reactor.state_mut().clear(); // closes the connection
    /// assert_eq!((meter.counters().accepted, meter.counters().alive), (1, 0));
    /// # std::io::Result::Ok(())
    /// ```
    #[doc(alias = "metrics")]
    pub fn meter(&self) -> ListenerMeter {
        self.meter.get_or_init(ListenerMeter::default).clone()
    }

    /// Sets what is called when the listener [serves](Self::serve) in a reactor and can no longer
    /// accept: `accept(2)` fails with an error that is neither a client's nor a shortage, or the
    /// kernel refuses to watch the socket. The listener is closed then, and its address is free.
    /// Connections that it has accepted are not affected.
    ///
    /// Default: [`Reactor::turn`](crate::Reactor::turn) and [`run`](crate::Reactor::run) return the
    /// error ([`Context::fail`](crate::Context::fail)), so that no program goes on as a server that
    /// no client can reach. They also do that when `ended` panics.
    ///
    /// ```
    /// use tripoll::net::Listener;
    /// use tripoll::{Context, Reactor};
    ///
    /// let mut reactor = Reactor::new()?;
    /// let handle = reactor.handle();
    /// let listener = Listener::bind("127.0.0.1:0")?.on_end(move |error| {
    ///     eprintln!("{error}");
    ///     // One of several ports is lost. Or: bind again.
    ///     let _ = handle.post(|cx: &mut Context| cx.shutdown(std::time::Duration::MAX));
    /// });
    /// listener.serve(&mut reactor.context(), |_, _| Ok(()))?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn on_end(mut self, ended: impl FnOnce(io::Error) + Send + Sync + 'static) -> Self {
        self.on_end = Some(EndCallback(Box::new(ended)));
        self
    }

    /// Accepts the next pending connection, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// Those of `accept(2)`. `WouldBlock` when no connection is pending and the listener is
    /// non-blocking.
    pub fn accept(&self) -> io::Result<Stream> {
        let (socket, peer) = sys::accept(self.as_fd(), libc::SOCK_NONBLOCK)?;
        let stream = match self.gives_nodelay {
            true => Stream::plain(socket, &peer),
            false => Stream::accepted(socket, &peer),
        };
        Ok(stream.count_toward(&self.buffered_total).known_by_listener(self.is_tcp))
    }

    /// Accepts the next pending connection with the defaults of the system: blocking, and without
    /// `TCP_NODELAY`.
    pub(crate) fn accept_plain(&self) -> io::Result<Stream> {
        let (socket, peer) = sys::accept(self.as_fd(), 0)?;
        Ok(Stream::plain(socket, &peer).count_toward(&self.buffered_total))
    }

    /// Sets how many bytes the connections may hold together.
    pub(crate) fn set_max_buffered(&mut self, bytes: usize) {
        self.buffered_total = BufferedTotal::new(bytes);
    }

    /// Returns the socket, and keeps its file.
    pub(super) fn into_socket(mut self) -> Socket {
        self.set_unlink_on_drop(false);
        self.socket
    }

    /// Listens on a bound socket. Its file, if it has one, is removed when the listener is dropped.
    pub(crate) fn listen(
        socket: Socket,
        file: Option<SocketFile>,
        backlog: u32,
    ) -> io::Result<Self> {
        let address = Address::of_socket(&socket)?;
        let limit = system_backlog();
        if limit < backlog {
            log::info!(
                "{address}: the backlog of {backlog} is clamped to the system's limit of {limit}"
            );
        }
        let backlog = backlog.min(limit);
        let length = i32::try_from(backlog).unwrap_or(i32::MAX);
        socket
            .listen(length)
            .map_err(|error| sys::with_context(format!("cannot listen on {address}"), error))?;
        Ok(Listener::listening(socket, file, address, backlog))
    }

    /// Wraps a socket that listens, with the defaults of the builder.
    fn listening(socket: Socket, file: Option<SocketFile>, address: Address, backlog: u32) -> Self {
        Listener {
            file,
            address,
            socket,
            backlog,
            max_connections: None,
            buffered_total: BufferedTotal::new(MAX_BUFFERED),
            accepts_per_turn: ACCEPTS_PER_TURN,
            on_end: None,
            meter: OnceLock::new(),
            is_tcp: None,
            gives_nodelay: false,
        }
    }

    /// Sets `TCP_NODELAY`. On Linux a socket that is accepted inherits it. Not for a socket from elsewhere:
    /// another process may accept from it.
    fn give_nodelay(&mut self) {
        let is_tcp = sys::is_tcp(self.socket.as_raw_fd());
        self.is_tcp = Some(is_tcp);
        self.gives_nodelay = is_tcp && self.socket.set_tcp_nodelay(true).is_ok();
    }

    pub(super) fn take_on_end(&mut self) -> Option<OnEnd> {
        self.on_end.take().map(|EndCallback(on_end)| on_end)
    }

    pub(super) fn take_meter(&mut self) -> Option<ListenerMeter> {
        self.meter.take()
    }

    pub(super) fn max_connections(&self) -> Option<usize> {
        self.max_connections
    }

    pub(super) fn accepts_per_turn(&self) -> u32 {
        self.accepts_per_turn
    }

    /// Counts what its connections buffer together with those of another listener.
    pub(super) fn share_buffered_total(&mut self, other: &Listener) {
        self.buffered_total = Arc::clone(&other.buffered_total);
    }

    /// Accepts and closes all pending connections. Returns their number, and the error that ended it.
    pub(crate) fn reject_pending(&self) -> (usize, Option<io::Error>) {
        // With a backlog of n, Linux keeps n + 1 connections.
        let most = (self.backlog as usize).saturating_add(1);
        let mut count = 0;
        while count < most {
            if let Err(error) = self.accept() {
                return (count, Some(error));
            }
            count += 1;
        }
        (count, None)
    }
}

/// The default of what all connections of a listener may hold together, in bytes.
const MAX_BUFFERED: usize = 64 << 20;

/// The default number of connections accepted in one turn.
const ACCEPTS_PER_TURN: u32 = 32;

impl ListenerBuilder {
    /// Sets the length of the accept queue (the `listen(2)` backlog), clamped to the system's limit:
    /// see [`Listener::backlog`]. Default: 1024 (5 in the tutorials).
    pub fn backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
        self
    }

    /// Sets whether a port can be bound while connections of an earlier listener are in TIME_WAIT
    /// (`SO_REUSEADDR`). Default: true.
    pub fn reuse_address(mut self, yes: bool) -> Self {
        self.options.reuse_address = yes;
        self
    }

    /// Sets whether several listeners can share the port (`SO_REUSEPORT`). The kernel distributes
    /// connections among them. When one of them is closed, the connections in its queue are lost.
    /// Default: false.
    pub fn reuse_port(mut self, yes: bool) -> Self {
        self.options.reuse_port = yes;
        self
    }

    /// Sets whether an IPv6 address accepts IPv6 clients only (`IPV6_V6ONLY`). Default: true, whatever
    /// the system's default is.
    pub fn v6_only(mut self, yes: bool) -> Self {
        self.options.v6_only = yes;
        self
    }

    /// Sets whether a stale file of a Unix socket, on which no process listens, is replaced. No other
    /// file is ever removed. If several processes start at the same time, one listens and the others
    /// fail with `AddrInUse`. While the file is replaced, a lock file is beside it, with `.lock` at
    /// the end of its name. Default: false.
    pub fn replace_stale(mut self, yes: bool) -> Self {
        self.options.replace_stale = yes;
        self
    }

    /// Sets the permissions of the file of a Unix socket, for example `0o660`. To connect, a process
    /// needs the permission to write. Abstract names have no file: every process of the network
    /// namespace can connect to them. Default: 0o777 without the umask. With the usual umask of 0o022
    /// only processes of the same user can connect.
    pub fn mode(mut self, mode: u32) -> Self {
        self.options.mode = Some(mode);
        self
    }

    /// Sets how many accepted connections can be open at once, at least one. Further connections are
    /// not accepted and wait in the backlog. Default: no limit.
    #[doc(alias = "limit")]
    pub fn max_connections(mut self, max: usize) -> Self {
        self.max_connections = Some(max.max(1));
        self
    }

    /// Sets how many bytes all [connections](super::Connection) of the listener together may hold, in
    /// their write buffers and as unused input. Above it, a connection that holds more than an equal
    /// share of it, and would hold more, is closed with
    /// [`CloseReason::ListenerOverflow`](super::CloseReason::ListenerOverflow). An equal share is
    /// `bytes` divided by the number of connections that hold any. What counts is what a connection
    /// held before, so that a single write may be of any size.
    ///
    /// If the large holders do not grow, the others may hold as much again. Above twice `bytes`, each
    /// connection that holds any is closed when it would hold more. So at most twice `bytes` are held,
    /// and the last write of each connection. `usize::MAX` is no limit. Default: 64 MiB.
    #[doc(alias = "memory")]
    pub fn max_buffered(mut self, bytes: usize) -> Self {
        self.max_buffered = bytes;
        self
    }

    /// Sets how many connections are accepted in one turn, at least one, so that a burst of new
    /// clients does not starve the others. Default: 32.
    pub fn accepts_per_turn(mut self, budget: u32) -> Self {
        self.accepts_per_turn = budget.max(1);
        self
    }

    /// Binds to `address` and listens. Port 0 is any free port.
    ///
    /// # Errors
    ///
    /// Those of [`ToAddress::to_address`], of `bind(2)` (`AddrInUse`, `PermissionDenied`) and of
    /// `listen(2)`, with the address and the cause in the message. `InvalidInput` for a
    /// [`mode`](Self::mode) over 0o777.
    pub fn bind(self, address: impl ToAddress) -> io::Result<Listener> {
        let address = address.to_address()?;
        let socket = BindOptions::socket(&address, Type::STREAM)?;
        let file = self.options.bind(&socket, &address)?;
        let mut listener = Listener::listen(socket, file, self.backlog)?;
        listener.give_nodelay();
        Ok(self.set_up(listener))
    }

    /// Wraps a socket that listens already: one from another library, from another process, or one
    /// that was [inherited](super::inherited). Only the options that concern accepting apply, such as
    /// [`max_connections`](Self::max_connections). The backlog, the address and the mode of the file
    /// stay as they are. [`Listener::backlog`] is the system's limit then, because the kernel does not
    /// tell what was requested.
    ///
    /// `O_NONBLOCK` stays as it is. The file of a Unix socket is left to its earlier owner, unless
    /// [`Listener::set_unlink_on_drop`] says otherwise.
    ///
    /// ```
    /// use tripoll::net::{Address, Listener};
    ///
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let address = Address::Inet(listener.local_addr()?);
    /// let listener = Listener::builder().max_connections(100).wrap(listener)?;
    /// assert_eq!(listener.local_address(), &address);
    ///
    /// let not_listening = std::net::UdpSocket::bind("127.0.0.1:0")?;
    /// let error = Listener::builder().wrap(not_listening).unwrap_err();
    /// assert!(error.to_string().ends_with("is not a socket that listens: it is a UDP socket"));
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a descriptor that is not a stream socket that listens, TCP or Unix. The
    /// message has its number and says what it is. The descriptor is closed then.
    pub fn wrap(self, socket: impl Into<OwnedFd>) -> io::Result<Listener> {
        let is_listener = |kind| matches!(kind, SocketKind::Listener(_));
        let socket = socket_of(socket.into(), "a socket that listens", is_listener)?;
        let address = Address::of_socket(&socket)?;
        let file = SocketFile::of_elsewhere(&address);
        Ok(self.set_up(Listener::listening(socket, file, address, system_backlog())))
    }

    /// Applies the options that concern accepting.
    fn set_up(self, mut listener: Listener) -> Listener {
        listener.max_connections = self.max_connections;
        listener.buffered_total = BufferedTotal::new(self.max_buffered);
        listener.accepts_per_turn = self.accepts_per_turn;
        listener
    }
}

/// Returns the system's limit of the backlog.
fn system_backlog() -> u32 {
    fs::read_to_string("/proc/sys/net/core/somaxconn")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(u32::MAX)
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
