//! The concurrency that keeps silent clients in the loop, and serves the others by a few threads.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Instant;

use super::parking::Parking;
use crate::net::{Address, Limit};
use crate::selector::Token;
use crate::server::base::BaseServer;
use crate::server::concurrency::{Concurrency, LoopRequest, Runner, Slot, Supports};
use crate::server::handler::HandlerResult;
use crate::server::handler::exchange::StreamExchange;
use crate::server::transport::Request;
use crate::sync::lock;

/// Silent clients wait in the loop, and a client that has sent something takes one of a few threads.
/// Python has nothing like it.
///
/// The handlers are those of all other servers: they get a [`StreamExchange`], and may block. One that
/// keeps its client sets [`close_connection`](StreamExchange#structfield.close_connection) to false.
/// Thousands of clients then need no more than eight threads:
///
/// See [parking](crate::guide::parking) in the guide.
///
/// ```
/// use std::io::{BufRead, BufReader, Read, Write};
/// use std::net::TcpStream;
/// use tripoll::server::{
///     HandlerResult, POLL_INTERVAL, Parked, ParkedTcpServer, RequestHandler, StreamExchange,
/// };
///
/// /// Numbers the lines of its client.
/// #[derive(Default)]
/// struct Count(u32);
///
/// impl RequestHandler<StreamExchange> for Count {
///     fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
///         let mut line = String::new();
///         exchange.rfile.by_ref().take(1_000).read_line(&mut line)?; // may block
///         self.0 += 1;
///         write!(exchange.wfile, "{}: {line}", self.0)?;
///         exchange.close_connection = false; // the next line may come from another thread
///         Ok(())
///     }
/// }
///
/// let server = ParkedTcpServer::builder("127.0.0.1:0")
///     .concurrency(Parked::default().workers(2))
///     .build(Count::default)?;
/// std::thread::scope(|scope| {
///     let serving = scope.spawn(|| server.serve_forever(POLL_INTERVAL));
///     let address = server.server_address().to_string();
///     let clients: Vec<_> = (0..100).map(|_| TcpStream::connect(&address)).collect();
///     for number in 1..=3 {
///         for client in &clients {
///             let mut client = client.as_ref().expect("it is connected");
///             client.write_all(b"hello\n")?;
///             let mut answer = String::new();
///             BufReader::new(client).read_line(&mut answer)?;
///             assert_eq!(answer, format!("{number}: hello\n"));
///         }
///     }
///     server.shutdown()?;
///     serving.join().expect("no panic")
/// })?;
/// # std::io::Result::Ok(())
/// ```
///
/// # One client
///
/// * The hook `finish_request` is called on the thread that serves. The workers make the handler and
///   call `setup` once and at once, `handle` each time there is input, and `finish` once. The calls for
///   one client come one after the other, each perhaps in another thread. The state between them is in
///   the handler. `shutdown_request` and `close_request` are called after `finish`.
/// * A client that has sent more than `handle` has read is served again, without waiting for new
///   input. If others wait for a worker, it waits behind them.
/// * What a waiting client has sent stays in the kernel, until a worker reads it.
/// * `handle` is first called when the client has sent something. So a greeting belongs in `setup`.
/// * A client that has sent a part of a request holds a worker until `handle` has read the rest, or
///   until a [timeout](crate::server::ServerConfig#structfield.idle_timeout). The same holds for a
///   client that does not read its answer.
///
/// # The end of a silent client
///
/// When it finishes, `finish` is called. When it resets its connection, `handle_error` is called too.
/// A client that is silent for longer than its `read_timeout` or the server's `idle_timeout` ends
/// without an error. A shutdown ends each client in the loop when it has been silent for 50 ms, and
/// serves it until then. A client that is with a worker ends when it has no more input.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parked {
    /// Number of threads. Default: 8.
    pub workers: usize,
    /// How many connections can be open at once. Further ones are not accepted until one ends.
    /// Default: 10,000.
    pub max_connections: Option<usize>,
    /// Whether `server_close` waits for the clients that are with a worker, or wait for one. Default:
    /// true.
    pub block_on_close: bool,
}

impl Default for Parked {
    fn default() -> Self {
        Parked { workers: 8, max_connections: Some(10_000), block_on_close: true }
    }
}

/// Setters of the fields, by value.
impl Parked {
    /// Sets [`workers`](#structfield.workers).
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets [`max_connections`](#structfield.max_connections).
    #[must_use]
    pub fn max_connections(mut self, max_connections: Option<usize>) -> Self {
        self.max_connections = max_connections;
        self
    }

    /// Sets [`block_on_close`](#structfield.block_on_close).
    #[must_use]
    pub fn block_on_close(mut self, block_on_close: bool) -> Self {
        self.block_on_close = block_on_close;
        self
    }
}

impl Supports<StreamExchange> for Parked {}

impl Concurrency for Parked {
    fn runner<R: Request>(self) -> io::Result<Box<dyn Runner<R>>> {
        Ok(Box::new(Clients {
            limit: Limit::new(self.max_connections),
            block_on_close: self.block_on_close,
            newest: Mutex::default(),
            parking: Arc::new(Parking::new(self.workers)?),
        }))
    }
}

/// The clients of a server.
#[derive(Debug)]
struct Clients<R> {
    limit: Limit,
    block_on_close: bool,
    /// Those that the loop has not adopted yet.
    newest: Mutex<Vec<(R, Address, Slot)>>,
    parking: Arc<Parking>,
}

impl<R: Request> Runner<R> for Clients<R> {
    fn reserve(&self, waker: &Waker) -> Option<Slot> {
        Some(Slot { permit: Some(self.limit.acquire(waker)?), ..Slot::default() })
    }

    fn process_request(
        &self,
        server: &Arc<BaseServer<R>>,
        request: &R,
        client_address: &Address,
    ) -> HandlerResult {
        server.hooks.finish_request(server, request, client_address)
    }

    fn adopt(&self, request: &R, client_address: &Address, slot: Slot) {
        let slot = slot.counted(&self.limit);
        lock(&self.newest).push((request.clone(), client_address.clone(), slot));
    }

    fn parks(&self) -> bool {
        true
    }

    fn loop_requests(&self, _: bool) -> Vec<LoopRequest<R>> {
        let newest = std::mem::take(&mut *lock(&self.newest));
        let park = |(request, address, slot)| {
            LoopRequest::Park(request, address, slot, Arc::clone(&self.parking))
        };
        newest.into_iter().map(park).collect()
    }

    fn parked(&self) -> Vec<Token> {
        self.parking.tokens()
    }

    fn join(&self, deadline: Option<Instant>) -> bool {
        !self.block_on_close || self.parking.pool.close(deadline).is_ok()
    }
}
