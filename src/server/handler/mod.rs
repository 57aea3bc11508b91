//! Handlers: the work for one client.

pub(super) mod conversation;
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

/// An error of a handler. The `?` operator converts any error to it.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// The result of a handler's methods.
pub type HandlerResult = Result<(), HandlerError>;

/// Does the work for one client: Python's request handler classes.
///
/// The server's factory makes a new handler for each client. Each method gets an exchange of type
/// `X`. It has the attributes of Python's `self`: `request`, `client_address`, `server`. The type
/// stands for the base class in Python:
///
/// | Python | `X` | |
/// |---|---|---|
/// | `BaseRequestHandler` | [`Exchange`] (the default), [`Exchange<Datagram>`](Exchange) | the bare request |
/// | `StreamRequestHandler` | [`StreamExchange`](crate::server::StreamExchange) | with `rfile` and `wfile` |
/// | `DatagramRequestHandler` | [`DatagramExchange`](crate::server::DatagramExchange) | with a packet to read and a reply to write |
/// | (none) | [`LoopExchange`](crate::server::LoopExchange) | for servers that keep their clients in the loop |
///
/// A closure that takes `&mut X` is a handler: see
/// [`Server::from_fn`](crate::server::Server::from_fn).
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
/// use tripoll::server::{Exchange, HandlerResult, PythonSocket, RequestHandler, TcpServer};
///
/// /// Counts the bytes, and reports the number at the end.
/// #[derive(Default)]
/// struct Count {
///     bytes: usize,
/// }
///
/// impl RequestHandler for Count {
///     fn handle(&mut self, exchange: &mut Exchange) -> HandlerResult {
///         self.bytes += exchange.request.recv(1024)?.len();
///         Ok(())
///     }
///
///     fn finish(&mut self, exchange: &mut Exchange) -> HandlerResult {
///         Ok(exchange.request.sendall(format!("{} bytes", self.bytes).as_bytes())?)
///     }
/// }
///
/// let server = TcpServer::new("127.0.0.1:0", Count::default)?;
/// let mut client = TcpStream::connect(server.server_address().to_string())?;
/// client.write_all(b"hello")?;
/// server.handle_request()?;
///
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert_eq!(answer, "5 bytes");
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
///
/// A method may return any error. The server calls the hook
/// [`handle_error`](crate::server::Hooks::handle_error) with it, and shuts the request down. A panic
/// is an error too. [`Exit`] is the exception: `handle_error` is not called with it.
pub trait RequestHandler<X: ExchangeKind = Exchange> {
    /// Returns the options: the class attributes of Python's handlers. Default: those of Python.
    fn options(&self) -> X::Options {
        X::Options::default()
    }

    /// Called before [`handle`](Self::handle). Does nothing by default. The exchange is ready by then:
    /// no `super().setup()` is needed.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors). After an error neither `handle` nor `finish` is called.
    fn setup(&mut self, exchange: &mut X) -> HandlerResult {
        let _ = exchange;
        Ok(())
    }

    /// Called once for each request. In the loop it is called each time there is input. It is also called
    /// again for a client that the handler [keeps](StreamExchange#structfield.close_connection).
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors). After an error `finish` is called, and then the hook.
    fn handle(&mut self, exchange: &mut X) -> HandlerResult;

    /// Called after [`handle`](Self::handle), even if that failed. Does nothing by default. Output is
    /// flushed afterwards: no `super().finish()` is needed.
    ///
    /// # Errors
    ///
    /// See the [trait](Self#errors). If both `handle` and `finish` fail, the hook is called with the
    /// error of `finish`, as in Python.
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

/// Ends the thread, the child or the loop in which a handler runs: Python's `SystemExit`.
///
/// It is an error that is no failure, so `handle_error` is not called with it. When it ends the loop,
/// [`serve_forever`](crate::server::Server::serve_forever) returns [`Served::Exit`]. A loop that the
/// server [shares](crate::server::Server::serve_in) continues without the server.
///
/// [`Served::Exit`]: crate::server::Served::Exit
///
/// ```
/// use std::io::Write;
/// use std::net::TcpStream;
/// use tripoll::server::{
///     Exchange, Exit, HandlerResult, POLL_INTERVAL, PythonSocket, Served, TcpServer,
/// };
///
/// fn handle(exchange: &mut Exchange) -> HandlerResult {
///     match exchange.request.recv(1024)?.as_slice() {
///         b"halt" => Err(Exit.into()),
///         data => Ok(exchange.request.sendall(data)?),
///     }
/// }
///
/// let server = TcpServer::from_fn("127.0.0.1:0", handle)?;
/// let mut client = TcpStream::connect(server.server_address().to_string())?;
/// client.write_all(b"halt")?;
/// assert_eq!(server.serve_forever(POLL_INTERVAL)?, Served::Exit);
/// # std::io::Result::Ok(())
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

/// Calls `setup`, `handle` and `finish`, as Python's `BaseRequestHandler.__init__` does.
pub(in crate::server) fn run<X: ExchangeKind>(
    handler: &mut impl RequestHandler<X>,
    exchange: &mut X,
) -> HandlerResult {
    handler.setup(exchange)?;
    let handled = guarded(|| handler.handle(exchange)); // `finish` is called in any case
    handler.finish(exchange)?;
    handled
}

/// A request without reader and writer: what Python's `BaseRequestHandler` has.
///
/// `R` is `Arc<Stream>` for stream servers, and [`Datagram`](crate::server::Datagram) for the others.
///
/// ```
/// use std::net::UdpSocket;
/// use tripoll::server::{Datagram, Exchange, PythonDatagramSocket, UdpServer};
///
/// let server = UdpServer::from_fn("127.0.0.1:0", |exchange: &mut Exchange<Datagram>| {
///     let Datagram { data, socket, .. } = &exchange.request;
///     socket.sendto(&data.to_ascii_uppercase(), &exchange.client_address)?;
///     Ok(())
/// })?;
///
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.send_to(b"hello", server.server_address().to_string())?;
/// server.handle_request()?;
/// let mut answer = [0; 5];
/// client.recv(&mut answer)?;
/// assert_eq!(&answer, b"HELLO");
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Exchange<R: Request = Arc<Stream>> {
    /// The client's socket, which is blocking and has no `TCP_NODELAY`, or the datagram with the
    /// server's socket.
    pub request: R,
    /// The client's address.
    pub client_address: Address,
    /// The server that accepted the request.
    pub server: Arc<BaseServer<R>>,
}

/// A kind of exchange. It is implemented by types of this module only.
pub trait ExchangeKind: Sized + 'static {
    /// The type of a request.
    type Request: Request;
    /// The options of a handler.
    type Options: Default;

    /// Returns the request handler class. It makes a handler for each request, and calls it.
    #[doc(hidden)]
    fn factory<H, F>(factory: F) -> HandlerFactory<Self::Request>
    where
        H: RequestHandler<Self> + Send + 'static,
        F: Fn() -> H + Send + Sync + 'static;
}

/// A kind of exchange whose handlers may block.
pub trait Blocking: ExchangeKind {}

impl<R: Request> Blocking for Exchange<R> {}

/// A request handler class, without its type.
#[doc(hidden)]
pub enum HandlerFactory<R: Request> {
    /// One call does all the work.
    AtOnce(Box<dyn Fn(Exchange<R>) -> HandlerResult + Send + Sync>),
    /// A conversation in steps, each of which may block.
    Stepwise(Box<dyn Fn(Exchange<R>) -> Box<dyn Conversation> + Send + Sync>),
    /// The loop calls the handler each time there is something to do.
    InLoop(Box<dyn Fn(Exchange<R>) -> Box<dyn LoopHandler> + Send + Sync>),
}

impl<R: Request> HandlerFactory<R> {
    pub(in crate::server) fn is_in_loop(&self) -> bool {
        matches!(self, HandlerFactory::InLoop(_))
    }
}

impl<R: Request> fmt::Debug for HandlerFactory<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandlerFactory")
    }
}

impl<R: Request> ExchangeKind for Exchange<R> {
    type Request = R;
    type Options = ();

    fn factory<H, F>(factory: F) -> HandlerFactory<R>
    where
        H: RequestHandler<Self> + Send + 'static,
        F: Fn() -> H + Send + Sync + 'static,
    {
        HandlerFactory::AtOnce(Box::new(move |mut exchange| run(&mut factory(), &mut exchange)))
    }
}

/// A conversation with one client, whose handler may block. Each step may run on another thread.
#[doc(hidden)]
pub trait Conversation: Send {
    fn stream(&self) -> &Arc<Stream>;
    /// Makes the handler, and calls `setup`. It is the first step.
    fn set_up(&mut self) -> HandlerResult;
    /// Calls `handle`. Returns whether the conversation goes on.
    fn handle(&mut self) -> Result<bool, HandlerError>;
    /// Returns whether there is input that was received, and that `handle` has not read.
    fn has_buffered_input(&self) -> bool;
    /// Frees what the conversation does not need until the next call of `handle`.
    fn rest(&mut self);
    /// Calls `finish`, unless `setup` was not called or has failed, and sends the last output. Returns
    /// the outcome of it all. It is the last step.
    fn finish(&mut self, outcome: HandlerResult) -> HandlerResult;
}

/// Runs a whole conversation on this thread, which waits for the client's input.
pub(in crate::server) fn run_whole(conversation: &mut dyn Conversation) -> HandlerResult {
    let outcome = conversation.set_up().and_then(|()| {
        while conversation.handle()? {
            if !conversation.has_buffered_input() && !conversation.stream().await_input()? {
                break;
            }
        }
        Ok(())
    });
    conversation.finish(outcome)
}

/// A handler of a client in the loop, without its type.
#[doc(hidden)]
pub trait LoopHandler {
    fn client(&self) -> (Arc<Stream>, Arc<BaseServer<Arc<Stream>>>);
    fn state(&mut self) -> &mut LoopState;
    fn opened(&mut self);
    /// Calls the handler, if there is input. Returns whether it must be called again, because it has
    /// used up a part of the input.
    fn handle_input(&mut self) -> bool;
    /// Sends the mail, and ends the conversation if it is the last mail. Fails if there was too much of
    /// it.
    fn take_mail(&mut self) -> io::Result<()>;
    fn timed_out(&mut self);
    /// Ends the conversation at the end of the input.
    fn end_input(&mut self);
    /// Ends the conversation with an error.
    fn fail(&mut self, error: io::Error);
    /// Ends the conversation.
    fn finish(&mut self);
    /// Called after the connection was closed.
    fn closed(&mut self, error: Option<io::Error>);
}
