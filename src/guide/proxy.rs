//! Proxy: two connections, coupled in both directions.
//!
//! The problem: what one side sends goes to the other, no faster than the other reads, and each direction
//! ends by itself.
//!
//! Each side is a connection with a protocol of its own, and [tells](crate::Context::tell) the other what
//! it received. When the write buffer of one side is above its high watermark, the other side stops
//! reading. An end is passed on by [`Wire::finish`], a failure by [`Wire::abort`].
//!
//! ```
//! use std::{cell::OnceCell, io, rc::Rc};
//! use tripoll::net::{CloseReason, Closed, Connect, Connection, Listener, Protocol, Stream, Wire};
//! use tripoll::reactor::Id;
//! use tripoll::{Context, Reactor};
//!
//! /// One of two sides: 0 for the client, 1 for the server.
//! struct Side(usize, Rc<OnceCell<[Id<Connection<Side>>; 2]>>);
//!
//! impl Side {
//!     fn tell_other(&self, cx: &mut Context, call: impl FnOnce(&Side, &mut Wire, &mut Context) + 'static) {
//!         let other = self.1.get().expect("both sides are served")[1 - self.0];
//!         // If it fails, the other side is closed already.
//!         let _ = cx.tell(other, |side, wire, cx| Ok(call(side, wire, cx)));
//!     }
//! }
//!
//! impl Protocol for Side {
//!     fn received(&mut self, _: &mut Wire, data: &[u8], cx: &mut Context) -> io::Result<usize> {
//!         let chunk = data.to_vec();
//!         self.tell_other(cx, |other, wire, cx| {
//!             if !wire.send(chunk) {
//!                 other.tell_other(cx, |_, wire, _| wire.pause()); // it reads too slowly
//!             }
//!         });
//!         Ok(data.len())
//!     }
//!
//!     fn below_low_mark(&mut self, _: &mut Wire, cx: &mut Context) -> io::Result<()> {
//!         Ok(self.tell_other(cx, |_, wire, _| wire.resume()))
//!     }
//!
//!     fn ended(&mut self, _: &mut Wire, _: &[u8], cx: &mut Context) -> io::Result<()> {
//!         Ok(self.tell_other(cx, |_, wire, _| wire.finish())) // a half-close, after all data
//!     }
//!
//!     fn closed(&mut self, closed: &Closed, cx: &mut Context) {
//!         if !matches!(closed.reason, CloseReason::Finished) {
//!             self.tell_other(cx, |_, wire, _| wire.abort());
//!         }
//!     }
//! }
//!
//! fn join(client: Stream, server: Stream, cx: &mut Context) -> io::Result<()> {
//!     let ids = Rc::new(OnceCell::new());
//!     let side = |number| Connection::new(Side(number, Rc::clone(&ids))).read_above_mark(true);
//!     let both = [side(0).serve(client, cx)?, side(1).serve(server, cx)?];
//!     ids.set(both).expect("it is empty"); // before any call
//!     Ok(())
//! }
//! # use std::io::{Read, Write};
//! # use std::net::{Shutdown, TcpListener, TcpStream};
//! # let upstream = TcpListener::bind("127.0.0.1:0")?;
//! # let upstream_address = upstream.local_addr()?;
//!
//! let mut reactor = Reactor::new()?;
//! let listener = Listener::bind("127.0.0.1:0")?;
//! # let address = listener.local_address().to_string();
//! listener.serve(&mut reactor.context(), move |client, cx| {
//!     Connect::to(upstream_address).start(cx, |server, cx| {
//!         // If it fails, the client is closed.
//!         let _ = server.and_then(|server| join(client, server, cx));
//!     });
//!     Ok(())
//! })?;
//! # let server = std::thread::spawn(move || {
//! #     let mut stream = upstream.accept()?.0;
//! #     let mut text = Vec::new();
//! #     stream.read_to_end(&mut text)?; // up to the half-close
//! #     stream.write_all(&text)
//! # });
//! # let handle = reactor.handle();
//! # let client = std::thread::spawn(move || {
//! #     let mut stream = TcpStream::connect(address)?;
//! #     let sent: Vec<u8> = (0..2_000_000).map(|number: u32| number as u8).collect();
//! #     stream.write_all(&sent)?;
//! #     stream.shutdown(Shutdown::Write)?;
//! #     let mut text = Vec::new();
//! #     stream.read_to_end(&mut text)?;
//! #     handle.stop();
//! #     io::Result::Ok(text == sent)
//! # });
//! reactor.run()?;
//! # server.join().unwrap()?;
//! # assert!(client.join().unwrap()?);
//! # io::Result::Ok(())
//! ```
//!
//! # What to watch out for
//!
//! * [`Connection::read_above_mark`] is needed. By default a side whose own output waits does not read,
//!   and two peers that both send much would wait for each other.
//! * The pause comes a turn late. Until then a side may read as much as its
//!   [budget](crate::reactor::Budget), 256 KiB by default.
//! * The client is not read before the server is connected. What it sends meanwhile stays in the kernel.
//! * Set [`Connection::idle_timeout`]. A pair that is half-closed has no limit of its own.
//! * `Wire::close` would end both directions. `finish` ends one.
//!
//! # In other libraries
//!
//! | library | its name |
//! |---|---|
//! | asyncio | `pause_reading`, `resume_reading`, `write_eof` |
//! | Netty | `setAutoRead(false)`, `ALLOW_HALF_CLOSURE`, `shutdownOutput` |
//! | libevent | `bufferevent_setwatermark`, the sample `le-proxy.c` |
//! | tokio | `tokio::io::copy_bidirectional` |
//!
//! [`Wire::finish`]: crate::net::Wire::finish
//! [`Wire::abort`]: crate::net::Wire::abort
//! [`Connection::read_above_mark`]: crate::net::Connection::read_above_mark
//! [`Connection::idle_timeout`]: crate::net::Connection::idle_timeout

#![doc(alias = "half-close")]
#![doc(alias = "backpressure")]
#![doc(alias = "relay")]
#![doc(alias = "tunnel")]
#![doc(alias = "copy_bidirectional")]
