//! Connect: connections out, by name, with retries.
//!
//! The problem: a client must not block the loop while it connects, and must connect again when the
//! connection is lost.
//!
//! [`Connect`] tries the addresses of a server one after another. A [`Pool`] resolves the name.
//! [`Retry`] says when it is tried again.
//!
//! ```
//! use std::io;
//! use std::sync::Arc;
//! use std::time::Duration;
//! use tripoll::net::{CloseReason, Closed, Connect, Connection, Listener, Protocol, Retry, Wire};
//! use tripoll::pool::Pool;
//! use tripoll::{Context, Reactor};
//!
//! /// Collects what the server sends.
//! struct Client;
//!
//! impl Protocol<String> for Client {
//!     fn received(&mut self, _: &mut Wire, data: &[u8], cx: &mut Context<String>) -> io::Result<usize> {
//!         cx.state.push_str(&String::from_utf8_lossy(data));
//!         Ok(data.len())
//!     }
//!
//!     fn closed(&mut self, closed: &Closed, cx: &mut Context<String>) {
//!         if let CloseReason::ConnectFailed(error) = &closed.reason {
//!             println!("{error}"); // names each address, and why it failed
//!         }
//!         if cx.state.len() >= 10 {
//!             cx.stop();
//!         }
//!     }
//! }
//!
//! let mut reactor = Reactor::builder().build_with(String::new())?;
//! let listener = Listener::bind("127.0.0.1:0")?;
//! let name = listener.local_address().to_string().replace("127.0.0.1", "localhost");
//! listener.serve(&mut reactor.context(), |mut stream, _| {
//!     io::Write::write_all(&mut stream, b"hello") // and the stream is closed
//! })?;
//!
//! let pool = Arc::new(Pool::new(1, 16)?);
//! let retry = Retry::new().first(Duration::from_millis(1)).longest(Duration::from_secs(30));
//! Connect::to_name(name, &pool)
//!     .timeout(Duration::from_secs(5))
//!     .retry(retry)
//!     .serve_again(&mut reactor.context(), |_| Some(Connection::new(Client)));
//! reactor.run()?;
//! assert_eq!(*reactor.state(), "hellohello"); // the second one after a reconnect
//! # io::Result::Ok(())
//! ```
//!
//! For one connection, [`Connect::serve`] takes a [`Connection`](crate::net::Connection), and
//! [`Connect::start`] passes the stream to a closure.
//!
//! # What to watch out for
//!
//! * Errors never come back from the call. They go to the closure, or to
//!   [`closed`](crate::net::Protocol::closed) as
//!   [`CloseReason::ConnectFailed`](crate::net::CloseReason::ConnectFailed).
//! * [`serve_again`](crate::net::Connect::serve_again) calls `make` before each try, so each connection has a new
//!   protocol. What must survive belongs in the state.
//! * Any end of the connection is a loss, also one by its own protocol. To end for good, return `None`
//!   from `make`, or call [`Connecting::cancel`].
//! * [`Connect::timeout`] is for one try. With [`Retry`] there is no limit on the whole unless
//!   [`Retry::max_tries`] sets one.
//! * Keep one pool for all names of a program. A worker is busy while the resolver is slow.
//!
//! # In other libraries
//!
//! | library | its name |
//! |---|---|
//! | asyncio | `loop.create_connection`, `asyncio.open_connection` |
//! | Netty | `Bootstrap.connect`, `DnsAddressResolverGroup` |
//! | libevent | `bufferevent_socket_connect_hostname`, `evdns_base_new` |
//! | tokio | `TcpStream::connect`, `tokio::net::lookup_host` |
//!
//! [`Connect`]: crate::net::Connect
//! [`Connect::serve`]: crate::net::Connect::serve
//! [`Connect::start`]: crate::net::Connect::start
//! [`Connect::timeout`]: crate::net::Connect::timeout
//! [`Connecting::cancel`]: crate::net::Connecting::cancel
//! [`Retry`]: crate::net::Retry
//! [`Retry::max_tries`]: crate::net::Retry::max_tries
//! [`Pool`]: crate::pool::Pool

#![doc(alias = "client")]
#![doc(alias = "reconnect")]
#![doc(alias = "create_connection")]
#![doc(alias = "Bootstrap")]
