//! Broadcast: one message for many connections.
//!
//! The problem: what one client says goes to all others, without a copy for each and without one slow
//! client holding up the rest.
//!
//! [`Context::tell`] runs a closure with the protocol and the wire of another connection. An
//! `Arc<[u8]>` is shared by all write buffers. [`Context::split`] lets a handler read the list of members
//! while it tells them.
//!
//! ```
//! use std::io::{self, Read, Write};
//! use std::sync::Arc;
//! use tripoll::net::{Closed, Connection, Protocol, Stream, Wire};
//! use tripoll::reactor::Id;
//! use tripoll::{Context, Deadline, Reactor};
//!
//! /// The state of the reactor: all members.
//! type Room = Vec<Id<Connection<Member>>>;
//!
//! struct Member;
//!
//! impl Protocol<Room> for Member {
//!     fn opened(&mut self, wire: &mut Wire, cx: &mut Context<Room>) -> io::Result<()> {
//!         let id = cx.id(wire.token())?;
//!         cx.state.push(id);
//!         Ok(())
//!     }
//!
//!     fn received(&mut self, wire: &mut Wire, data: &[u8], cx: &mut Context<Room>) -> io::Result<usize> {
//!         let text: Arc<[u8]> = data.into(); // the only copy
//!         let (members, mut cx) = cx.split();
//!         for &member in members.iter().filter(|member| member.token() != wire.token()) {
//!             let text = Arc::clone(&text);
//!             cx.tell(member, move |_, wire, _| {
//!                 wire.send(text);
//!                 Ok(())
//!             })?;
//!         }
//!         Ok(data.len())
//!     }
//!
//!     fn closed(&mut self, closed: &Closed, cx: &mut Context<Room>) {
//!         cx.state.retain(|member| Some(member.token()) != closed.token);
//!     }
//! }
//!
//! let mut reactor = Reactor::builder().build_with(Room::new())?;
//! let mut clients = Vec::new();
//! for _ in 0..3 {
//!     let (here, client) = Stream::pair()?;
//!     Connection::new(Member).serve(here, &mut reactor.context())?;
//!     clients.push(client);
//! }
//! clients[0].write_all(b"hello")?;
//! reactor.turn(Deadline::Never)?;
//! # for client in &mut clients[1..] {
//! #     let mut text = [0; 5];
//! #     client.read_exact(&mut text)?;
//! #     assert_eq!(&text, b"hello");
//! # }
//! # io::Result::Ok(())
//! ```
//!
//! # What to watch out for
//!
//! * A member that reads nothing fills its own write buffer only. Drop messages for it while
//!   [`Wire::unsent`] is large, or let [`Watermarks::limit`] close it.
//! * [`ListenerBuilder::max_buffered`] bounds what all members hold together. A shared buffer counts for
//!   each.
//! * A message is delivered at the end of the turn, never from inside `tell`. So a handler is never called
//!   while another one runs.
//! * Remove a member in [`closed`](crate::net::Protocol::closed). A message for a connection that is gone
//!   is an error of kind `NotFound`.
//! * For members in other threads, share a [`ReactorHandle`] and its
//!   [`tell`](crate::ReactorHandle::tell). See [a thread for each core](super::thread_per_core).
//!
//! # In other libraries
//!
//! | library | its name |
//! |---|---|
//! | asyncio | a set of transports, and `transport.write` for each |
//! | Netty | `ChannelGroup.writeAndFlush`, `ByteBuf.retainedDuplicate` |
//! | libevent | `evbuffer_add_reference`, `evbuffer_add_buffer_reference` |
//! | tokio | `tokio::sync::broadcast`, the crate `bytes` |
//!
//! [`Context::tell`]: crate::Context::tell
//! [`Context::split`]: crate::Context::split
//! [`Wire::unsent`]: crate::net::Wire::unsent
//! [`Watermarks::limit`]: crate::net::Watermarks::limit
//! [`ListenerBuilder::max_buffered`]: crate::net::ListenerBuilder::max_buffered
//! [`ReactorHandle`]: crate::ReactorHandle

#![doc(alias = "chat")]
#![doc(alias = "ChannelGroup")]
#![doc(alias = "publish")]
#![doc(alias = "fan-out")]
