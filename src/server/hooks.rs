//! Hooks: the methods of a server that can be overridden.

use std::io;

use super::base::BaseServer;
use super::handler::{HandlerError, HandlerResult};
use crate::net::Address;
use crate::server::transport::Request;

/// The methods of a server that can be overridden, under Python's names and called in Python's
/// order. Each has the body of the base class. Inside a hook, `server.the_same_name(…)` is that
/// body, as `super().the_same_name(…)` is in Python.
///
/// ```
/// use std::sync::Arc;
/// use tripoll::net::{Address, Stream};
/// use tripoll::server::{
///     BaseServer, Exchange, HandlerResult, Hooks, PythonSocket, ThreadingTcpServer,
/// };
///
/// struct OnlyHome;
///
/// impl Hooks<Arc<Stream>> for OnlyHome {
///     fn verify_request(
///         &self,
///         _: &BaseServer<Arc<Stream>>,
///         _: &Arc<Stream>,
///         client_address: &Address,
///     ) -> bool {
///         matches!(client_address, Address::Inet(address) if address.ip().is_loopback())
///     }
/// }
///
/// fn handle(exchange: &mut Exchange) -> HandlerResult {
///     Ok(exchange.request.sendall(b"welcome home")?)
/// }
///
/// let server = ThreadingTcpServer::builder("127.0.0.1:0").hooks(OnlyHome).build_fn(handle)?;
/// # std::io::Result::Ok(())
/// ```
///
/// Most hooks are called on the thread that serves. `process_request_thread`, `finish_request`,
/// `handle_error`, `shutdown_request` and `close_request` are called where the request is handled:
/// there, in a thread, or in a child. `server_bind`, `server_activate` and `server_close` are
/// called on the thread that makes and closes the server.
///
/// A panic of a hook ends its request only, and is reported to `handle_error`. Where there is no
/// request (`get_request`, `service_actions`, `handle_timeout`), and in `handle_error` and
/// `shutdown_request` themselves, it is logged.
pub trait Hooks<R: Request>: Send + Sync + 'static {
    /// Binds the socket. Called when the server is made. The socket exists already, so that options
    /// can be set on it ([`BaseServer::with_socket`]).
    ///
    /// # Errors
    ///
    /// Those of `bind(2)`. The server is not made then, after a `server_close`.
    fn server_bind(&self, server: &BaseServer<R>) -> io::Result<()> {
        server.server_bind()
    }

    /// Listens. Called when the server is made, after `server_bind`.
    ///
    /// # Errors
    ///
    /// Those of `listen(2)`. The server is not made then, after a `server_close`.
    fn server_activate(&self, server: &BaseServer<R>) -> io::Result<()> {
        server.server_activate()
    }

    /// Closes the server's socket, and waits for the running handlers as the concurrency defines
    /// it.
    fn server_close(&self, server: &BaseServer<R>) {
        server.server_close();
    }

    /// Accepts the next request. It must not block: meanwhile no other request is served.
    ///
    /// # Errors
    ///
    /// Those of `accept(2)` or `recvfrom(2)`. Any other error, or a panic, loses the request that the
    /// hook has accepted. It is logged, at most one line a second. `WouldBlock` before a request was
    /// accepted leaves it for later: the hook is called again after a pause.
    fn get_request(&self, server: &BaseServer<R>) -> io::Result<(R, Address)> {
        server.get_request()
    }

    /// Returns whether the request is processed. Otherwise it is shut down.
    fn verify_request(
        &self,
        server: &BaseServer<R>,
        request: &R,
        client_address: &Address,
    ) -> bool {
        server.verify_request(request, client_address)
    }

    /// Has the request handled and shut down, here or elsewhere.
    ///
    /// # Errors
    ///
    /// An error is reported to `handle_error`, and the request is shut down.
    fn process_request(
        &self,
        server: &BaseServer<R>,
        request: &R,
        client_address: &Address,
    ) -> HandlerResult {
        server.process_request(request, client_address)
    }

    /// Handles a request in the thread that was started for it.
    fn process_request_thread(
        &self,
        server: &BaseServer<R>,
        request: &R,
        client_address: &Address,
    ) {
        server.process_request_thread(request, client_address);
    }

    /// Makes a handler, and has it handle the request.
    ///
    /// # Errors
    ///
    /// Those of the handler.
    fn finish_request(
        &self,
        server: &BaseServer<R>,
        request: &R,
        client_address: &Address,
    ) -> HandlerResult {
        server.finish_request(request, client_address)
    }

    /// Shuts a request down. Called after it was handled, with success or without.
    fn shutdown_request(&self, server: &BaseServer<R>, request: &R) {
        server.shutdown_request(request);
    }

    /// Releases a request. Its descriptor is closed when it is dropped, right after this.
    fn close_request(&self, server: &BaseServer<R>, request: &R) {
        server.close_request(request);
    }

    /// Called when handling a request has failed. By default the error is written to standard
    /// error, between two lines of forty dashes.
    fn handle_error(
        &self,
        server: &BaseServer<R>,
        request: &R,
        client_address: &Address,
        error: &HandlerError,
    ) {
        server.handle_error(request, client_address, error);
    }

    /// Called when `handle_request` got no request in time.
    fn handle_timeout(&self, server: &BaseServer<R>) {
        server.handle_timeout();
    }

    /// Called by `serve_forever` after every turn of the loop, and at least every `poll_interval`.
    /// With [`serve_in`](super::Server::serve_in): every `poll_interval`.
    fn service_actions(&self, server: &BaseServer<R>) {
        server.service_actions();
    }
}

/// Overrides no hook.
impl<R: Request> Hooks<R> for () {}
