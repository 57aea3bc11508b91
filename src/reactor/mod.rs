//! Who must be told: handlers, timers and wakers above any selector, level or edge.
//!
//! A [`Reactor`] owns sources (sockets, pipes, anything with a descriptor) and calls each one's
//! [`Handler`] when it can be used without waiting. It is the half of the house that does not know
//! which kernel call is asked. All hazards of *meaning* live here; those of *system calls* live in
//! [`selector`](crate::selector).
//!
//! A server in twenty lines, which sends any number of clients back what they send:
//!
//! ```no_run
//! use std::io::{self, Read, Write};
//! use std::net::{TcpListener, TcpStream};
//! use tripoll::{Context, Interest, Next, Reactor, Source};
//!
//! fn accept(listener: &mut Source<TcpListener>, cx: &mut Context) -> io::Result<Next> {
//!     loop {
//!         let (client, _) = listener.accept()?; // WouldBlock: until somebody comes
//!         let mut unsent = Vec::new();
//!         let echo = move |client: &mut Source<TcpStream>, _: &mut Context| loop {
//!             client.set_interest(Interest::WRITE);
//!             while !unsent.is_empty() {
//!                 let sent = client.write(&unsent)?; // WouldBlock: until there is room
//!                 unsent.drain(..sent);
//!             }
//!             client.set_interest(Interest::READ);
//!             let mut buffer = [0; 4096];
//!             match client.read(&mut buffer)? { // WouldBlock: until there is data
//!                 0 => return Ok(Next::Remove),
//!                 n => unsent.extend_from_slice(&buffer[..n]),
//!             }
//!         };
//!         cx.add(client, Interest::READ, echo)?;
//!     }
//! }
//!
//! let mut reactor = Reactor::new()?;
//! reactor.context().add(TcpListener::bind("127.0.0.1:7000")?, Interest::READ, accept)?;
//! reactor.run()?;
//! # std::io::Result::Ok(())
//! ```
//!
//! (This listener ends with the first error of `accept`, the lack of descriptors included. One that
//! does not is [`net::Listener`](crate::net::Listener).)
//!
//! # One contract, whatever the kernel is asked
//!
//! > A handler that stops before `WouldBlock` is called again. A handler that reached `WouldBlock`
//! > is called when there is something new.
//!
//! So the loop above is right on `select`, `poll` and `epoll`, by level and by edge; and so is a
//! handler that reads one byte and returns. [`Trigger`](crate::Trigger) is how the *kernel* is
//! asked. It is not what a handler sees. This is how a source's readiness moves, for each
//! direction:
//!
//! ```text
//!                    the kernel tells
//!      ┌─────────┐ ────────────────────────────────► ┌─────────┐  is it wanted?
//!      │ BLOCKED │                                   │  READY  │ ───────────────► the handler is
//!      └─────────┘ ◄──────────────────────────────── └─────────┘     each turn    called, under
//!                    an operation says WouldBlock,                                a budget
//!                    a short read that means the same,
//!                    the end of the stream,
//!                    the handler says Next::Done
//! ```
//!
//! * READY is kept **here** until an operation made through the [`Source`] moves it to BLOCKED. On
//!   edge the kernel would not repeat itself; by level it would, and the two are merged.
//! * Who is READY and wanted when its handler returns is on the *ready list*: the next turn asks
//!   the kernel without sleeping, and calls it again.
//! * A handler may use its [`Budget`] per call and no more. When it is used up, operations say
//!   `WouldBlock` while READY stays. So a plain loop until `WouldBlock` is fair without knowing it.
//! * A *short read* counts as `WouldBlock`, which saves the read that would have said so: always
//!   where the kernel is asked by level; on edge only for TCP with nothing but plain data, because
//!   an urgent mark, a packet boundary or a terminal line also cuts a read short and leaves data
//!   behind without a further edge.
//! * The *end of the stream* is told once. Whoever has read it wants to read no more, whatever its
//!   interest says. Nobody spins on it.
//! * A source whose interest is [`Interest::NONE`](crate::Interest::NONE) leaves the kernel's set,
//!   and is told nothing until interest returns: not even that its peer is not_registered.
//! * A handler that does nothing is called again each turn. That is the contract's honest price; it
//!   is counted ([`Counters::idle`]).
//!
//! # The turn
//!
//! One turn of the loop: changed interests are applied to the kernel, each source's only once →
//! the wait → handlers → the timers that were due when the timer_source rang → closures sent by a
//! [`ReactorHandle`] → those who were [notified](Context::notify). A handler is never called from inside a
//! call of this API: what is added, removed or wound down is told when the one that is running has
//! returned.
//!
//! An error that a handler returns, or a panic, ends its own source and nothing else. `WouldBlock`
//! and `Interrupted` are no errors, so `?` may be used on every operation. (After a panic the wake_state
//! state may be half changed: that is the price of going on.)
//!
//! # Where it lives
//!
//! A reactor stays on the thread that has made it: handlers need not be `Send`, so it is not. A
//! server with several loops makes one in each thread, and reaches them by their [`ReactorHandle`]s. There
//! may be as many as one likes.

mod add_error;
mod budget;
mod context;
mod counters;
mod handle;
mod handler;
mod io_state;
mod mode;
mod probe;
#[allow(clippy::module_inception)] // the room has the name of what stands in it
mod reactor;
mod registry;
mod source;
mod sources;
mod timers;
mod turn;
mod turn_state;

pub use add_error::AddError;
pub use budget::Budget;
pub use context::Context;
pub use counters::Counters;
pub use handle::ReactorHandle;
pub use handler::{Handler, Next};
pub(crate) use io_state::IoState;
pub use probe::{Dispatch, DispatchOutcome, Probe};
pub use reactor::{Reactor, ReactorBuilder};
pub use source::Source;
pub use timers::TimerId;
