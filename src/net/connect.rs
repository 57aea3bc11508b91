//! Connections out: to one address of several, to a name, and again and again.
//!
//! A connect is a chain of stages, each with a source of its own: see [`stage`](super::stage).
//!
//! ```text
//!             a try: `run`
//!   start ──► resolving ──► attempt ──► attempt ──► ... ──► a stream ──► the callback,
//!         ▲   a name only   address 1   address 2     │                  or a connection
//!         │                                           │ failed: `tries`  │ lost: `again`
//!         └──────────── pause ◄───────────────────────┴──────────────────┘
//! ```

mod again;
mod attempt;
mod pause;
mod run;
mod tries;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use super::close_reason::CloseReason;
use super::connection::Connection;
use super::protocol::Protocol;
use super::retry::Retry;
use super::stage::{Connecting, Stop};
use super::stream::Stream;
use crate::pool::Pool;
use crate::reactor::Context;
use crate::selector::Interest;
use run::{Done, Plan, Target};

/// Connects to one address of several, TCP or Unix, without blocking the loop.
///
/// The addresses are tried one after another, in their order, until one accepts. The result is a
/// [`Stream`] for a [callback](Self::start), or a [`Connection`] that is [served](Self::serve).
///
/// What is tried is bounded:
///
/// | what | option | default | then |
/// |---|---|---|---|
/// | one address | [`attempt_timeout`](Self::attempt_timeout) | 10 s | the next address |
/// | resolving and all addresses | [`timeout`](Self::timeout) | 30 s | it fails: `TimedOut` |
///
/// See [a client](crate::guide::connect) in the guide.
///
/// ```
/// use std::io::{self, Write};
/// use tripoll::net::{Closed, Connect, Connection, Listener, Protocol, Wire};
/// use tripoll::{Context, Reactor};
///
/// /// Prints what the server says.
/// struct Print;
///
/// impl Protocol<String> for Print {
///     fn opened(&mut self, wire: &mut Wire, _: &mut Context<String>) -> io::Result<()> {
///         println!("connected to {}", wire.peer());
///         Ok(())
///     }
///
///     fn received(
///         &mut self,
///         _: &mut Wire,
///         data: &[u8],
///         cx: &mut Context<String>,
///     ) -> io::Result<usize> {
///         *cx.state += &String::from_utf8_lossy(data);
///         Ok(data.len())
///     }
///
///     fn closed(&mut self, closed: &Closed, cx: &mut Context<String>) {
///         println!("{closed}"); // "closed", or why it could not connect
///         cx.stop();
///     }
/// }
///
/// let mut reactor = Reactor::builder().build_with(String::new())?;
/// let listener = Listener::bind("127.0.0.1:0")?;
/// let address = listener.local_address().clone();
/// listener.serve(&mut reactor.context(), |mut stream, _| stream.write_all(b"hello"))?;
///
/// let nothing_listens = "/run/no/such/socket".parse()?;
/// Connect::to_any([nothing_listens, address])
///     .serve(Connection::new(Print), &mut reactor.context());
/// reactor.run()?;
/// assert_eq!(reactor.state(), "hello");
/// # io::Result::Ok(())
/// ```
///
/// # What happens
///
/// * `connect(2)` is called on a socket that does not block. When the socket is writable, `SO_ERROR`
///   says whether it is connected.
/// * The kernel refuses a Unix socket while the backlog of its listener is full (EAGAIN). The call is
///   made again after 1 ms, and then after twice the time before, up to 100 ms, until the time limit.
/// * A TCP socket may connect to itself if it is given the port to which it connects: no process
///   listens there. That counts as refused.
/// * If there is no descriptor for a socket (EMFILE, ENFILE), the other addresses are not tried.
/// * TCP sockets have `TCP_NODELAY` set, as a [`Listener`](super::Listener)'s have.
/// * When the reactor [shuts down](Context::shutdown), it fails with an error of kind
///   `ConnectionAborted`. When the reactor is dropped, the socket is closed, and no callback is called.
///
/// # Errors
///
/// The errors of a connect are passed to its callback or to its protocol, never returned, and never
/// before the call has returned that began it. The text names the addresses that were tried, each with
/// its reason. The kind, and the [number](crate::sys::errno), are those of the last one:
///
/// | kind | cause, see `connect(2)` |
/// |---|---|
/// | `ConnectionRefused` | no process listens there (ECONNREFUSED) |
/// | `TimedOut` | no answer within a time limit, or the kernel's own (ETIMEDOUT) |
/// | `NetworkUnreachable`, `HostUnreachable` | there is no way to it (ENETUNREACH, EHOSTUNREACH) |
/// | `AddrNotAvailable` | all local ports are in use, or the [local address](Self::bind) is not this machine's (EADDRNOTAVAIL) |
/// | `AddrInUse` | the [local address](Self::bind) is in use (EADDRINUSE) |
/// | `PermissionDenied` | the Unix socket is not writable, or a rule of the firewall forbids it (EACCES, EPERM) |
/// | `NotFound` | there is no such file of a Unix socket (ENOENT) |
/// | `InvalidInput` | an address to which no socket can connect, or none at all |
/// | `Other` or `Uncategorized` | there is no descriptor left (EMFILE, ENFILE), and others |
/// | `ConnectionAborted` | [cancelled](Connecting::cancel), or the reactor shuts down |
#[derive(Debug, Clone)]
#[must_use = "nothing is connected before `start` or `serve`"]
#[doc(alias = "client")]
pub struct Connect {
    plan: Plan,
    retry: Option<Retry>,
}

impl Connect {
    /// Connects to one address.
    pub fn to(address: impl Into<Address>) -> Self {
        Connect::to_any([address.into()])
    }

    /// Connects to one of several addresses: to the first one that accepts.
    pub fn to_any(addresses: impl IntoIterator<Item = Address>) -> Self {
        Connect::with(Target::Addresses(addresses.into_iter().collect()))
    }

    /// Connects to a name, such as `"example.org:443"`. It is resolved by a worker of `pool`, never by
    /// the loop, and its addresses are tried in the order in which the resolver returns them. Any text
    /// that [`ToAddress`](super::ToAddress) takes will do: see [`resolve`](super::resolve()).
    #[doc(alias = "dns")]
    pub fn to_name(name: impl Into<String>, pool: &Arc<Pool>) -> Self {
        Connect::with(Target::Name { name: name.into(), pool: Arc::clone(pool) })
    }

    fn with(target: Target) -> Self {
        let (attempt_timeout, timeout) = (Duration::from_secs(10), Duration::from_secs(30));
        Connect { plan: Plan { target, local: None, attempt_timeout, timeout }, retry: None }
    }

    /// Sets how long one address may take. Then the next one is tried. `Duration::MAX` is no limit but
    /// the kernel's, about two minutes for TCP. Default: 10 s.
    pub fn attempt_timeout(mut self, time: Duration) -> Self {
        self.plan.attempt_timeout = time;
        self
    }

    /// Sets how long resolving and all addresses may take together. `Duration::MAX` is no limit.
    /// Default: 30 s.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.plan.timeout = time;
        self
    }

    /// Sets the local address to which sockets are bound (`bind(2)`): an IP address of this machine,
    /// with port 0 for any free port, or the name of a Unix socket. Addresses of another family cannot
    /// be connected then, and are passed over. Default: the kernel chooses.
    ///
    /// The file of a Unix socket is created. It is removed if the socket cannot be connected. Otherwise
    /// it stays, because the server may look at it.
    pub fn bind(mut self, local: impl Into<Address>) -> Self {
        self.plan.local = Some(local.into());
        self
    }

    /// Sets that a connect that failed is tried again after a pause, from the first address on. A name is
    /// resolved again. The [time limits](Self::timeout) are those of each try. The callback or protocol
    /// is called when a try succeeds, or when the last one has failed. What fails before is logged as a
    /// warning, one line a second at most. If no socket can connect to any of the addresses
    /// (`InvalidInput`), they are not tried again. Default: one try.
    ///
    /// It keeps one more descriptor, for the pauses.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use tripoll::Reactor;
    /// use tripoll::net::{Address, Connect, Listener, Retry};
    ///
    /// let address: Address = "@tripoll-doc-retry".parse()?;
    /// let mut reactor = Reactor::builder().build_with(None)?;
    /// let mut cx = reactor.context();
    /// let retry = Retry::new().first(Duration::from_millis(1));
    /// Connect::to(address.clone()).retry(retry).start(&mut cx, |stream, cx| {
    ///     *cx.state = Some(stream);
    ///     cx.stop();
    /// });
    /// // The server is slow to start.
    /// cx.set_timer(Instant::now() + Duration::from_millis(5), move |cx| {
    ///     let listener = Listener::bind(address).expect("the name is free");
    ///     listener.serve(cx, |_, _| Ok(())).expect("it can be watched");
    /// });
    /// reactor.run()?;
    /// assert!(reactor.state_mut().take().expect("it was called").is_ok());
    /// # std::io::Result::Ok(())
    /// ```
    #[doc(alias = "backoff")]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Connects, and calls `done` with the stream or with the error: once, never from inside this call,
    /// and not at all if the reactor is dropped before. The stream does not block.
    ///
    /// ```
    /// use std::io::Write;
    /// use tripoll::net::{Connect, Listener};
    /// use tripoll::Reactor;
    ///
    /// let listener = Listener::bind("@tripoll-doc-connect")?;
    /// let address = listener.local_address().clone();
    /// let mut reactor = Reactor::new()?;
    /// Connect::to(address.clone()).start(&mut reactor.context(), move |stream, cx| {
    ///     let mut stream = stream.expect("it listens");
    ///     assert_eq!(*stream.peer(), address);
    ///     stream.write_all(b"hello").expect("there is room");
    ///     cx.stop();
    /// });
    /// reactor.run()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn start<S: 'static>(
        self,
        cx: &mut Context<'_, S>,
        done: impl FnOnce(io::Result<Stream>, &mut Context<'_, S>) + 'static,
    ) -> Connecting {
        self.begin(cx, Box::new(|result, cx| done(result.map_err(Stop::into_error), cx)))
    }

    /// Connects, and serves the connection in the reactor. Its protocol is
    /// [opened](Protocol::opened), or it is closed with [`CloseReason::ConnectFailed`] (with
    /// [`CloseReason::Removed`] if the connect was [cancelled](Connecting::cancel)).
    pub fn serve<S, P>(self, connection: Connection<P>, cx: &mut Context<'_, S>) -> Connecting
    where
        S: 'static,
        P: Protocol<S> + 'static,
    {
        self.begin(cx, Box::new(|result, cx| open(connection, result, cx)))
    }

    /// Connects, serves the connection, and connects again when the connection is lost.
    ///
    /// `make` is called before each try, for the first time in this call, and returns the connection for
    /// it, with a protocol of its own. The protocol is [opened](Protocol::opened) and later closed, or
    /// closed with [`CloseReason::ConnectFailed`]. After a pause follows the next try, as
    /// [`retry`](Self::retry) says; without it, with the defaults of [`Retry`]. After a success the
    /// pauses begin anew. There is a pause after the end of a connection, too: a server that accepts and
    /// closes at once costs two to four tries a second.
    ///
    /// This ends when `make` returns `None`, when the tries are used up, when it is
    /// [cancelled](Connecting::cancel), when the connection is [removed](Context::remove) or
    /// [detached](super::Wire::detach), and when the reactor shuts down. Any other end of the connection
    /// is a loss, be it by the peer, by its own protocol, or by a panic of the protocol. A panic of `make`
    /// ends it.
    ///
    /// ```
    /// use std::io;
    /// use std::time::Duration;
    /// use tripoll::net::{Connect, Connection, Listener, Protocol, Retry, Wire};
    /// use tripoll::{Context, Reactor};
    ///
    /// /// Counts how often it is connected.
    /// struct Client;
    ///
    /// impl Protocol<u32> for Client {
    ///     fn opened(&mut self, _: &mut Wire, cx: &mut Context<u32>) -> io::Result<()> {
    ///         *cx.state += 1;
    ///         Ok(())
    ///     }
    ///
    ///     fn received(&mut self, _: &mut Wire, data: &[u8], _: &mut Context<u32>) -> io::Result<usize> {
    ///         Ok(data.len())
    ///     }
    /// }
    ///
    /// let mut reactor = Reactor::builder().build_with(0)?;
    /// let listener = Listener::bind("127.0.0.1:0")?;
    /// let connect = Connect::to(listener.local_address().clone());
    /// // A server that closes each connection at once.
    /// listener.serve(&mut reactor.context(), |_, _| Ok(()))?;
    ///
    /// let connect = connect.retry(Retry::new().first(Duration::from_millis(1)));
    /// connect.serve_again(&mut reactor.context(), |cx| {
    ///     if *cx.state == 3 {
    ///         cx.stop();
    ///         return None;
    ///     }
    ///     Some(Connection::new(Client))
    /// });
    /// reactor.run()?;
    /// assert_eq!(*reactor.state(), 3);
    /// # io::Result::Ok(())
    /// ```
    #[doc(alias = "reconnect")]
    pub fn serve_again<S, P>(
        self,
        cx: &mut Context<'_, S>,
        make: impl FnMut(&mut Context<'_, S>) -> Option<Connection<P>> + 'static,
    ) -> Connecting
    where
        S: 'static,
        P: Protocol<S> + 'static,
    {
        let connecting = Connecting::new();
        let retry = self.retry.unwrap_or_default();
        again::begin(self.plan, &retry, connecting.clone(), make, cx);
        connecting
    }

    fn begin<S: 'static>(self, cx: &mut Context<'_, S>, done: Done<S>) -> Connecting {
        let connecting = Connecting::new();
        let over = connecting.clone();
        let done = Box::new(move |result, cx: &mut Context<'_, S>| {
            over.set_over();
            done(result, cx);
        });
        match self.retry {
            None => run::begin(self.plan, connecting.clone(), true, cx, done),
            Some(retry) => tries::begin(self.plan, &retry, connecting.clone(), cx, done),
        }
        connecting
    }
}

/// Serves a connection, or tells its protocol why there is none.
fn open<S, P>(connection: Connection<P>, result: Result<Stream, Stop>, cx: &mut Context<'_, S>)
where
    S: 'static,
    P: Protocol<S> + 'static,
{
    let (connection, why) = match result {
        Ok(stream) => {
            let known = stream.known();
            match cx.add_known(stream, Interest::READ, connection, known) {
                Ok(_) => return,
                Err((refused, connection)) => {
                    (connection, CloseReason::ConnectFailed(refused.into()))
                }
            }
        }
        Err(stop) => (connection, stop.into_reason()),
    };
    connection.not_connected(why, cx);
}
