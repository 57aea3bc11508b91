//! What is done for one client.

pub(super) mod exchange;
pub(super) mod in_loop;
pub(super) mod loop_state;
pub(super) mod python;

use std::sync::Arc;
use std::{fmt, io};

pub use exchange::{DatagramExchange, Reader, StreamExchange, StreamOptions, Writer};
pub use in_loop::LoopExchange;
pub use loop_state::Cause;
use loop_state::LoopState;
pub use python::{PythonDatagramSocket, PythonSocket};

use crate::net::{Address, Stream};
use crate::server::base::BaseServer;
use crate::server::transport::Request;
use crate::sync;

/// Whatever can go wrong in a handler: `?` makes one of any error.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// What a handler's methods return.
pub type HandlerResult = Result<(), HandlerError>;

/// What is done for one client: Python's request handler classes.
///
/// A new handler is made for each request, by the factory that the server was given. What it is
/// handed in each method has the attributes that Python's `self` has: `request`, `client_address`,
/// `server`. Which of Python's three base classes a handler has, is said by `X`:
///
/// | Python | `X` | |
/// |---|---|---|
/// | `BaseRequestHandler` | [`Exchange`] (the default), [`Exchange<Datagram>`](Exchange) | the bare request |
/// | `StreamRequestHandler` | [`StreamExchange`](crate::server::StreamExchange) | with `rfile` and `wfile` |
/// | `DatagramRequestHandler` | [`DatagramExchange`](crate::server::DatagramExchange) | with a packet to read and a reply to write |
/// | (none) | [`LoopExchange`](crate::server::LoopExchange) | for the servers that keep their clients in the loop |
///
/// A closure that takes `&mut X` is a handler: [`Server::from_fn`](crate::server::Server::from_fn).
///
/// ```
/// use tripoll::server::{Exchange, HandlerResult, PythonSocket, RequestHandler};
///
/// struct Upper;
///
/// impl RequestHandler for Upper {
///     fn handle(&mut self, exchange: &mut Exchange) -> HandlerResult {
///         let data = exchange.request.recv(1024)?;
///         exchange.request.sendall(&data.to_ascii_uppercase())?;
///         Ok(())
///     }
/// }
/// ```
pub trait RequestHandler<X: ExchangeKind = Exchange> {
    /// The class attributes of Python's handlers, for the kinds that have some. Python's defaults
    /// if not said.
    fn options(&self) -> X::Options {
        X::Options::default()
    }

    /// Before [`handle`](Self::handle). By default nothing is done. (What Python's
    /// `super().setup()` does has been done.)
    ///
    /// # Errors
    ///
    /// With any error neither `handle` nor `finish` is called. Whatever fails is told to the
    /// server's [`handle_error`](crate::server::Hooks::handle_error), and the request shut down.
    fn setup(&mut self, exchange: &mut X) -> HandlerResult {
        let _ = exchange;
        Ok(())
    }

    /// All the work: once for each request, or in the loop once for each input.
    ///
    /// # Errors
    ///
    /// Any: `finish` is called, then `handle_error`. [`Exit`] is the one that is not told to it.
    fn handle(&mut self, exchange: &mut X) -> HandlerResult;

    /// After [`handle`](Self::handle), also when that failed. By default nothing is done. (What
    /// Python's `super().finish()` does, is done afterwards.)
    ///
    /// # Errors
    ///
    /// As `handle`. If both fail, this error is the one that is told, as in Python.
    fn finish(&mut self, exchange: &mut X) -> HandlerResult {
        let _ = exchange;
        Ok(())
    }
}

impl<X: ExchangeKind, F: FnMut(&mut X) -> HandlerResult> RequestHandler<X> for F {
    fn handle(&mut self, exchange: &mut X) -> HandlerResult {
        self(exchange)
    }
}

/// The error that is none: Python's `SystemExit`. It is not told to `handle_error`. In a thread or a
/// child it ends that; where handlers run in the loop it ends the loop, and `serve_forever` returns
/// it. (A loop that the server [only shares](crate::server::Server::serve_in) goes on without it.)
///
/// ```
/// # use tripoll::server::{Exchange, Exit, HandlerResult, PythonSocket};
/// fn handle(exchange: &mut Exchange) -> HandlerResult {
///     if exchange.request.recv(1024)? == b"halt" {
///         return Err(Exit.into());
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit;

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a handler has asked the server to exit")
    }
}

impl std::error::Error for Exit {}

/// Calls a method of a handler or a hook, and returns its panic as an error.
pub(in crate::server) fn guarded<T>(
    body: impl FnOnce() -> Result<T, HandlerError>,
) -> Result<T, HandlerError> {
    sync::catch_panic(body)?
}

/// `setup`, `handle`, `finish`, as Python's `BaseRequestHandler.__init__` calls them.
pub(in crate::server) fn run<X: ExchangeKind>(
    handler: &mut impl RequestHandler<X>,
    exchange: &mut X,
) -> HandlerResult {
    handler.setup(exchange)?;
    let handled = guarded(|| handler.handle(exchange)); // `finish` is called in any case
    handler.finish(exchange)?;
    handled
}

/// One request, bare: what Python's `BaseRequestHandler` has.
///
/// `R` is `Arc<Stream>` for the stream servers and [`Datagram`](crate::server::Datagram) for the others.
#[derive(Debug)]
#[non_exhaustive]
pub struct Exchange<R: Request = Arc<Stream>> {
    /// The client's socket, blocking; or the datagram, with the socket to answer through.
    pub request: R,
    /// Who asks.
    pub client_address: Address,
    /// Who is asked. (It is the server, not its socket.)
    pub server: Arc<BaseServer<R>>,
}

/// A kind of exchange: one of this module's types. It cannot be implemented elsewhere.
pub trait ExchangeKind: Sized + 'static {
    /// What is exchanged.
    type Request: Request;
    /// What can be said about it in advance.
    type Options: Default;

    /// The request handler class: makes a handler for each request, and has it do its work.
    #[doc(hidden)]
    fn factory<H, F>(factory: F) -> HandlerFactory<Self::Request>
    where
        H: RequestHandler<Self> + 'static,
        F: Fn() -> H + Send + Sync + 'static;
}

/// A kind whose handlers may wait.
pub trait Blocking: ExchangeKind {}

impl<R: Request> Blocking for Exchange<R> {}

/// A request handler class, whatever its type.
#[doc(hidden)]
pub enum HandlerFactory<R: Request> {
    /// Does all the work in one call.
    AtOnce(Box<dyn Fn(Exchange<R>) -> HandlerResult + Send + Sync>),
    /// Is called by the loop whenever there is something to do.
    InLoop(Box<dyn Fn(Exchange<R>) -> Box<dyn LoopHandler> + Send + Sync>),
}

impl<R: Request> HandlerFactory<R> {
    pub(in crate::server) fn is_in_loop(&self) -> bool {
        matches!(self, HandlerFactory::InLoop(_))
    }
}

impl<R: Request> fmt::Debug for HandlerFactory<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Class")
    }
}

impl<R: Request> ExchangeKind for Exchange<R> {
    type Request = R;
    type Options = ();

    fn factory<H, F>(factory: F) -> HandlerFactory<R>
    where
        H: RequestHandler<Self> + 'static,
        F: Fn() -> H + Send + Sync + 'static,
    {
        HandlerFactory::AtOnce(Box::new(move |mut exchange| run(&mut factory(), &mut exchange)))
    }
}

/// A client's conversation, whatever its handler.
#[doc(hidden)]
pub trait LoopHandler {
    fn client(&self) -> (Arc<Stream>, Arc<BaseServer<Arc<Stream>>>);
    fn state(&mut self) -> &mut LoopState;
    fn opened(&mut self);
    /// Calls the handler, if there is input. Returns whether it must be called again, because it has
    /// used up a part of the input.
    fn handle_input(&mut self) -> bool;
    /// Sends the mail, and ends the conversation if it is the last.
    fn take_mail(&mut self);
    fn timed_out(&mut self);
    /// As if the client had finished.
    fn end_input(&mut self);
    /// It has failed.
    fn fail(&mut self, error: io::Error);
    /// Nothing more is to be said.
    fn finish(&mut self);
    /// The connection is gone.
    fn closed(&mut self, error: Option<io::Error>);
}
