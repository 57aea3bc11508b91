//! Python's `socketserver`, in Rust: two axes and a handler.
//!
//! ```no_run
//! use tripoll::server::{Exchange, Outcome, POLL_INTERVAL, RequestHandler, ThreadingTcpServer};
//!
//! struct MyHandler;
//!
//! impl RequestHandler for MyHandler {
//!     fn handle(&mut self, exchange: &mut Exchange) -> Outcome {
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
//! There are two loops, and they are two people's business: the *connection loop* (the server)
//! takes clients, the *communication loop* (the handler) talks with one.

mod base;
mod concurrency;
mod config;
mod door;
mod exchange;
mod forking;
mod handler;
mod hooks;
mod in_reactor;
mod inline;
mod live;
mod pooled;
mod serve;
#[allow(clippy::module_inception)]
mod server;
mod serving;
mod threading;
mod transport;

pub use crate::pool::Panicked;
pub use base::BaseServer;
pub use concurrency::{Concurrency, MayWait, Takes};
pub use config::Config;
pub use exchange::{
    DatagramExchange, Exchange, Kind, Reader, StreamExchange, StreamOptions, Waits, Writer,
};
pub use forking::Forking;
pub use handler::{Error, Exit, Outcome, RequestHandler};
pub use hooks::{Hooks, NoHooks};
pub use in_reactor::{Cause, InReactor, LoopExchange};
pub use inline::Inline;
pub use pooled::{Pooled, WhenFull};
pub use serve::Handled;
pub use server::{Builder, POLL_INTERVAL, Server, ToAddress};
pub use threading::Threading;
pub use transport::{Datagram, Request, Tcp, Transport, Udp, UnixDatagram, UnixStream};

/// Python's `TCPServer`.
pub type TcpServer = Server<Tcp, Inline>;
/// Python's `UDPServer`.
pub type UdpServer = Server<Udp, Inline>;
/// Python's `UnixStreamServer`.
pub type UnixStreamServer = Server<UnixStream, Inline>;
/// Python's `UnixDatagramServer`.
pub type UnixDatagramServer = Server<UnixDatagram, Inline>;
/// Python's `ThreadingTCPServer`.
pub type ThreadingTcpServer = Server<Tcp, Threading>;
/// Python's `ThreadingUDPServer`.
pub type ThreadingUdpServer = Server<Udp, Threading>;
/// Python's `ThreadingUnixStreamServer`.
pub type ThreadingUnixStreamServer = Server<UnixStream, Threading>;
/// Python's `ThreadingUnixDatagramServer`.
pub type ThreadingUnixDatagramServer = Server<UnixDatagram, Threading>;
/// A `TCPServer` with a pool of threads, which Python lacks.
pub type PooledTcpServer = Server<Tcp, Pooled>;
/// A `UDPServer` with a pool of threads.
pub type PooledUdpServer = Server<Udp, Pooled>;
/// A `UnixStreamServer` with a pool of threads.
pub type PooledUnixStreamServer = Server<UnixStream, Pooled>;
/// A `UnixDatagramServer` with a pool of threads.
pub type PooledUnixDatagramServer = Server<UnixDatagram, Pooled>;
/// Python's `ForkingTCPServer`.
pub type ForkingTcpServer = Server<Tcp, Forking>;
/// Python's `ForkingUDPServer`.
pub type ForkingUdpServer = Server<Udp, Forking>;
/// Python's `ForkingUnixStreamServer`.
pub type ForkingUnixStreamServer = Server<UnixStream, Forking>;
/// Python's `ForkingUnixDatagramServer`.
pub type ForkingUnixDatagramServer = Server<UnixDatagram, Forking>;
/// A `TCPServer` that keeps its clients in the loop, which Python's module lacks.
pub type ReactorTcpServer = Server<Tcp, InReactor>;
/// A `UDPServer` whose handlers run in the loop.
pub type ReactorUdpServer = Server<Udp, InReactor>;
/// A `UnixStreamServer` that keeps its clients in the loop.
pub type ReactorUnixStreamServer = Server<UnixStream, InReactor>;
/// A `UnixDatagramServer` whose handlers run in the loop.
pub type ReactorUnixDatagramServer = Server<UnixDatagram, InReactor>;
