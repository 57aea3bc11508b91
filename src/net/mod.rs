//! Listeners, connections out, buffered connections and datagram sockets for the reactor, TCP and Unix.
//!
//! Every server and client over a [`Reactor`](crate::Reactor) meets the same difficulties. They are solved here
//! once:
//!
//! * [`Listener`] accepts under a budget. It distinguishes errors that concern one client from those
//!   that concern all. When the process has no descriptors left, it pauses and does not spin. It
//!   stops accepting *before* its limit of connections is exceeded. When it can accept no longer, it
//!   [tells the program](Listener::on_end). It can [pass](Listener::serve_in_pool) its connections to
//!   a pool of threads.
//! * [`Connect`] connects to one address of several, or to a name that a pool [resolves](resolve()). It
//!   never blocks the loop, and ends within a time limit. With [`Retry`] it is tried again, and a
//!   connection that is lost is [made again](Connect::serve_again).
//! * [`Connection`] drives your [`Protocol`]. It gathers what a callback writes, and buffers what the kernel
//!   does not take. It stops reading from a peer that does not read. It flushes the buffer before it closes.
//!   While it is idle it owns no buffer.
//! * [`Filter`] stands between a stream and a protocol, as TLS does (feature `tls`).
//! * [`Loops`] runs a reactor on each of several threads, and distributes the connections of one
//!   address among them.
//! * [`DatagramSocket`] reports empty and truncated datagrams as what they are. [`DatagramEndpoint`]
//!   drives your [`DatagramProtocol`] on it. [`DatagramBatch`] receives and sends many in one system
//!   call.
//! * Sockets are made from descriptors and convert into them. [`inherited`] returns those with which
//!   the process was started.
//! * [`testing`] runs a protocol in a test without a network.
//! * [`framing`] finds lines and other messages in the stream of a connection.
//! * [`Utf8Decoder`] decodes text from bytes that are split anywhere.
//!
//! # Bounds
//!
//! What a peer can cost is bounded:
//!
//! | what | bound | default | then |
//! |---|---|---|---|
//! | output that it does not read | [`Watermarks::high`] | 64 KiB | the connection stops reading |
//! | | [`Watermarks::limit`], and one write | 16 MiB | it is closed: [`CloseReason::OutputOverflow`] |
//! | time in which it reads nothing of it | [`Connection::write_timeout`] | 60 s | it is reset: [`CloseReason::WriteTimedOut`] |
//! | the same, after a close | [`Connection::close_within`] | 30 s | it is reset: [`CloseReason::CloseTimedOut`] |
//! | time for the handshake of a [`Filter`] | [`Connection::handshake_timeout`] | 10 s | it is closed: [`CloseReason::HandshakeTimedOut`] |
//! | after a close, when all is read | [`Connection::linger`] | 1 s | it is closed |
//! | input that the protocol leaves unused | [`Connection::max_unused`] | 1 MiB | it is closed: [`CloseReason::InputOverflow`] |
//! | a message of a [`framing`] | [`max_frame`](framing::Framed::max_frame) | 64 KiB | an error that names the limit; it is closed |
//! | both, for all connections of a listener | [`ListenerBuilder::max_buffered`] | 64 MiB | the largest that grow are closed: [`CloseReason::ListenerOverflow`] |
//! | connections | [`ListenerBuilder::max_connections`] | no limit | others wait in the backlog |
//! | connections in the backlog | [`ListenerBuilder::backlog`] | 1,024 | the kernel drops others |
//! | connections accepted in a turn | [`ListenerBuilder::accepts_per_turn`] | 32 | the others in the next turn |
//! | one call of a handler | [`Budget`](crate::reactor::Budget) | 64 operations, 256 KiB | it goes on in the next turn |
//! | connecting to one address | [`Connect::attempt_timeout`] | 10 s | the next address is tried |
//! | connecting at all | [`Connect::timeout`] | 30 s | it fails: `TimedOut` |
//! | silence | a [deadline](crate::Context::set_deadline) that your protocol sets | none | what your protocol says |
//! | silence | [`Connection::idle_timeout`], [`Connection::read_timeout`] | none | it is closed: [`CloseReason::IdleTimedOut`], [`CloseReason::ReadTimedOut`] |
//! | | a [deadline](Wire::set_deadline) that your protocol sets | none | what your protocol says |
//! | datagrams that a Unix peer leaves unread | (fixed) what is free in the send buffer | | [`DatagramSocket::send_to`]: `WouldBlock` |
//! | datagrams that find no room | [`Watermarks::limit`] of a [`DatagramEndpoint`] | 16 MiB | they are dropped: [`DatagramProtocol::error_received`] |
//! | time in which they find none | [`DatagramEndpoint::send_timeout`] | 1 s | the same |
//! | lines in the log | (fixed) | one a second for each kind | the next says how many were left out |
//!
//! So a public server sets two of them: how many connections, and how long a silent one may stay.
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
//!         Ok(end + 1) // the rest is kept, and passed again
//!     }
//! }
//!
//! let mut reactor = Reactor::new()?;
//! let listener = Listener::bind("127.0.0.1:0")?;
//! println!("listening on {}", listener.local_address());
//! # let address = listener.local_address().clone();
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
mod accept_class;
mod accept_policy;
mod address;
mod bind;
mod buffered_total;
mod chunk;
mod close_reason;
mod closed;
mod connect;
mod connection;
mod convert;
mod datagram;
mod datagram_batch;
mod datagram_endpoint;
mod datagram_protocol;
mod datagram_queue;
mod datagram_tell;
mod datagram_wire;
mod deadlines;
mod deliver;
mod detach;
mod figures;
mod file_range;
mod filter;
pub mod framing;
mod idle;
mod inherited;
mod input;
mod input_end;
mod layer;
mod layer_output;
mod layered;
mod limit;
mod link;
mod listener;
mod listener_counters;
pub mod loops;
mod measured;
mod moment;
mod multicast;
mod options;
mod output;
mod owed;
mod protocol;
mod resolve;
mod retry;
mod socket_file;
mod socket_kind;
mod stage;
mod stream;
mod stream_end;
mod stream_input;
mod stream_io;
mod tell;
pub mod testing;
mod time_limit;
mod timeout;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub mod tls;
mod to_address;
mod unread;
mod utf8;
mod watermarks;
mod wire;
mod write_buffer;

pub(crate) use accept::{Acceptor, Attempt, Incoming};
pub(crate) use accept_class::{is_by_peer, lacks_resources};
pub use address::Address;
pub(crate) use bind::BindOptions;
pub(crate) use buffered_total::Share;
pub use chunk::Chunk;
pub use close_reason::CloseReason;
pub(crate) use close_reason::clone_error;
pub use closed::Closed;
pub use connect::Connect;
pub use connection::Connection;
pub(crate) use datagram::SEND_TIMEOUT;
pub use datagram::{DatagramSocket, DatagramSocketBuilder, RecvInfo};
pub use datagram_batch::{DatagramBatch, ReceivedDatagram};
pub use datagram_endpoint::DatagramEndpoint;
pub use datagram_protocol::DatagramProtocol;
pub use datagram_wire::DatagramWire;
pub use figures::{ConnectionFigures, ConnectionState};
pub use filter::Filter;
pub use inherited::{Inherited, inherited};
pub(crate) use input_end::{InputEnd, QUIET};
pub(crate) use limit::{Limit, Permit};
pub use listener::{Listener, ListenerBuilder};
pub use listener_counters::{ListenerCounters, ListenerMeter};
#[doc(inline)]
pub use loops::Loops;
pub use protocol::Protocol;
pub use resolve::resolve;
pub use retry::Retry;
pub(crate) use socket_file::SocketFile;
pub use stage::Connecting;
pub use stream::Stream;
pub use to_address::ToAddress;
pub use utf8::Utf8Decoder;
pub use watermarks::Watermarks;
pub use wire::Wire;
