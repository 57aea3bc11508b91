//! Shared state: one reactor, several components.
//!
//! The problem: handlers share a state, a reactor has one type of it, and a component of a library must
//! run in any program.
//!
//! What handlers share is a plain `&mut S`, [`Context::state`], because one handler runs at a time. A
//! component is generic over the state, and asks for its own part by [`AsMut`]:
//!
//! ```
//! use std::io::{self, Write};
//! use std::time::Duration;
//! use tripoll::net::{Connection, Protocol, Stream, Wire};
//! use tripoll::{Context, Reactor};
//!
//! // The component, of a library.
//! #[derive(Default)]
//! struct Traffic(usize);
//!
//! /// Counts bytes.
//! struct Sink;
//!
//! impl<S: AsMut<Traffic>> Protocol<S> for Sink {
//!     fn received(&mut self, _: &mut Wire, data: &[u8], cx: &mut Context<S>) -> io::Result<usize> {
//!         cx.state.as_mut().0 += data.len();
//!         Ok(data.len())
//!     }
//! }
//!
//! // The program, with the parts of all its components.
//! #[derive(Default)]
//! struct App {
//!     traffic: Traffic,
//!     ticks: u32,
//! }
//!
//! impl AsMut<Traffic> for App {
//!     fn as_mut(&mut self) -> &mut Traffic {
//!         &mut self.traffic
//!     }
//! }
//!
//! let mut reactor = Reactor::builder().build_with(App::default())?;
//! let (here, mut there) = Stream::pair()?;
//! Connection::new(Sink).serve(here, &mut reactor.context())?;
//! there.write_all(b"hello")?;
//! reactor.context().set_interval(Duration::from_millis(1), |cx: &mut Context<App>| {
//!     cx.state.ticks += 1; // the program's own handlers see all of the state
//!     if cx.state.traffic.0 == 5 {
//!         cx.stop();
//!     }
//! });
//! reactor.run()?;
//! # io::Result::Ok(())
//! ```
//!
//! # What to watch out for
//!
//! * No `Rc<RefCell<_>>` is needed for what handlers share. It would panic where the borrow checker
//!   explains.
//! * While a part of the state is borrowed, [`Context::split`] gives access to the reactor as well.
//! * For a value that is another handler's own, [tell](crate::Context::tell) that handler, instead of
//!   moving the value into the state.
//! * Two components with the same type of part would share it. Give each a type of its own. A protocol that wraps another forwards *all* callbacks: one that is left out does what the trait does
//!   by default.
//! * With [several loops](super::thread_per_core) each has a state of its own. What they share is in an
//!   `Arc`.
//!
//! # In other libraries
//!
//! | library | its name |
//! |---|---|
//! | asyncio | attributes of the protocol's factory, `contextvars` |
//! | Netty | `AttributeKey`, `Channel.attr` |
//! | libevent | the `void *arg` of each callback |
//! | calloop | the `Data` of its event loop |
//! | tokio | `Arc<Mutex<_>>`, an actor with a channel |
//!
//! [`Context::state`]: crate::Context#structfield.state
//! [`Context::split`]: crate::Context::split

#![doc(alias = "AttributeKey")]
#![doc(alias = "RefCell")]
#![doc(alias = "user data")]
#![doc(alias = "AsMut")]
