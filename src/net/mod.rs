//! Ready-made sources and handlers: a listener that survives, and a connection that is never lost.
//!
//! Whoever serves clients over a [`Reactor`](crate::Reactor) meets the same dozen difficulties. They
//! are solved here once, for TCP and Unix sockets alike:
//!
//! * [`Listener`] accepts under a budget; tells errors that concern one client from those that
//!   concern all; pauses when the process is out of descriptors instead of spinning; stops
//!   accepting *before* its limit of connections is passed; and [hands](Listener::serve_in_pool)
//!   its connections to a pool of threads where that is wanted.
//! * [`Connection`] drives a [`Protocol`] of yours: it writes at once and keeps what does not fit,
//!   stops reading from who does not read, delivers the tail before it closes, and owns no buffer
//!   while it is idle.
//! * [`DatagramSocket`] takes an empty datagram for what it is, and tells of a cut one.
//! * [`Utf8Decoder`] makes text of bytes that are cut anywhere.
//!
//! A server that answers each line with the line in capitals:
//!
//! ```
//! use std::io;
//! use tripoll::net::{Connection, Listener, Protocol, Wire};
//! use tripoll::{Context, Reactor};
//!
//! struct Upper;
//!
//! impl Protocol for Upper {
//!     fn received(&mut self, wire: &mut Wire, data: &[u8], _: &mut Context) -> io::Result<usize> {
//!         let Some(end) = data.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
//!         wire.write(&data[..=end].to_ascii_uppercase());
//!         Ok(end + 1) // the rest is kept, and offered again
//!     }
//! }
//!
//! let mut reactor = Reactor::new()?;
//! let listener = Listener::bind("127.0.0.1:0")?;
//! let address = listener.local_address().clone();
//! listener.serve(&mut reactor.context(), |stream, cx| {
//!     Connection::new(Upper).serve(stream, cx)?;
//!     Ok(())
//! })?;
//!
//! # let handle = reactor.handle();
//! # let client = std::thread::spawn(move || {
//! #     use std::io::{Read, Write};
//! #     let tripoll::net::Address::Inet(address) = address else { unreachable!() };
//! #     let mut client = std::net::TcpStream::connect(address).unwrap();
//! #     client.write_all(b"hello\nwor").unwrap();
//! #     client.write_all(b"ld\n").unwrap();
//! #     client.shutdown(std::net::Shutdown::Write).unwrap();
//! #     let mut answer = String::new();
//! #     client.read_to_string(&mut answer).unwrap();
//! #     handle.stop();
//! #     answer
//! # });
//! reactor.run()?;
//! # assert_eq!(client.join().unwrap(), "HELLO\nWORLD\n");
//! # io::Result::Ok(())
//! ```

mod accept;
mod address;
mod bind;
mod close_reason;
mod connection;
mod datagram;
mod deliver;
mod idle;
mod limit;
mod listener;
mod protocol;
mod stream;
mod utf8;
mod wire;
mod write_buffer;

pub(crate) use accept::{Acceptor, Incoming};
pub use address::{Address, ToAddress};
pub(crate) use bind::BindOptions;
pub use close_reason::CloseReason;
pub use connection::Connection;
pub(crate) use datagram::SEND_TIMEOUT;
pub use datagram::{DatagramSocket, RecvInfo};
pub(crate) use limit::{Limit, Permit};
pub use listener::{Listener, ListenerBuilder};
pub use protocol::Protocol;
pub use stream::Stream;
pub use utf8::Utf8Decoder;
pub use wire::{Watermarks, Wire};
