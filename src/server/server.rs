//! The server and its builder.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io};

use super::base::BaseServer;
use super::config::ServerConfig;
use super::handler::{HandlerResult, RequestHandler};
use super::hooks::Hooks;
use crate::net::{Address, ToAddress};
use crate::reactor::Context;
use crate::selector::Token;
use crate::server::concurrency::{Concurrency, Supports};
use crate::server::event_loop::{Handled, Served};
use crate::server::handler::{ExchangeKind, HandlerFactory};
use crate::server::transport::Transport;

/// A server: a transport × a concurrency.
///
/// It dereferences to [`BaseServer`], which has its attributes and `shutdown`.
///
/// When it is dropped, it stops serving and closes its socket, without waiting.
/// [`server_close`](Self::server_close) waits.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::{Shutdown, TcpStream};
/// use tripoll::server::{Exchange, POLL_INTERVAL, PythonSocket, ThreadingTcpServer};
///
/// let server = ThreadingTcpServer::from_fn("127.0.0.1:0", |exchange: &mut Exchange| {
///     let data = exchange.request.recv(1024)?;
///     exchange.request.sendall(&data.to_ascii_uppercase())?;
///     Ok(())
/// })?;
/// std::thread::scope(|scope| {
///     let serving = scope.spawn(|| server.serve_forever(POLL_INTERVAL));
///     let mut client = TcpStream::connect(server.server_address().to_string())?;
///     client.write_all(b"hello")?;
///     client.shutdown(Shutdown::Write)?;
///     let mut answer = String::new();
///     client.read_to_string(&mut answer)?;
///     assert_eq!(answer, "HELLO");
///     server.shutdown()?; // the loop ends
///     server.server_close(); // and so do the threads
///     serving.join().expect("no panic")
/// })?;
/// # std::io::Result::Ok(())
/// ```
pub struct Server<T: Transport, C: Concurrency> {
    base: Arc<BaseServer<T::Request>>,
    concurrency: PhantomData<fn() -> C>,
}

/// Python's default interval between calls of `service_actions`.
pub const POLL_INTERVAL: Duration = Duration::from_millis(500);

impl<T: Transport, C: Concurrency + Default> Server<T, C> {
    /// Makes a server that listens on `address`. `factory` makes a handler for each request.
    ///
    /// # Errors
    ///
    /// Those of [`ToAddress::to_address`], of `bind(2)` and of `listen(2)`. `InvalidInput` for an
    /// address of another transport.
    pub fn new<X, H, F>(address: impl ToAddress, factory: F) -> io::Result<Self>
    where
        C: Supports<X>,
        X: ExchangeKind<Request = T::Request>,
        H: RequestHandler<X> + Send + 'static,
        F: Fn() -> H + Send + Sync + 'static,
    {
        Self::builder(address).build(factory)
    }

    /// As [`new`](Self::new), with a function as the handler.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn from_fn<X, F>(address: impl ToAddress, handle: F) -> io::Result<Self>
    where
        C: Supports<X>,
        X: ExchangeKind<Request = T::Request>,
        F: Fn(&mut X) -> HandlerResult + Send + Sync + 'static,
    {
        Self::builder(address).build_fn(handle)
    }

    /// Returns a builder, which sets the options.
    pub fn builder(address: impl ToAddress) -> ServerBuilder<T, C> {
        ServerBuilder {
            address: address.to_address(),
            config: ServerConfig::default(),
            concurrency: C::default(),
            hooks: Box::new(()),
            bind_and_activate: true,
        }
    }
}

impl<T: Transport, C: Concurrency> Server<T, C> {
    /// Handles requests until [`shutdown`](BaseServer::shutdown), in a loop of its own on this
    /// thread. Returns how it ended. `poll_interval` only sets how often `service_actions` is called
    /// ([`POLL_INTERVAL`] in Python): a shutdown does not wait for it.
    ///
    /// # Errors
    ///
    /// | kind | cause |
    /// |---|---|
    /// | `NotConnected` | the server was closed (after it has served; before that, the first call returns [`Served::Shutdown`]) |
    /// | `ResourceBusy` | the server is serving already |
    /// | `InvalidInput` | the server was not bound or not activated |
    /// | others | those of creating the loop, and of a listener that failed |
    pub fn serve_forever(&self, poll_interval: Duration) -> io::Result<Served> {
        self.base.serve_forever(poll_interval)
    }

    /// Handles one request, or calls `handle_timeout` when there was none within
    /// [`timeout`](ServerConfig::timeout).
    ///
    /// # Errors
    ///
    /// As [`serve_forever`](Self::serve_forever).
    pub fn handle_request(&self) -> io::Result<Handled> {
        self.base.handle_request()
    }

    /// Handles the next request if there is one, and never blocks: for a loop of your own that watches
    /// [`fileno`](BaseServer::fileno). In a loop of this crate, use [`serve_in`](Self::serve_in).
    ///
    /// # Errors
    ///
    /// `Unsupported` for the servers whose clients are kept in the loop. A request that cannot be
    /// accepted is not an error.
    pub fn handle_request_noblock(&self) -> io::Result<Handled> {
        self.base.handle_request_noblock()
    }

    /// Handles requests in a reactor of your own, from its next turn on, and returns at once:
    /// several servers in one loop, or a server beside other sources. `service_actions` is called
    /// every `poll_interval`. [`shutdown`](BaseServer::shutdown) removes the server from the loop,
    /// and ends the clients that it keeps there, without waiting for them. To remove the returned
    /// token also ends the run, and leaves those clients as they are.
    ///
    /// The time limits of the clients that it keeps there follow the
    /// [clock](crate::reactor::ReactorBuilder::clock) of the reactor.
    ///
    /// When the socket can no longer accept, [`Reactor::run`](crate::Reactor::run) returns the error.
    ///
    /// # Errors
    ///
    /// As [`serve_forever`](Self::serve_forever). `ConnectionAborted` when it was shut down before it
    /// has ever served.
    pub fn serve_in<S: 'static>(
        &self,
        poll_interval: Duration,
        cx: &mut Context<'_, S>,
    ) -> io::Result<Token> {
        self.base.serve_in(poll_interval, cx)
    }

    /// Binds a server that was made with
    /// [`bind_and_activate(false)`](ServerBuilder::bind_and_activate).
    ///
    /// # Errors
    ///
    /// Those of `bind(2)`.
    pub fn server_bind(&self) -> io::Result<()> {
        self.base.hooks.server_bind(&self.base)
    }

    /// Activates a server that was made with
    /// [`bind_and_activate(false)`](ServerBuilder::bind_and_activate).
    ///
    /// # Errors
    ///
    /// Those of `listen(2)`.
    pub fn server_activate(&self) -> io::Result<()> {
        self.base.hooks.server_activate(&self.base)
    }

    /// Ends the run, closes the socket, and waits for the running handlers as the concurrency
    /// defines it: forever if need be, as Python does. A second call does nothing. The socket of a
    /// datagram server is closed when the last [`Datagram`](super::Datagram) of it is dropped.
    pub fn server_close(&self) {
        self.base.lifecycle.set_grace(None);
        self.base.hooks.server_close(&self.base);
    }

    /// As [`server_close`](Self::server_close), but handlers that run longer than `grace` are cut
    /// off: their connections are shut down, so that a blocking read returns, and children are
    /// killed. In [a loop of your own](Self::serve_in) the loop cuts off its clients, when it
    /// turns.
    ///
    /// # Errors
    ///
    /// `TimedOut` when a handler still runs half a second later, because it waits for something
    /// else than its client. It is left to end by itself.
    pub fn server_close_within(&self, grace: Duration) -> io::Result<()> {
        if self.base.lifecycle.is_child() {
            return Ok(()); // the handlers work for the parent
        }
        self.base.lifecycle.set_grace(Some(grace));
        self.base.hooks.server_close(&self.base);
        if self.base.end(Some(Instant::now())) {
            return Ok(());
        }
        let message = "a handler still runs, although its connection was shut down";
        Err(io::Error::new(io::ErrorKind::TimedOut, message))
    }

    /// Returns the server as its handlers see it, to be sent elsewhere.
    pub fn base(&self) -> &Arc<BaseServer<T::Request>> {
        &self.base
    }
}

impl<T: Transport, C: Concurrency> Deref for Server<T, C> {
    type Target = BaseServer<T::Request>;

    fn deref(&self) -> &Self::Target {
        &self.base
    }
}

impl<T: Transport, C: Concurrency> Drop for Server<T, C> {
    fn drop(&mut self) {
        self.base.request_shutdown();
        self.base.close_socket();
    }
}

impl<T: Transport, C: Concurrency> fmt::Debug for Server<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.base).finish()
    }
}

/// Builds a [`Server`].
#[must_use = "nothing is built before `build`"]
pub struct ServerBuilder<T: Transport, C: Concurrency> {
    address: io::Result<Address>,
    config: ServerConfig,
    concurrency: C,
    hooks: Box<dyn Hooks<T::Request>>,
    bind_and_activate: bool,
}

impl<T: Transport, C: Concurrency> ServerBuilder<T, C> {
    /// Sets the options of the server. Default: [`ServerConfig::default`].
    pub fn config(mut self, config: ServerConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the concurrency, with its options.
    pub fn concurrency(mut self, concurrency: C) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets the hooks. Default: none.
    pub fn hooks(mut self, hooks: impl Hooks<T::Request>) -> Self {
        self.hooks = Box::new(hooks);
        self
    }

    /// Sets whether the server is bound and activated when it is built. Default: true.
    pub fn bind_and_activate(mut self, yes: bool) -> Self {
        self.bind_and_activate = yes;
        self
    }

    /// Builds the server. `factory` makes a handler for each request.
    ///
    /// # Errors
    ///
    /// As [`Server::new`].
    pub fn build<X, H, F>(self, factory: F) -> io::Result<Server<T, C>>
    where
        C: Supports<X>,
        X: ExchangeKind<Request = T::Request>,
        H: RequestHandler<X> + Send + 'static,
        F: Fn() -> H + Send + Sync + 'static,
    {
        self.build_factory(X::factory(factory))
    }

    /// Builds the server, with a function as the handler.
    ///
    /// # Errors
    ///
    /// As [`Server::new`].
    pub fn build_fn<X, F>(self, handle: F) -> io::Result<Server<T, C>>
    where
        C: Supports<X>,
        X: ExchangeKind<Request = T::Request>,
        F: Fn(&mut X) -> HandlerResult + Send + Sync + 'static,
    {
        let handle = Arc::new(handle);
        self.build(move || {
            let handle = Arc::clone(&handle);
            move |exchange: &mut X| handle(exchange)
        })
    }

    fn build_factory(self, factory: HandlerFactory<T::Request>) -> io::Result<Server<T, C>> {
        let address = self.address?;
        if !T::takes(&address) {
            let message = format!("{address} is not an address of a {} server", T::NAME);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        self.config.check()?;
        let base =
            BaseServer::new(self.config, address, factory, self.hooks, self.concurrency.runner()?)?;
        let server = Server { base, concurrency: PhantomData };
        if self.bind_and_activate {
            let bound = server.server_bind().and_then(|()| server.server_activate());
            bound.inspect_err(|_| server.server_close())?;
        }
        Ok(server)
    }
}

impl<T: Transport, C: Concurrency + fmt::Debug> fmt::Debug for ServerBuilder<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("address", &self.address)
            .field("config", &self.config)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}
