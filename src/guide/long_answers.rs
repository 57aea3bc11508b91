//! Long answers: a pump that stops at the high watermark, and files.
//!
//! The problem: an answer is larger than the memory that one client may cost, and the client reads
//! slowly.
//!
//! [`Wire::write`] returns false when the write buffer is above its high watermark. Then the protocol
//! stops. [`Protocol::below_low_mark`] is called when there is room again.
//!
//! ```
//! use std::io;
//! use std::net::TcpStream;
//! use std::ops::Range;
//! use std::thread;
//! use tripoll::net::{Closed, Connection, Listener, Protocol, Wire};
//! use tripoll::{Context, Reactor};
//!
//! /// Sends numbers as fast as its client reads them.
//! struct Numbers(Range<u32>);
//!
//! impl Numbers {
//!     fn pump(&mut self, wire: &mut Wire) -> io::Result<()> {
//!         for number in self.0.by_ref() {
//!             if !wire.write(format!("{number}\n").as_bytes()) {
//!                 return Ok(()); // until `below_low_mark`
//!             }
//!         }
//!         wire.close(); // after all was sent
//!         Ok(())
//!     }
//! }
//!
//! impl Protocol for Numbers {
//!     fn opened(&mut self, wire: &mut Wire, _: &mut Context) -> io::Result<()> {
//!         self.pump(wire)
//!     }
//!
//!     fn below_low_mark(&mut self, wire: &mut Wire, _: &mut Context) -> io::Result<()> {
//!         self.pump(wire)
//!     }
//!
//!     fn received(&mut self, _: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
//!         Ok(data.len())
//!     }
//!
//!     fn closed(&mut self, _: &Closed, cx: &mut Context) {
//!         cx.stop();
//!     }
//! }
//!
//! let mut reactor = Reactor::new()?;
//! let listener = Listener::bind("127.0.0.1:0")?;
//! let address = listener.local_address().to_string();
//! listener.serve(&mut reactor.context(), |stream, cx| {
//!     Connection::new(Numbers(0..200_000)).serve(stream, cx).map(drop)
//! })?;
//! let client = thread::spawn(|| io::read_to_string(TcpStream::connect(address)?));
//! reactor.run()?;
//! assert!(client.join().unwrap()?.ends_with("\n199998\n199999\n"));
//! # io::Result::Ok(())
//! ```
//!
//! A file needs no pump. [`Wire::send_file`] sends it by `sendfile(2)`, without a copy in the program:
//!
//! ```
//! use std::fs::File;
//! use std::io;
//! use tripoll::Context;
//! use tripoll::net::testing::ProtocolTest;
//! use tripoll::net::{Protocol, Wire};
//!
//! /// Sends the size of a file, and the file.
//! struct Download;
//!
//! impl Protocol for Download {
//!     fn opened(&mut self, wire: &mut Wire, _: &mut Context) -> io::Result<()> {
//!         let file = File::open("/proc/self/exe")?;
//!         let size = file.metadata()?.len();
//!         wire.write(format!("{size}\n").as_bytes());
//!         wire.send_file(file, 0..size); // after what was written before
//!         wire.close();
//!         Ok(())
//!     }
//!
//!     fn received(&mut self, _: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
//!         Ok(data.len())
//!     }
//! }
//!
//! let size = std::fs::metadata("/proc/self/exe")?.len();
//! let mut test = ProtocolTest::new(Download, ())?;
//! assert_eq!(test.written().len() as u64, format!("{size}\n").len() as u64 + size);
//! # io::Result::Ok(())
//! ```
//!
//! # What to watch out for
//!
//! * [`Protocol::drained`] is not a place to pump from. It is not called if the kernel took everything at
//!   once, and it is called when the peer already waits.
//! * While the buffer is above the high watermark, the connection does not read. A peer that sends before
//!   it reads, as an echo client does, needs [`Connection::read_above_mark`].
//! * A peer that reads nothing is reset after [`Connection::write_timeout`]. A slow one is not.
//! * A single write may be of any size. A further write above [`Watermarks::limit`] closes the
//!   connection.
//! * `send_file` reads from the page cache. A file on a slow disk blocks the loop: read it in a
//!   [pool](super::pool_answers) and send its parts.
//!
//! # In other libraries
//!
//! | library | its name |
//! |---|---|
//! | asyncio | `pause_writing`, `resume_writing`, `writer.drain`, `loop.sendfile` |
//! | Netty | `channelWritabilityChanged`, `ChunkedWriteHandler`, `DefaultFileRegion` |
//! | libevent | `bufferevent_setwatermark`, `evbuffer_add_file` |
//! | tokio | the await of `AsyncWriteExt::write_all`, `tokio::io::copy` |
//!
//! [`Wire::write`]: crate::net::Wire::write
//! [`Wire::send_file`]: crate::net::Wire::send_file
//! [`Protocol::below_low_mark`]: crate::net::Protocol::below_low_mark
//! [`Protocol::drained`]: crate::net::Protocol::drained
//! [`Connection::read_above_mark`]: crate::net::Connection::read_above_mark
//! [`Connection::write_timeout`]: crate::net::Connection::write_timeout
//! [`Watermarks::limit`]: crate::net::Watermarks::limit

#![doc(alias = "backpressure")]
#![doc(alias = "streaming")]
#![doc(alias = "pump")]
#![doc(alias = "ChunkedWriteHandler")]
