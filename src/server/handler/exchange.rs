//! Exchanges with a reader and a writer.

use std::fmt;
use std::io::{self, BufRead, BufReader, BufWriter, Cursor, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use super::python::{PythonDatagramSocket, PythonSocket};
use super::{Exit, HandlerResult, RequestHandler};
use crate::net::{Address, DatagramSocket, Stream};
use crate::server::base::BaseServer;
use crate::server::handler;
use crate::server::handler::{Blocking, Exchange, ExchangeKind, HandlerFactory};
use crate::server::transport::Datagram;

/// A connection with a reader and a writer: what Python's `StreamRequestHandler` has.
///
/// After `finish`, what is left in the buffer of `wfile` is written. If that fails, the hook
/// [`handle_error`](crate::server::Hooks::handle_error) is called with the error, unless the handler
/// itself has failed.
///
/// ```
/// use std::io::{BufRead, BufReader, Write};
/// use std::net::TcpStream;
/// use tripoll::server::{StreamExchange, TcpServer};
///
/// let server = TcpServer::from_fn("127.0.0.1:0", |exchange: &mut StreamExchange| {
///     let mut line = String::new();
///     exchange.rfile.read_line(&mut line)?;
///     write!(exchange.wfile, "{} says {line}", exchange.client_address)?;
///     Ok(())
/// })?;
///
/// let mut client = TcpStream::connect(server.server_address().to_string())?;
/// client.write_all(b"hello\n")?;
/// server.handle_request()?;
/// let mut answer = String::new();
/// BufReader::new(&client).read_line(&mut answer)?;
/// assert_eq!(answer, format!("{} says hello\n", client.local_addr()?));
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct StreamExchange {
    /// The client's socket. Python calls it `request` too.
    pub connection: Arc<Stream>,
    /// Reads from the socket, with a buffer.
    pub rfile: Reader,
    /// Writes to the socket, at once unless it has a [buffer](StreamOptions#structfield.wbufsize).
    pub wfile: Writer,
    /// The client's address.
    pub client_address: Address,
    /// The server that accepted the client.
    pub server: Arc<BaseServer<Arc<Stream>>>,
    /// Whether the conversation ends when [`handle`](RequestHandler::handle) returns: Python's
    /// `BaseHTTPRequestHandler.close_connection`. It is true each time `handle` is called. A handler
    /// that sets it to false keeps the client: `wfile` is flushed, and `handle` is called again when
    /// the client has sent more. The call of `handle` should read something, or it is called again at
    /// once.
    ///
    /// The conversation also ends, without an error, when the client has finished, and when it is
    /// silent for longer than a timeout of its reads or the server's
    /// [`idle_timeout`](crate::server::ServerConfig#structfield.idle_timeout). Between two requests the
    /// client waits in its thread or child; on a server with [`Parked`](crate::server::Parked) it waits
    /// in the loop.
    ///
    /// ```
    /// use std::io::{BufRead, Read, Write};
    /// use std::net::TcpStream;
    /// use tripoll::server::{StreamExchange, TcpServer};
    ///
    /// let server = TcpServer::from_fn("127.0.0.1:0", |exchange: &mut StreamExchange| {
    ///     let mut line = String::new();
    ///     exchange.rfile.by_ref().take(100).read_line(&mut line)?;
    ///     exchange.wfile.write_all(line.as_bytes())?;
    ///     exchange.close_connection = line == "bye\n";
    ///     Ok(())
    /// })?;
    ///
    /// let mut client = TcpStream::connect(server.server_address().to_string())?;
    /// client.write_all(b"hello\nbye\nignored\n")?;
    /// server.handle_request()?; // calls `handle` twice
    /// let mut answer = [0; 10];
    /// client.read_exact(&mut answer)?;
    /// assert_eq!(&answer, b"hello\nbye\n");
    /// # std::io::Result::Ok(())
    /// ```
    #[doc(alias = "keep-alive")]
    pub close_connection: bool,
    /// The size of the buffer of `rfile`.
    buffer_size: usize,
}

/// The options of a [`StreamExchange`]: the class attributes of Python's `StreamRequestHandler`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamOptions {
    /// Size of the buffer of `rfile`, in bytes, at most 16 MiB. 0 reads nothing ahead. Default: −1,
    /// which is 8192.
    pub rbufsize: isize,
    /// Size of the buffer of `wfile`, in bytes, at most 16 MiB. −1 is 8192. Default: 0, no buffer.
    pub wbufsize: isize,
    /// How long a read or a write may block. Then it returns `TimedOut`. Default: none, which leaves
    /// the server's [`read_timeout`](crate::server::ServerConfig#structfield.read_timeout).
    pub timeout: Option<Duration>,
    /// Whether small writes are sent at once (`TCP_NODELAY`). Default: false, as in Python.
    pub disable_nagle_algorithm: bool,
}

/// Setters of the fields, by value.
impl StreamOptions {
    /// Sets [`rbufsize`](#structfield.rbufsize).
    #[must_use]
    pub fn rbufsize(mut self, rbufsize: isize) -> Self {
        self.rbufsize = rbufsize;
        self
    }

    /// Sets [`wbufsize`](#structfield.wbufsize).
    #[must_use]
    pub fn wbufsize(mut self, wbufsize: isize) -> Self {
        self.wbufsize = wbufsize;
        self
    }

    /// Sets [`timeout`](#structfield.timeout).
    #[must_use]
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets [`disable_nagle_algorithm`](#structfield.disable_nagle_algorithm).
    #[must_use]
    pub fn disable_nagle_algorithm(mut self, disable_nagle_algorithm: bool) -> Self {
        self.disable_nagle_algorithm = disable_nagle_algorithm;
        self
    }
}

impl Default for StreamOptions {
    fn default() -> Self {
        StreamOptions { rbufsize: -1, wbufsize: 0, timeout: None, disable_nagle_algorithm: false }
    }
}

/// A datagram to read and a reply to write: what Python's `DatagramRequestHandler` has.
///
/// The reply is sent after `finish` has returned, even if it is empty. Sending blocks only
/// [for a short time](super::python::PythonDatagramSocket) if the client has no room.
///
/// ```
/// use std::io::{BufRead, Write};
/// use std::net::UdpSocket;
/// use tripoll::server::{DatagramExchange, UdpServer};
///
/// let server = UdpServer::from_fn("127.0.0.1:0", |exchange: &mut DatagramExchange| {
///     let mut name = String::new();
///     exchange.rfile.read_line(&mut name)?;
///     write!(exchange.wfile, "hello, {name}")?;
///     Ok(())
/// })?;
///
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.send_to(b"ann", server.server_address().to_string())?;
/// server.handle_request()?;
/// let mut answer = [0; 10];
/// client.recv(&mut answer)?;
/// assert_eq!(&answer, b"hello, ann");
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct DatagramExchange {
    /// The datagram.
    pub packet: Datagram,
    /// The server's socket.
    pub socket: Arc<DatagramSocket>,
    /// Reads from the packet.
    pub rfile: Cursor<Arc<[u8]>>,
    /// The reply.
    pub wfile: Vec<u8>,
    /// The client's address.
    pub client_address: Address,
    /// The server that received the datagram.
    pub server: Arc<BaseServer<Datagram>>,
}

impl Blocking for StreamExchange {}
impl Blocking for DatagramExchange {}

impl StreamExchange {
    /// Does what Python's `StreamRequestHandler.setup` does.
    pub(super) fn open(exchange: Exchange, options: &StreamOptions) -> io::Result<Self> {
        let Exchange { request: connection, client_address, server } = exchange;
        if options.timeout.is_some() {
            connection.settimeout(options.timeout)?;
        }
        if options.disable_nagle_algorithm {
            connection.set_nodelay(true)?;
        }
        connection.defer_close();
        let reader_size = buffer_size(options.rbufsize).max(1);
        Ok(StreamExchange {
            rfile: Reader::new(&connection, reader_size),
            wfile: Writer(BufWriter::with_capacity(
                buffer_size(options.wbufsize),
                Shared(Arc::clone(&connection)),
            )),
            connection,
            client_address,
            server,
            close_connection: true,
            buffer_size: reader_size,
        })
    }

    /// Prepares a call of `handle`.
    pub(super) fn begin_call(&mut self) {
        self.close_connection = true;
        if self.rfile.is_free() {
            self.rfile = Reader::new(&self.connection, self.buffer_size);
        }
    }

    /// Returns whether the conversation goes on after a call of `handle`. The client may await the
    /// answer before it sends more, so the answer is flushed then.
    pub(super) fn end_call(&mut self) -> io::Result<bool> {
        if !self.close_connection {
            self.wfile.flush()?;
        }
        Ok(!self.close_connection)
    }

    /// Does what Python's `StreamRequestHandler.finish` does. The outcome of the handler is the
    /// result, or that of the last flush if the handler has not failed.
    pub(super) fn close(mut self, outcome: HandlerResult) -> HandlerResult {
        let flushed = self.wfile.flush();
        let StreamExchange { connection, wfile, client_address, server, .. } = self;
        drop(wfile.0.into_parts()); // dropped as a whole, it would try to flush again
        connection.close_deferred();
        let Err(lost) = flushed else { return outcome };
        match outcome {
            Ok(()) => Err(lost.into()),
            Err(exit) if exit.is::<Exit>() => {
                server.report_error(&connection, &client_address, &lost.into());
                Err(exit)
            }
            Err(error) => Err(error),
        }
    }
}

/// The largest buffer: a size that only means "much" must not end the process.
const LARGEST_BUFFER: usize = 16 << 20;

fn buffer_size(option: isize) -> usize {
    usize::try_from(option).map_or(8_192, |size| size.min(LARGEST_BUFFER))
}

impl ExchangeKind for DatagramExchange {
    type Request = Datagram;
    type Options = ();

    fn factory<H, F>(factory: F) -> HandlerFactory<Datagram>
    where
        H: RequestHandler<Self> + Send + 'static,
        F: Fn() -> H + Send + Sync + 'static,
    {
        HandlerFactory::AtOnce(Box::new(move |exchange| {
            let Exchange { request, client_address, server } = exchange;
            let mut exchange = DatagramExchange {
                socket: Arc::clone(&request.socket),
                rfile: Cursor::new(Arc::clone(&request.data)),
                wfile: Vec::new(),
                packet: request,
                client_address,
                server,
            };
            let mut handler = factory();
            handler.setup(&mut exchange)?;
            let handled = handler::guarded(|| handler.handle(&mut exchange));
            let finished = handler::guarded(|| handler.finish(&mut exchange));
            // In Python the reply is sent at the end of `finish`, which is called in any case.
            let sent = exchange.socket.sendto(&exchange.wfile, &exchange.client_address);
            finished.and(sent.map(drop).map_err(Into::into)).and(handled)
        }))
    }
}

/// A stream that is shared by its reader and its writer.
#[derive(Debug)]
struct Shared(Arc<Stream>);

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_blocking(buffer)
    }
}

impl Write for Shared {
    /// Writes all of it, as Python does: data of other threads comes before or after it.
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self.0.send_whole(buffer) {
            (0, Err(error)) => Err(error),
            (sent, _) => Ok(sent), // the next write returns the error
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The `rfile` of a [`StreamExchange`]: a buffered reader.
///
/// A client that chooses a length must not choose how much memory is allocated. Python's
/// `rfile.read(length)` is
///
/// ```
/// use std::io::{BufRead, Read};
/// # use std::io::Write;
/// use tripoll::server::{StreamExchange, TcpServer};
///
/// // Reads a number, and so many bytes.
/// let server = TcpServer::from_fn("127.0.0.1:0", |exchange: &mut StreamExchange| {
///     let mut length = String::new();
///     exchange.rfile.by_ref().take(20).read_line(&mut length)?;
///     let length = length.trim().parse()?;
///     let mut data = Vec::new(); // and not `vec![0; length]`
///     exchange.rfile.by_ref().take(length).read_to_end(&mut data)?;
/// #   exchange.wfile.write_all(&data)?;
///     Ok(())
/// })?;
/// # let mut client = std::net::TcpStream::connect(server.server_address().to_string())?;
/// # client.write_all(b"1000000000000000000\nhello")?;
/// # client.shutdown(std::net::Shutdown::Write)?;
/// # server.handle_request()?;
/// # let mut answer = String::new();
/// # client.read_to_string(&mut answer)?;
/// # assert_eq!(answer, "hello");
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Reader(BufReader<Shared>);

impl Reader {
    fn new(connection: &Arc<Stream>, size: usize) -> Self {
        Reader(BufReader::with_capacity(size, Shared(Arc::clone(connection))))
    }

    /// Returns whether the buffer holds input.
    pub(super) fn has_input(&self) -> bool {
        !self.0.buffer().is_empty()
    }

    /// Frees the buffer, if it is empty. Without a buffer nothing can be read.
    pub(super) fn free(&mut self) {
        if !self.has_input() {
            *self = Reader::new(&self.0.get_ref().0, 0);
        }
    }

    fn is_free(&self) -> bool {
        self.0.capacity() == 0
    }
}

/// The client's descriptor: Python's `rfile.fileno()`.
impl AsFd for Reader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().0.as_fd()
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl BufRead for Reader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.0.consume(amount);
    }
}

/// The `wfile` of a [`StreamExchange`]: a writer.
#[derive(Debug)]
pub struct Writer(BufWriter<Shared>);

/// The client's descriptor: Python's `wfile.fileno()`.
impl AsFd for Writer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().0.as_fd()
    }
}

impl Write for Writer {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        // As Python's `sendall`, for any size. A buffer of size 0 keeps nothing.
        self.0.write_all(buffer)?;
        Ok(buffer.len())
    }

    /// Writes the whole text of a `write!` at once, as Python would, and not each part alone.
    fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
        self.write_all(text.to_string().as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
