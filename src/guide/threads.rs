//! Leaving for a thread: blocking code for one connection.
//!
//! The problem: a part of the work is code that reads and writes a blocking socket: an old library, or a
//! long conversation.
//!
//! [`Wire::detach`] takes the stream out of its connection, and a thread goes on with it. A server whose
//! connections all go to threads uses [`Listener::serve_in_pool`].
//!
//! ```
//! use std::io::{self, BufRead, BufReader, Read, Write};
//! use std::sync::Arc;
//! use tripoll::net::{Connection, Listener, Protocol, Stream, Wire};
//! use tripoll::pool::{Pool, WhenFull};
//! use tripoll::{Context, Reactor};
//!
//! /// Reads the first line in the loop. A client that says `talk` goes to a thread.
//! struct First(Arc<Pool>);
//!
//! impl Protocol for First {
//!     fn received(&mut self, wire: &mut Wire, data: &[u8], cx: &mut Context) -> io::Result<usize> {
//!         let Some(end) = data.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
//!         if &data[..end] == b"talk" {
//!             let pool = Arc::clone(&self.0);
//!             wire.detach(cx, move |stream, unread, _| {
//!                 // If the pool is full, the job is dropped, and the stream is closed.
//!                 let _ = pool.submit(move || drop(talk(stream, unread)));
//!             })?;
//!         }
//!         Ok(end + 1)
//!     }
//! }
//!
//! /// Answers each line in capitals. Blocks.
//! fn talk(stream: Stream, unread: Vec<u8>) -> io::Result<()> {
//!     stream.set_nonblocking(false)?;
//!     let input = BufReader::new(unread.chain(&stream)); // what the loop has read comes first
//!     input.lines().try_for_each(|line| writeln!(&stream, "{}", line?.to_uppercase()))
//! }
//!
//! let pool = Arc::new(Pool::new(8, 100)?);
//! let mut reactor = Reactor::new()?;
//! let (here, mut client) = Stream::pair()?;
//! Connection::new(First(Arc::clone(&pool))).serve(here, &mut reactor.context())?;
//! // All connections of this one go to a thread, and none is accepted while all are busy.
//! let listener = Listener::bind("127.0.0.1:0")?;
//! listener.serve_in_pool(&pool, WhenFull::Pause, &mut reactor.context(), |stream| {
//!     talk(stream, Vec::new())
//! })?;
//! # let handle = reactor.handle();
//! # let talking = std::thread::spawn(move || {
//! #     client.write_all(b"talk\nhello\n")?;
//! #     client.shutdown(std::net::Shutdown::Write)?;
//! #     let text = io::read_to_string(&client);
//! #     handle.stop();
//! #     text
//! # });
//! reactor.run()?;
//! # assert_eq!(talking.join().unwrap()?, "HELLO\n");
//! # io::Result::Ok(())
//! ```
//!
//! # What to watch out for
//!
//! * The stream is non-blocking until [`Stream::set_nonblocking`] changes it. `serve_in_pool` does that
//!   itself.
//! * Timeouts of the connection end with it. In a thread, [`Stream::set_read_timeout`] and
//!   [`Stream::set_write_timeout`] bound a read and a write.
//! * The stream still counts toward `max_connections` of its listener, until it is dropped.
//! * A thread ends when its client does. Close the streams, or [drain](crate::pool::Pool::drain) the pool
//!   with a grace, before the program ends.
//! * A stream can come back: post it with
//!   [`ReactorHandle::post`](crate::ReactorHandle::post), and serve it again.
//!
//! # In other libraries
//!
//! | library | its name |
//! |---|---|
//! | asyncio | `transport.pause_reading`, then a duplicate of the socket |
//! | Netty | `channel.deregister`, the OIO transport |
//! | Go | `http.Hijacker` |
//! | libevent | `bufferevent_setfd(-1)` |
//! | tokio | `into_std` and `spawn_blocking` |
//!
//! [`Wire::detach`]: crate::net::Wire::detach
//! [`Listener::serve_in_pool`]: crate::net::Listener::serve_in_pool
//! [`Stream::set_nonblocking`]: crate::net::Stream::set_nonblocking
//! [`Stream::set_read_timeout`]: crate::net::Stream::set_read_timeout
//! [`Stream::set_write_timeout`]: crate::net::Stream::set_write_timeout

#![doc(alias = "blocking")]
#![doc(alias = "hijack")]
#![doc(alias = "into_std")]
