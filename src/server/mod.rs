//! Python's `socketserver`, in Rust: two axes and a handler.
//!
//! ```no_run
//! use tripoll::server::{
//!     Exchange, HandlerResult, POLL_INTERVAL, PythonSocket, RequestHandler, ThreadingTcpServer,
//! };
//!
//! struct MyHandler;
//!
//! impl RequestHandler for MyHandler {
//!     fn handle(&mut self, exchange: &mut Exchange) -> HandlerResult {
//!         loop {
//!             let data = exchange.request.recv(1024)?;
//!             if data.is_empty() {
//!                 return Ok(()); // the client has finished
//!             }
//!             exchange.request.sendall(&data.to_ascii_uppercase())?;
//!         }
//!     }
//! }
//!
//! let server = ThreadingTcpServer::new("127.0.0.1:8080", || MyHandler)?;
//! server.serve_forever(POLL_INTERVAL)?;
//! # std::io::Result::Ok(())
//! ```
//!
//! There are two loops. The *connection loop* is the server's: it accepts clients. The *communication
//! loop* is the handler's: it serves one client.
//!
//! # Two axes
//!
//! What a server listens on is its [`Transport`]. Where its requests are handled is its
//! [`Concurrency`]. To change one is one word: with `ForkingTcpServer` above, each client has a
//! process of its own.
//!
//! | | [`Tcp`] | [`Udp`] | [`Unix`] | [`UnixDgram`] |
//! |---|---|---|---|---|
//! | [`Inline`] | [`TcpServer`] | [`UdpServer`] | [`UnixStreamServer`] | [`UnixDatagramServer`] |
//! | [`Threading`] | [`ThreadingTcpServer`] | [`ThreadingUdpServer`] | [`ThreadingUnixStreamServer`] | [`ThreadingUnixDatagramServer`] |
//! | [`Forking`] | [`ForkingTcpServer`] | [`ForkingUdpServer`] | [`ForkingUnixStreamServer`] | [`ForkingUnixDatagramServer`] |
//! | [`Pooled`] | [`PooledTcpServer`] | [`PooledUdpServer`] | [`PooledUnixStreamServer`] | [`PooledUnixDatagramServer`] |
//! | [`Parked`] | [`ParkedTcpServer`] | | [`ParkedUnixStreamServer`] | |
//! | [`InReactor`] | [`ReactorTcpServer`] | [`ReactorUdpServer`] | [`ReactorUnixStreamServer`] | [`ReactorUnixDatagramServer`] |
//!
//! A slow client blocks all others (`Inline`), its thread, its child, one worker of the pool, or
//! nothing (`InReactor`). On a `Parked` server it blocks a worker in the middle of a request, and
//! nothing between two requests.
//!
//! Each of them waits for clients through the crate's own reactor, on any backend and trigger
//! ([`ServerConfig::backend`], [`ServerConfig::trigger`]): *select/epoll + socket + threads*.
//!
//! # One request
//!
//! ```text
//! get_request                                  accepts the next one
//! └─ verify_request                            no: shutdown_request, close_request
//!    └─ process_request                        here, or elsewhere:
//!       └─ process_request_thread              (in a thread)
//!          ├─ finish_request                   makes a handler:
//!          │     setup → handle → finish
//!          ├─ handle_error                     if that failed
//!          └─ shutdown_request
//!             └─ close_request
//! service_actions                              after each turn of the loop
//! ```
//!
//! Each of these can be overridden ([`Hooks`]). `setup`, `handle` and `finish` belong to the handler
//! ([`RequestHandler`]). When `setup` fails, neither `handle` nor `finish` is called. When `handle`
//! fails, `finish` is called. Errors and panics are reported to `handle_error`, and the server
//! continues.
//!
//! # Many requests of one client
//!
//! A handler that keeps its client reads in a loop, as above. Or it handles one request, and sets
//! [`close_connection`](StreamExchange#structfield.close_connection) to false, as Python's
//! `BaseHTTPRequestHandler` does: then `handle` is called for each request. Such a handler can serve
//! thousands of clients with a few threads. With [`Parked`] a client holds one of them only while it
//! has something to say, and waits in the loop otherwise.
//!
//! # Shutdown
//!
//! [`request_shutdown`](BaseServer::request_shutdown) requests the end of the loop,
//! [`shutdown`](BaseServer::shutdown) waits for it, and [`server_close`](Server::server_close) waits
//! for the handlers, too. [`server_close_within`](Server::server_close_within) waits only so long.
//! [`end_input`](BaseServer::end_input) tells the handlers that their clients have finished, as soon as
//! these are silent. So what clients have sent is answered, the answers are delivered, and then comes
//! the end of the stream:
//!
//! ```
//! use std::time::Duration;
//! use tripoll::server::{
//!     Exchange, POLL_INTERVAL, PythonSocket, ServerConfig, ThreadingTcpServer,
//! };
//!
//! let config = ServerConfig::default().idle_timeout(Some(Duration::from_secs(60)));
//! let server = ThreadingTcpServer::builder("127.0.0.1:0").config(config).build_fn(
//!     |exchange: &mut Exchange| {
//!         while !exchange.request.recv(1024)?.is_empty() {} // until the client has finished or is idle
//!         Ok(())
//!     },
//! )?;
//! std::thread::scope(|scope| {
//!     let serving = scope.spawn(|| server.serve_forever(POLL_INTERVAL));
//!     // … wait for a signal, for example …
//!     server.shutdown()?;
//!     server.end_input();
//!     server.server_close_within(Duration::from_secs(1))?; // then cut off the others
//!     serving.join().expect("no panic")
//! })?;
//! # std::io::Result::Ok(())
//! ```
//!
//! A signal needs no thread of its own. To a reactor it is a source like any other, so let the server
//! [serve in](Server::serve_in) a reactor that watches both. A forking server must be the only thread
//! of its process, so for it that is the only way.
//!
//! ```
//! use std::time::Duration;
//! use tripoll::Reactor;
//! use tripoll::reactor::sources::{Signal, Signals};
//! use tripoll::server::{POLL_INTERVAL, ThreadingTcpServer};
//! # use tripoll::server::{Exchange, HandlerResult};
//! # fn talk(_: &mut Exchange) -> HandlerResult { Ok(()) }
//!
//! let grace = Duration::from_secs(1);
//! Signals::block([Signal::TERM])?; // before the first thread is started
//! let server = ThreadingTcpServer::from_fn("127.0.0.1:0", talk)?;
//! let mut reactor = Reactor::new()?;
//! server.serve_in(POLL_INTERVAL, &mut reactor.context())?;
//! let signals = Signals::new([Signal::TERM])?;
//! signals.on(&mut reactor.context(), move |_, cx| cx.shutdown(grace))?;
//! # reactor.context().shutdown(grace);
//! reactor.run()?;
//! server.end_input();
//! server.server_close_within(grace)?;
//! # std::io::Result::Ok(())
//! ```
//!
//! # Bounds
//!
//! What a client can cost is bounded, by default too:
//!
//! | what | bound | default | then |
//! |---|---|---|---|
//! | silence, and output that is not read | [`ServerConfig::idle_timeout`] | 60 s | the connection is closed |
//! | threads, for connections or datagrams | [`Threading::max_threads`] | 1,024 | others wait in the kernel |
//! | children | [`Forking::max_children`] | 40 | others wait in the kernel |
//! | workers, and requests that wait for one | [`Pooled::workers`], [`Pooled::queue`] | 8, 64 | [`Pooled::when_full`]: others wait in the kernel |
//! | connections in the loop | [`InReactor::max_connections`], [`Parked::max_connections`] | 10,000 | others wait in the kernel |
//! | workers for parked clients | [`Parked::workers`] | 8 | the clients wait in turn, and what they send in the kernel |
//! | connections in the kernel's queue | [`ServerConfig::request_queue_size`] | 1,024 | the kernel drops others |
//! | unread output and unused input in the loop, for all clients | [`InReactor::max_buffered`] | 256 MiB | the largest that grow are reset, and `handle_error` is called |
//! | unread output in the loop, for one client | (fixed) | 16 MiB | the same |
//! | unused input in the loop, for one client | (fixed) | 1 MiB | the same |
//! | one datagram | [`ServerConfig::max_packet_size`] | 8,192 bytes | it is cut: [`Datagram::truncated`] |
//! | one `recv` | (fixed) | 64 KiB | the rest comes with the next |
//! | requests accepted in a turn | [`ServerConfig::requests_per_turn`] | 32 | the others in the next turn |
//! | errors that `handle_error` writes | (fixed; override the hook) | 10 a second | the next says how many were left out |
//!
//! A handler that reads a line or a message has a bound of its own to set: see [`Reader`]. The
//! defaults of Python, which has no timeout and no bound of threads, are [`ServerConfig::python`] and
//! [`Threading::python`].
//!
//! # Sending to other clients
//!
//! A server lists its connections. [`sendall`](BaseServer::sendall) of the server also reaches clients
//! in the loop, where it does not block. Elsewhere a client that does not read blocks the sender:
//!
//! ```
//! use std::io::{BufRead, Read};
//! use tripoll::server::{HandlerResult, StreamExchange, ThreadingTcpServer};
//!
//! /// Sends each line to all clients. A very long one is sent in parts, so that a line without end
//! /// needs no more memory than that.
//! fn chat(exchange: &mut StreamExchange) -> HandlerResult {
//!     const PART: u64 = 64 << 10;
//!     let mut line = Vec::new();
//!     while exchange.rfile.by_ref().take(PART).read_until(b'\n', &mut line)? > 0 {
//!         for (client, _) in exchange.server.connections() {
//!             let _ = exchange.server.sendall(&client, &line); // it may have left
//!         }
//!         line.clear();
//!     }
//!     Ok(())
//! }
//!
//! let server = ThreadingTcpServer::from_fn("127.0.0.1:0", chat)?;
//! # std::io::Result::Ok(())
//! ```
//!
//! # Several in one loop
//!
//! A reactor can watch several servers, and other sources beside them:
//!
//! ```
//! # use tripoll::server::{Exchange, LoopExchange, HandlerResult};
//! use tripoll::Reactor;
//! use tripoll::server::{POLL_INTERVAL, ReactorTcpServer, ThreadingTcpServer};
//! # fn talk(_: &mut Exchange) -> HandlerResult { Ok(()) }
//! # fn status(_: &mut LoopExchange) -> HandlerResult { Ok(()) }
//!
//! let talking = ThreadingTcpServer::from_fn("127.0.0.1:0", talk)?;
//! let reporting = ReactorTcpServer::from_fn("127.0.0.1:0", status)?;
//! let mut reactor = Reactor::new()?;
//! talking.serve_in(POLL_INTERVAL, &mut reactor.context())?;
//! reporting.serve_in(POLL_INTERVAL, &mut reactor.context())?;
//! # reactor.handle().stop();
//! reactor.run()?;
//! # std::io::Result::Ok(())
//! ```
//!
//! # Python's names
//!
//! | Python | here | what differs, and why |
//! |---|---|---|
//! | `BaseServer` | [`BaseServer`] | what hooks and handlers see; [`Server`] dereferences to it. Its methods with the names of hooks are the bodies of the base class; Rust has no inheritance |
//! | `TCPServer` … `ForkingUnixDatagramServer` (the forking Unix ones since 3.12) | the table above | `Server<transport, concurrency>`: three orthogonal choices where Python has inheritance |
//! | `ThreadingMixIn`, `ForkingMixIn` | [`Threading`], [`Forking`] | their class attributes are fields |
//! | `__init__(server_address, RequestHandlerClass, bind_and_activate)` | [`Server::new`], [`Server::from_fn`], [`Server::builder`] | a factory for handlers instead of a class: it can pass to the handlers what they need |
//! | `server_address` | [`BaseServer::server_address`] | a text such as `localhost:80`, or an [`Address`](crate::net::Address) |
//! | `socket` | [`BaseServer::with_socket`] | borrowed, so that it is not used after it was closed |
//! | `fileno` | [`BaseServer::fileno`] | |
//! | `address_family`, `socket_type` | the transport; IPv4 or IPv6 by the address | |
//! | (whether IPv6 accepts IPv4 clients: the system's default, on Linux yes) | [`ServerConfig::v6_only`] = true | explicit, so that it is the same everywhere |
//! | `RequestHandlerClass` | the factory | |
//! | `request_queue_size` = 5 | [`ServerConfig::request_queue_size`] = 1,024 | with 5, clients in a burst retry after one second |
//! | `allow_reuse_address` = False | [`ServerConfig::allow_reuse_address`] = true | a restart must not fail for a minute; all of `ServerConfig` is set before the bind, where Python's attributes are easily set too late. Never true for datagrams, where Python allows it |
//! | `allow_reuse_port` | [`ServerConfig::allow_reuse_port`] | |
//! | `max_packet_size` | [`ServerConfig::max_packet_size`] | a truncated datagram is reported: [`Datagram::truncated`] |
//! | `timeout` | [`ServerConfig::timeout`] | the socket has no timeout of its own, which Python considers too: it is non-blocking |
//! | `server_bind`, `server_activate` | [`Hooks::server_bind`], [`Hooks::server_activate`] | the stale file of a Unix socket is replaced [on request](ServerConfig::replace_stale), and its own is [removed](ServerConfig::unlink_on_close) at the end |
//! | `serve_forever(poll_interval=0.5)` | [`Server::serve_forever`], [`POLL_INTERVAL`] | the interval only sets how often `service_actions` is called, and delays no shutdown; returns how it ended: [`Served`]; up to [32 requests a turn](ServerConfig::requests_per_turn) |
//! | `service_actions` | [`Hooks::service_actions`] | |
//! | `handle_request` | [`Server::handle_request`] | returns what it did: [`Handled`] |
//! | `handle_timeout` | [`Hooks::handle_timeout`] | |
//! | `_handle_request_noblock` | [`Server::handle_request_noblock`] | |
//! | several servers in one `select` | [`Server::serve_in`] | any reactor |
//! | `shutdown` | [`BaseServer::shutdown`], [`BaseServer::request_shutdown`] | on the thread that serves it is an error instead of a deadlock; before the first run it cancels that run, instead of waiting forever; after a run it does nothing, instead of ending the next one |
//! | `server_close` | [`Server::server_close`], [`Server::server_close_within`] | ends the run first: in Python the loop spins on the closed descriptor forever; with a grace, handlers that run longer are cut off, and those that cannot be are reported |
//! | (a thread that waits for its client cannot be ended) | [`BaseServer::end_input`] | handlers read the end of the stream when their clients are silent. In a shutdown `shutdown_request` waits until the client has received its output: in Python a client that still sends is reset, and loses it |
//! | `__enter__`, `__exit__` | the server's scope | on drop it closes its socket and does not wait; no hook is called |
//! | `get_request` | [`Hooks::get_request`] | an error of the hook, whatever its number, loses the client that it has accepted; a shortage of descriptors pauses accepting; neither spins. It is also called when there is no request, and then returns `WouldBlock` |
//! | `verify_request` | [`Hooks::verify_request`] | a panic refuses the request, where an exception ends Python's server |
//! | `process_request`, `process_request_thread`, `finish_request` | [`Hooks::process_request`], [`Hooks::process_request_thread`], [`Hooks::finish_request`] | |
//! | `shutdown_request`, `close_request` | [`Hooks::shutdown_request`], [`Hooks::close_request`] | also called if `handle_error` fails; a descriptor is closed when its last owner drops it, never twice. For a client in the loop ([`InReactor`], [`Parked`]) they are called when its connection is closed, after its output was flushed, without blocking |
//! | `handle_error` | [`Hooks::handle_error`] | gets the error; panics are reported, too. The body writes no reset of a client, at most 10 errors a second, and never blocks |
//! | `SystemExit` in a handler | [`Exit`] | |
//! | `daemon_threads`, `block_on_close` | [`Threading`], [`Pooled`], [`Forking`] | no thread keeps a Rust process alive, so `daemon_threads` means only that `server_close` does not wait |
//! | `max_children` | [`Forking::max_children`] | pauses accepting instead of stopping the loop |
//! | `active_children`, `collect_children` | [`BaseServer::active_children`], [`BaseServer::service_actions`] | reaped by their own process ids as soon as they end; Python's `waitpid(-1)`, called when there are `max_children`, reaps children of other code |
//! | `os.fork` with other threads | refused; [`Forking::despite_threads`] | in the child, the locks of other threads stay locked |
//! | (no timeouts of the server) | [`ServerConfig::read_timeout`], [`ServerConfig::idle_timeout`] = 60 s | a client that connects and sends nothing does not hold a thread forever. Python's: [`ServerConfig::python`] |
//! | (no bound on threads) | [`Threading::max_threads`] = 1,024, [`Pooled`] | one client must not start any number of threads. Python's: [`Threading::python`] |
//! | `close_connection`, `handle_one_request` of `BaseHTTPRequestHandler` | [`StreamExchange::close_connection`](StreamExchange#structfield.close_connection), [`RequestHandler::handle`] | the server makes the loop, and waits between two requests: in a thread, or in the loop ([`Parked`]) |
//! | `BaseRequestHandler` | [`RequestHandler`] of an [`Exchange`] | `self.request` is `exchange.request` |
//! | `StreamRequestHandler` | [`RequestHandler`] of a [`StreamExchange`] | |
//! | `DatagramRequestHandler` | [`RequestHandler`] of a [`DatagramExchange`] | |
//! | `request`, `client_address`, `server` | the fields of the [`Exchange`] | `server` is the server, not its socket; a peer without an address is [`Unnamed`](crate::net::Address::Unnamed), where Python has `''` for a stream and `None` for a datagram |
//! | `connection`, `rfile`, `wfile`; `packet`, `socket` | the fields of the [`StreamExchange`], of the [`DatagramExchange`] | `packet` is the [`Datagram`], its bytes are `packet.data` |
//! | (`TCP_NODELAY` is off: `disable_nagle_algorithm`) | the same, off for each accepted stream: [`StreamOptions::disable_nagle_algorithm`], [`Stream::set_nodelay`](crate::net::Stream::set_nodelay) | in `net` it is on |
//! | `rbufsize`, `wbufsize`, `timeout`, `disable_nagle_algorithm` | [`StreamOptions`] | the buffer of `wfile` is flushed when `setup` fails, too. If the last flush fails, `handle_error` is called, as in Python, but never in place of the handler's own error |
//! | `setup`, `handle`, `finish` | [`RequestHandler`] | what `super().setup()` and `super().finish()` do is done around them |
//! | `recv`, `sendall`, `settimeout`, `close` of `request` | [`PythonSocket`] | `recv` returns 64 KiB at most, whatever size is asked for. As in Python, a `close` of a [`StreamExchange`]'s `connection` waits for the end of its `rfile` and `wfile` |
//! | (a list of those connected) | [`BaseServer::connections`], [`BaseServer::sendall`] | |

mod base;
mod concurrency;
mod config;
mod connections;
mod event_loop;
mod handler;
mod hooks;
mod lifecycle;
mod loop_requests;
mod report;
#[allow(clippy::module_inception)]
mod server;
mod transport;

pub use base::BaseServer;
pub use concurrency::{
    Concurrency, Forking, InReactor, Inline, Parked, Pooled, Supports, Threading,
};
pub use config::ServerConfig;
pub use event_loop::{Handled, Served};
pub use handler::{
    Blocking, Cause, DatagramExchange, Exchange, ExchangeKind, Exit, HandlerError, HandlerResult,
    LoopExchange, PythonDatagramSocket, PythonSocket, Reader, RequestHandler, StreamExchange,
    StreamOptions, Writer,
};
pub use hooks::Hooks;
pub use server::{POLL_INTERVAL, Server, ServerBuilder};
pub use transport::{Datagram, Request, Tcp, Transport, Udp, Unix, UnixDgram};

/// Python's `TCPServer`.
pub type TcpServer = Server<Tcp, Inline>;
/// Python's `UDPServer`.
pub type UdpServer = Server<Udp, Inline>;
/// Python's `UnixStreamServer`.
pub type UnixStreamServer = Server<Unix, Inline>;
/// Python's `UnixDatagramServer`.
pub type UnixDatagramServer = Server<UnixDgram, Inline>;
/// Python's `ThreadingTCPServer`.
pub type ThreadingTcpServer = Server<Tcp, Threading>;
/// Python's `ThreadingUDPServer`.
pub type ThreadingUdpServer = Server<Udp, Threading>;
/// Python's `ThreadingUnixStreamServer`.
pub type ThreadingUnixStreamServer = Server<Unix, Threading>;
/// Python's `ThreadingUnixDatagramServer`.
pub type ThreadingUnixDatagramServer = Server<UnixDgram, Threading>;
/// A `TCPServer` with a pool of threads, which Python lacks.
pub type PooledTcpServer = Server<Tcp, Pooled>;
/// A `UDPServer` with a pool of threads.
pub type PooledUdpServer = Server<Udp, Pooled>;
/// A `UnixStreamServer` with a pool of threads.
pub type PooledUnixStreamServer = Server<Unix, Pooled>;
/// A `UnixDatagramServer` with a pool of threads.
pub type PooledUnixDatagramServer = Server<UnixDgram, Pooled>;
/// Python's `ForkingTCPServer`.
pub type ForkingTcpServer = Server<Tcp, Forking>;
/// Python's `ForkingUDPServer`.
pub type ForkingUdpServer = Server<Udp, Forking>;
/// Python's `ForkingUnixStreamServer`, since 3.12.
pub type ForkingUnixStreamServer = Server<Unix, Forking>;
/// Python's `ForkingUnixDatagramServer`, since 3.12.
pub type ForkingUnixDatagramServer = Server<UnixDgram, Forking>;
/// A `TCPServer` whose silent clients wait in the loop, and whose threads serve the others.
pub type ParkedTcpServer = Server<Tcp, Parked>;
/// A `UnixStreamServer` whose silent clients wait in the loop, and whose threads serve the others.
pub type ParkedUnixStreamServer = Server<Unix, Parked>;
/// A `TCPServer` that keeps its clients in the loop, which Python's module lacks.
pub type ReactorTcpServer = Server<Tcp, InReactor>;
/// A `UDPServer` whose handlers run in the loop.
pub type ReactorUdpServer = Server<Udp, InReactor>;
/// A `UnixStreamServer` that keeps its clients in the loop.
pub type ReactorUnixStreamServer = Server<Unix, InReactor>;
/// A `UnixDatagramServer` whose handlers run in the loop.
pub type ReactorUnixDatagramServer = Server<UnixDgram, InReactor>;
