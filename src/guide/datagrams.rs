//! Datagrams: UDP and Unix datagram sockets.
//!
//! The problem: answer datagrams of many peers, without blocking, and without being ended by the error of
//! one peer.
//!
//! [`DatagramEndpoint`] drives a [`DatagramProtocol`] on a [`DatagramSocket`]. Each datagram comes whole,
//! with its sender.
//!
//! ```
//! use std::io;
//! use std::time::Duration;
//! use tripoll::net::{
//!     Address, DatagramEndpoint, DatagramProtocol, DatagramSocket, DatagramWire, ReceivedDatagram,
//! };
//! use tripoll::{Context, Reactor};
//!
//! type Cx<'a> = Context<'a, Vec<u8>>;
//!
//! /// Answers in capitals.
//! struct Upper;
//!
//! impl DatagramProtocol<Vec<u8>> for Upper {
//!     fn received(&mut self, wire: &mut DatagramWire, it: ReceivedDatagram, _: &mut Cx) -> io::Result<()> {
//!         if !it.truncated {
//!             wire.send_to(&it.data.to_ascii_uppercase(), &it.from);
//!         }
//!         Ok(())
//!     }
//! }
//!
//! /// Asks until an answer comes, because each datagram may be lost.
//! struct Ask(Address);
//!
//! impl DatagramProtocol<Vec<u8>> for Ask {
//!     fn opened(&mut self, wire: &mut DatagramWire, _: &mut Cx) -> io::Result<()> {
//!         wire.send_to(b"hello", &self.0);
//!         wire.set_deadline(Some(Duration::from_millis(100)));
//!         Ok(())
//!     }
//!
//!     fn timed_out(&mut self, wire: &mut DatagramWire, cx: &mut Cx) -> io::Result<()> {
//!         self.opened(wire, cx)
//!     }
//!
//!     fn received(&mut self, _: &mut DatagramWire, it: ReceivedDatagram, cx: &mut Cx) -> io::Result<()> {
//!         cx.state.extend_from_slice(it.data);
//!         cx.stop();
//!         Ok(())
//!     }
//! }
//!
//! let mut reactor = Reactor::builder().build_with(Vec::new())?;
//! let server = DatagramSocket::bind("127.0.0.1:0")?;
//! let ask = Ask(server.local_address().clone());
//! DatagramEndpoint::new(Upper).serve(server, &mut reactor.context())?;
//! let client = DatagramSocket::bind("127.0.0.1:0")?;
//! DatagramEndpoint::new(ask).serve(client, &mut reactor.context())?;
//! reactor.run()?;
//! assert_eq!(*reactor.state(), b"HELLO");
//! # io::Result::Ok(())
//! ```
//!
//! # What to watch out for
//!
//! * An ICMP error of one peer is passed to [`error_received`](crate::net::DatagramProtocol::error_received), and ends
//!   nothing.
//! * A datagram larger than [`max_size`](crate::net::DatagramEndpoint::max_size) is cut, and `truncated` is true. It
//!   is not the whole message.
//! * Datagrams for which the kernel has no room wait in a bounded queue, for
//!   [`send_timeout`](crate::net::DatagramEndpoint::send_timeout) at most. Then they are dropped.
//! * Many small datagrams are cheaper by [`DatagramSocket::recv_many`] and a
//!   [`DatagramBatch`](crate::net::DatagramBatch), in a handler of your own.
//! * An answer that is larger than its question helps an attacker with a forged address.
//!
//! # In other libraries
//!
//! | library | its name |
//! |---|---|
//! | asyncio | `create_datagram_endpoint`, `DatagramProtocol` |
//! | Netty | `NioDatagramChannel`, `DatagramPacket` |
//! | libevent | `event_new` and `recvfrom` |
//! | tokio | `tokio::net::UdpSocket`, `UdpFramed` |
//!
//! [`DatagramEndpoint`]: crate::net::DatagramEndpoint
//! [`DatagramProtocol`]: crate::net::DatagramProtocol
//! [`DatagramSocket`]: crate::net::DatagramSocket
//! [`DatagramSocket::recv_many`]: crate::net::DatagramSocket::recv_many

#![doc(alias = "UDP")]
#![doc(alias = "create_datagram_endpoint")]
#![doc(alias = "UdpSocket")]
