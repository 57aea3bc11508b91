//! The methods of a server that can be overridden.

use std::io;

use super::base::BaseServer;
use super::handler::{HandlerError, HandlerResult};
use crate::net::Address;
use crate::server::transport::Request;

/// The methods of a server that can be overridden: Python's, under Python's names, called in
/// Python's order. Each has the body that the base class has; `server.the_same_name(…)` is that
/// body, what in Python is `super().the_same_name(…)`.
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
/// They are called on the thread that serves, but for `process_request_thread`, `finish_request`,
/// `handle_error`, `shutdown_request` and `close_request`, which are called where the request is
/// handled: there, in a thread, or in a child; and `server_bind`, `server_activate` and
/// `server_close` on the thread that makes and closes the server.
///
/// A panic ends nothing but the request: `handle_error` is told of it as of an error, and where there
/// is no request to tell of (in `get_request`, `service_actions`, `handle_timeout`) or nobody to tell
/// (in `handle_error`, `shutdown_request`) it is logged.
pub trait Hooks<R: Request>: Send + Sync + 'static {
    /// Binds the socket: called when the server is made. The socket is there already, so that
    /// options can be set on it ([`BaseServer::with_socket`]).
    ///
    /// # Errors
    ///
    /// Whatever `bind(2)` says: the server is then not made, after a `server_close`.
    fn server_bind(&self, server: &BaseServer<R>) -> io::Result<()> {
        server.server_bind()
    }

    /// Listens: called when the server is made, after `server_bind`.
    ///
    /// # Errors
    ///
    /// Whatever `listen(2)` says: the server is then not made, after a `server_close`.
    fn server_activate(&self, server: &BaseServer<R>) -> io::Result<()> {
        server.server_activate()
    }

    /// Closes the server's socket, and waits for those who still work as the concurrency has it.
    fn server_close(&self, server: &BaseServer<R>) {
        server.server_close();
    }

    /// Takes the next request: nothing slow is to be done here, for nobody else is served
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// Whatever `accept(2)` or `recvfrom(2)` says. `WouldBlock` when there is none, of course.
    fn get_request(&self, server: &BaseServer<R>) -> io::Result<(R, Address)> {
        server.get_request()
    }

    /// Whether the request is to be processed; if not, it is shut down.
    fn verify_request(
        &self,
        server: &BaseServer<R>,
        request: &R,
        client_address: &Address,
    ) -> bool {
        server.verify_request(request, client_address)
    }

    /// Has the request handled, here or elsewhere, and shut down.
    ///
    /// # Errors
    ///
    /// Any: it is told to `handle_error`, and the request shut down.
    fn process_request(
        &self,
        server: &BaseServer<R>,
        request: &R,
        client_address: &Address,
    ) -> HandlerResult {
        server.process_request(request, client_address)
    }

    /// What a thread does that was made for a request.
    fn process_request_thread(
        &self,
        server: &BaseServer<R>,
        request: &R,
        client_address: &Address,
    ) {
        server.process_request_thread(request, client_address);
    }

    /// Makes a handler and has it handle the request.
    ///
    /// # Errors
    ///
    /// The handler's.
    fn finish_request(
        &self,
        server: &BaseServer<R>,
        request: &R,
        client_address: &Address,
    ) -> HandlerResult {
        server.finish_request(request, client_address)
    }

    /// The request is done with, well or badly.
    fn shutdown_request(&self, server: &BaseServer<R>, request: &R) {
        server.shutdown_request(request);
    }

    /// The request is to be let go of. (The descriptor is closed when nobody holds it any more,
    /// which is right after this.)
    fn close_request(&self, server: &BaseServer<R>, request: &R) {
        server.close_request(request);
    }

    /// Handling a request has failed. By default the error is written to stderr, between forty
    /// dashes and forty dashes.
    fn handle_error(
        &self,
        server: &BaseServer<R>,
        request: &R,
        client_address: &Address,
        error: &HandlerError,
    ) {
        server.handle_error(request, client_address, error);
    }

    /// `handle_request` has waited for as long as it may.
    fn handle_timeout(&self, server: &BaseServer<R>) {
        server.handle_timeout();
    }

    /// Called by `serve_forever` after every turn of the loop, and at least every `poll_interval`. (In
    /// [somebody else's loop](super::Server::serve_in): every `poll_interval`.)
    fn service_actions(&self, server: &BaseServer<R>) {
        server.service_actions();
    }
}

/// Overrides no hook.
impl<R: Request> Hooks<R> for () {}
