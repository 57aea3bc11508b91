//! Parking: thousands of silent clients, and a few threads.
//!
//! The problem: handlers block, so they need threads, but most clients are silent between two requests.
//!
//! A [`ParkedTcpServer`] keeps a silent client in the loop, with its handler. A client that has sent
//! something takes one of a few threads, for one request.
//!
//! ```
//! use std::io::{BufRead, BufReader, Read, Write};
//! use std::net::TcpStream;
//! use std::time::Duration;
//! use tripoll::server::{
//!     HandlerResult, POLL_INTERVAL, Parked, ParkedTcpServer, RequestHandler, ServerConfig,
//!     StreamExchange,
//! };
//!
//! /// The handler of one client. It numbers the lines.
//! #[derive(Default)]
//! struct Count(u32);
//!
//! impl RequestHandler<StreamExchange> for Count {
//!     fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
//!         let mut line = String::new();
//!         exchange.rfile.by_ref().take(1_000).read_line(&mut line)?; // may block: it is a worker
//!         self.0 += 1;
//!         write!(exchange.wfile, "{}: {line}", self.0)?;
//!         exchange.close_connection = false; // park the client until its next line
//!         Ok(())
//!     }
//! }
//!
//! let server = ParkedTcpServer::builder("127.0.0.1:0")
//!     .concurrency(Parked::default().workers(2))
//!     .config(ServerConfig::default().idle_timeout(Some(Duration::from_secs(60))))
//!     .build(Count::default)?;
//! std::thread::scope(|scope| {
//!     let serving = scope.spawn(|| server.serve_forever(POLL_INTERVAL));
//!     let address = server.server_address().to_string();
//!     let clients: Vec<_> = (0..50).map(|_| TcpStream::connect(&address)).collect();
//!     for client in &clients {
//!         let mut client = client.as_ref().expect("it is connected");
//!         client.write_all(b"hello\n")?;
//!         let mut answer = String::new();
//!         BufReader::new(client).read_line(&mut answer)?;
//!         assert_eq!(answer, "1: hello\n");
//!     }
//!     server.shutdown()?;
//!     serving.join().expect("no panic")
//! })?;
//! # std::io::Result::Ok(())
//! ```
//!
//! A [`Connection`](crate::net::Connection) is always parked: while it is idle, it owns no buffer and no
//! thread. For a handler of your own, [`Next::Disarm`] parks a source while a worker uses it.
//!
//! # What to watch out for
//!
//! * A client in the middle of a request holds a worker, until the request is complete or the
//!   `idle_timeout` is over. Set it, and have more workers than slow clients.
//! * `handle` is first called when the client has sent something. A greeting belongs in `setup`.
//! * Do not keep a part of the next request in a buffer of your own: `rfile` keeps it, and the server then
//!   calls `handle` again without waiting.
//! * Each call may come on another thread. The state between calls is in the handler, not in
//!   thread-local storage.
//!
//! # In other libraries
//!
//! | library | its name |
//! |---|---|
//! | Python | `BaseHTTPRequestHandler.close_connection`, with a thread for each client |
//! | gunicorn | the worker class `gthread`, `keepalive` |
//! | Netty | `HttpServerKeepAliveHandler`, `IdleStateHandler` |
//! | Tomcat | the NIO connector, `maxKeepAliveRequests` |
//! | tokio | not needed: a task has no thread while it waits |
//!
//! [`ParkedTcpServer`]: crate::server::ParkedTcpServer
//! [`Next::Disarm`]: crate::Next::Disarm

#![doc(alias = "keep-alive")]
#![doc(alias = "keepalive")]
#![doc(alias = "idle clients")]
