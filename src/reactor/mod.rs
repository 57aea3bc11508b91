//! The event loop: sources, handlers, timers and wakers above any selector, level- or edge-triggered.
//!
//! A [`Reactor`] owns sources (sockets, pipes, anything with a descriptor) and calls the
//! [`Handler`] of each source that is ready. It is the same for every backend. What an event
//! *means* is decided here; which system calls are made is decided in
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
//!         let (client, _) = listener.accept()?; // WouldBlock: until a client connects
//!         let mut unsent = Vec::new();
//!         let echo = move |client: &mut Source<TcpStream>, _: &mut Context| loop {
//!             client.set_interest(Interest::WRITE);
//!             while !unsent.is_empty() {
//!                 let sent = client.write(&unsent)?; // WouldBlock: until the kernel has room
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
//! This listener is removed after the first error of `accept`, the lack of descriptors included.
//! [`net::Listener`](crate::net::Listener) survives such errors.
//!
//! # One contract for all backends and triggers
//!
//! > A handler that stops before `WouldBlock` is called again. A handler that reached `WouldBlock`
//! > is called when there is something new.
//!
//! So the loop above is right on `select`, `poll` and `epoll`, level- and edge-triggered; and so is
//! a handler that reads one byte and returns. [`Trigger`](crate::Trigger) says how the *kernel*
//! reports events. It does not change what a handler sees. For each direction of a source, its
//! readiness moves like this:
//!
//! ```text
//!                 deliver: the kernel reports
//!      ┌─────────┐ ────────────────────────────────► ┌─────────┐  begin_call, if the interest
//!      │ BLOCKED │                                   │  READY  │ ───────────────► the handler is
//!      └─────────┘ ◄──────────────────────────────── └─────────┘  includes it     called, under
//!                 clear_ready:                                                     a budget
//!                   an operation returns WouldBlock,
//!                   a short read that means the same,
//!                   the end of the stream is read,
//!                   the handler returns Next::Done
//! ```
//!
//! * READY is kept **here** until an operation made through the [`Source`] moves it to BLOCKED. An
//!   edge-triggered kernel would not report it again. A level-triggered one would, and the two
//!   reports are merged.
//! * A source that is still ready when its handler returns is put on the *ready list*. The next
//!   turn polls without blocking and calls the handler again.
//! * A handler may use its [`Budget`] in one call. When the budget is used up, operations return
//!   `WouldBlock`, but READY stays. So a plain loop until `WouldBlock` is fair to other sources.
//! * A *short read* counts as `WouldBlock`, which saves the read that would have returned it. That
//!   always holds where the kernel is level-triggered. Edge-triggered, it holds only for TCP with
//!   nothing but plain data: an urgent mark, a packet boundary or a terminal line also cuts a read
//!   short, and leaves data behind without a further edge.
//! * The *end of the stream* is reported once. After the handler has read it, READ no longer counts
//!   as part of the source's interest. So no handler spins on it.
//! * A source whose interest is [`Interest::NONE`](crate::Interest::NONE) leaves the kernel's set.
//!   No event is reported for it until its interest returns, not even a hang-up of its peer.
//! * An *error or hang-up that stays*, such as one in the error queue of a socket, is reported by a
//!   level-triggered kernel in each wait. A handler that has met `WouldBlock` in each direction of its
//!   interest is called again when something changes: the reactor *parks* the source until then.
//! * A handler that does nothing is called again in each turn. That is the contract's price. Such
//!   calls are counted ([`Counters::idle`]).
//!
//! # The turn
//!
//! [`Reactor::turn`] runs one turn of the loop. Its phases are functions of these names, in this
//! order:
//!
//! | phase | what it does |
//! |---|---|
//! | `apply_changes` | applies changed interests to the selector, each source's once, and the next deadline to the timer descriptor |
//! | `wait` | waits for events; does not block when there is work already |
//! | `run_deferred` | calls [`Handler::added`] and [`Handler::removed`]; runs again after each call of a handler, timer or job |
//! | `dispatch` | calls [`Handler::ready`] of each ready source |
//! | `run_timers` | runs the timers and deadlines that were due when the timer descriptor became readable |
//! | `run_jobs` | runs the closures that a [`ReactorHandle`] has posted |
//! | `run_late_calls` | calls [`Handler::notified`] of each source that was [notified](Context::notify), and runs what was [told](Context::tell) and [deferred](Context::defer) |
//! | `run_shutdown` | calls [`Handler::shutting_down`] of each source, after a [`shutdown`](Context::shutdown) |
//!
//! The hooks [`before_wait`](Reactor::before_wait) and [`after_wait`](Reactor::after_wait) run
//! before `apply_changes` and after `wait`. No handler is called from inside a call of this API:
//! the consequences of a call begin when the running handler has returned.
//!
//! A change of interest that the kernel has no room for (ENOMEM, ENOSPC) is an error in the log. The
//! source stays, unwatched, and the change is tried again after 10 ms, and then after twice the
//! time before, up to a second. A wait that fails is tried again, too. See [`Reactor::turn`].
//!
//! An error that a handler returns, or a panic, removes its own source and no other. `WouldBlock`
//! and `Interrupted` are not errors here, so `?` may be used on every operation. After a panic the
//! [state](Context::state) that handlers share may be half changed.
//!
//! # Threads
//!
//! A reactor stays on the thread that made it: handlers need not be `Send`, so it is not `Send`
//! either. A server with several loops makes one reactor in each thread, and reaches them by their
//! [`ReactorHandle`]s. A process may have any number of reactors.

mod add_error;
mod backoff;
mod blocking_files;
mod budget;
mod clock;
mod context;
mod core;
mod counters;
mod failed_waits;
mod handle;
mod handler;
mod id;
mod interval;
mod io_state;
mod mode;
mod parking;
mod probe;
#[allow(clippy::module_inception)] // the module is named after its main type
mod reactor;
mod registry;
mod source;
mod source_entry;
mod source_info;
mod source_table;
pub mod sources;
mod timers;
mod turn;
mod turn_state;

pub use add_error::AddError;
pub(crate) use backoff::Backoff;
pub use budget::Budget;
pub use clock::ManualClock;
pub use context::Context;
pub(crate) use context::SCRATCH;
pub use counters::Counters;
pub use handle::ReactorHandle;
pub(crate) use handle::WeakHandle;
pub use handler::{Handler, Next};
pub(crate) use id::Parts;
pub use id::{Id, Recipient};
pub(crate) use io_state::IoState;
pub(crate) use mode::Known;
pub use probe::{Dispatch, DispatchOutcome, Probe};
pub use reactor::{Reactor, ReactorBuilder};
pub use source::Source;
pub(crate) use source_entry::Types;
pub use source_info::SourceInfo;
pub use timers::TimerId;
