//! The server as its owner sees it.

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

/// A server: what it listens on × where requests are handled.
///
/// It dereferences to [`BaseServer`], where its attributes are, and `shutdown`.
///
/// Dropped, it stops serving and closes its socket; it waits for nobody. Who wants to wait calls
/// [`server_close`](Self::server_close).
pub struct Server<T: Transport, C: Concurrency> {
    base: Arc<BaseServer<T::Request>>,
    concurrency: PhantomData<fn() -> C>,
}

/// How long `serve_forever` waits at most before it calls `service_actions`, in Python.
pub const POLL_INTERVAL: Duration = Duration::from_millis(500);

impl<T: Transport, C: Concurrency + Default> Server<T, C> {
    /// Makes a server that listens on `address`. For each request `factory` makes a handler.
    ///
    /// # Errors
    ///
    /// When `address` is no address, or not one of this transport's, and whatever `bind(2)` and
    /// `listen(2)` say.
    pub fn new<X, H, F>(address: impl ToAddress, factory: F) -> io::Result<Self>
    where
        C: Supports<X>,
        X: ExchangeKind<Request = T::Request>,
        H: RequestHandler<X> + 'static,
        F: Fn() -> H + Send + Sync + 'static,
    {
        Self::builder(address).build(factory)
    }

    /// As [`new`](Self::new), with a handler that is nothing but a function: `handle`.
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

    /// A server of one's own choice.
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

    /// Handles requests in a reactor that is there already, from its next turn on, and returns at
    /// once: several servers in one loop, or a server beside other things. `service_actions` is
    /// called every `poll_interval`. [`shutdown`](BaseServer::shutdown) takes it out of the loop
    /// again. Clients that are kept in the loop are told of the end by that, and end there: nobody
    /// waits for them, for only the loop's owner can have it turn. (To remove the token that is
    /// returned ends the serving as well, and leaves those clients as they are.)
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
    /// Whatever `bind(2)` says.
    pub fn server_bind(&self) -> io::Result<()> {
        self.base.hooks.server_bind(&self.base)
    }

    /// Activates a server that was made with
    /// [`bind_and_activate(false)`](ServerBuilder::bind_and_activate).
    ///
    /// # Errors
    ///
    /// Whatever `listen(2)` says.
    pub fn server_activate(&self) -> io::Result<()> {
        self.base.hooks.server_activate(&self.base)
    }

    /// Stops serving, closes the socket, and waits for those who still work, as the concurrency has
    /// it: for ever if need be, as Python does. Twice is once. (A datagram server's socket closes when
    /// nobody has a [`Datagram`](super::Datagram) of it any more.)
    pub fn server_close(&self) {
        self.base.lifecycle.set_grace(None);
        self.base.hooks.server_close(&self.base);
    }

    /// As [`server_close`](Self::server_close), but whoever still works after `grace` is cut off: its
    /// connection is shut, so that a read that waits returns; a child is killed. (In [somebody else's
    /// loop](Self::serve_in) it is that loop which cuts off its clients, when it turns.)
    ///
    /// # Errors
    ///
    /// `TimedOut` when somebody works even so, half a second later: a handler that waits for something
    /// else than its client. It is left to end by itself.
    pub fn server_close_within(&self, grace: Duration) -> io::Result<()> {
        if self.base.lifecycle.is_child() {
            return Ok(()); // whoever works, works for the parent
        }
        self.base.lifecycle.set_grace(Some(grace));
        self.base.hooks.server_close(&self.base);
        if self.base.end(Some(Instant::now())) {
            return Ok(());
        }
        let message = "a handler still works, though its client was cut off";
        Err(io::Error::new(io::ErrorKind::TimedOut, message))
    }

    /// The server as its handlers see it, to be kept and sent elsewhere.
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

/// Makes a [`Server`] of one's own choice.
#[must_use = "it makes nothing before `build`"]
pub struct ServerBuilder<T: Transport, C: Concurrency> {
    address: io::Result<Address>,
    config: ServerConfig,
    concurrency: C,
    hooks: Box<dyn Hooks<T::Request>>,
    bind_and_activate: bool,
}

impl<T: Transport, C: Concurrency> ServerBuilder<T, C> {
    /// The class attributes.
    pub fn config(mut self, config: ServerConfig) -> Self {
        self.config = config;
        self
    }

    /// The concurrency, with settings of one's own.
    pub fn concurrency(mut self, concurrency: C) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// The methods that are overridden.
    pub fn hooks(mut self, hooks: impl Hooks<T::Request>) -> Self {
        self.hooks = Box::new(hooks);
        self
    }

    /// Whether the server is bound and activated when it is made: yes, if not said.
    pub fn bind_and_activate(mut self, yes: bool) -> Self {
        self.bind_and_activate = yes;
        self
    }

    /// The server. For each request `factory` makes a handler.
    ///
    /// # Errors
    ///
    /// As [`Server::new`].
    pub fn build<X, H, F>(self, factory: F) -> io::Result<Server<T, C>>
    where
        C: Supports<X>,
        X: ExchangeKind<Request = T::Request>,
        H: RequestHandler<X> + 'static,
        F: Fn() -> H + Send + Sync + 'static,
    {
        self.build_factory(X::factory(factory))
    }

    /// The server, with a handler that is nothing but a function: `handle`.
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
            let message = format!("{address} is no address of a {} server", T::NAME);
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
