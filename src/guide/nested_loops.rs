//! Nested loops: the reactor in another event loop, and another one in the reactor.
//!
//! The problem: a program has an event loop already, of a user interface or of another library, and one
//! thread must serve both.
//!
//! [`Reactor::prepare_poll`] returns a descriptor that is readable when [`Reactor::turn`] has something to
//! do. The other loop watches it, as any other descriptor:
//!
//! ```
//! use std::os::fd::AsRawFd;
//! use std::time::Duration;
//! use tripoll::sys::{PollFd, PollFlags, poll};
//! use tripoll::{Context, Deadline, Reactor};
//!
//! let mut reactor = Reactor::builder().build_with(0)?;
//! reactor.context().set_interval(Duration::from_millis(1), |cx: &mut Context<i32>| *cx.state += 1);
//!
//! // The other loop.
//! while *reactor.state() < 3 {
//!     let reactor_fd = reactor.prepare_poll()?.expect("epoll has a descriptor").as_raw_fd();
//!     let mut fds = [PollFd::new(reactor_fd, PollFlags::IN)]; // and its own descriptors
//!     poll(&mut fds, None)?;
//!     if fds[0].revents().contains(PollFlags::IN) {
//!         reactor.turn(Deadline::Now)?; // never blocks
//!     }
//! }
//! # std::io::Result::Ok(())
//! ```
//!
//! The other way round, the descriptor of the other loop is a source of the reactor. Here it is an epoll
//! instance, as many libraries have one:
//!
//! ```
//! use std::io::{self, Write};
//! use std::os::fd::AsRawFd;
//! use std::time::Duration;
//! use tripoll::sys::{Epoll, EpollFlags};
//! use tripoll::{Context, Interest, Next, Reactor, Source};
//!
//! let (reader, mut writer) = io::pipe()?;
//! let other_loop = Epoll::new()?;
//! other_loop.add(reader.as_raw_fd(), EpollFlags::IN, 7)?;
//!
//! let mut reactor = Reactor::builder().build_with(Vec::new())?;
//! let turn = |other_loop: &mut Source<Epoll>, cx: &mut Context<Vec<u64>>| {
//!     let mut events = Vec::with_capacity(16);
//!     other_loop.get_ref().wait(&mut events, Some(Duration::ZERO))?; // its turn, without blocking
//!     cx.state.extend(events.iter().map(|event| event.data()));
//!     cx.stop();
//!     Ok(Next::Done) // no operation of the source has said `WouldBlock`
//! };
//! reactor.context().add(other_loop, Interest::READ, turn)?;
//! writer.write_all(b"x")?;
//! reactor.run()?;
//! assert_eq!(*reactor.state(), [7]);
//! # io::Result::Ok(())
//! ```
//!
//! # What to watch out for
//!
//! * Call `prepare_poll` before *each* wait of the other loop. It applies changed interests, sets the
//!   timer, and lets posted jobs wake the loop. That is so with the descriptor of
//!   [`Reactor::poll_fd`](crate::Reactor::poll_fd), too, which borrows nothing.
//! * select and poll have no descriptor: `prepare_poll` returns `None`. Use epoll or mio.
//! * Watch the descriptor level-triggered. One turn does not always do all the work.
//! * A handler of a nested loop returns [`Next::Done`](crate::Next::Done). It is right when the trigger is
//!   level. On edge, turn the other loop until it has no more events.
//! * The timeout of the other loop needs a timer: set one with
//!   [`Context::set_timer`](crate::Context::set_timer) after each of its turns.
//!
//! # In other libraries
//!
//! | library | its name |
//! |---|---|
//! | asyncio | a loop of one's own, `loop.add_reader` |
//! | GLib | `g_source_add_unix_fd`, `g_main_context_prepare` |
//! | libev, libuv | `ev_embed`, `uv_backend_fd` |
//! | libevent | `event_base_loop(EVLOOP_NONBLOCK)` |
//! | tokio | `tokio::io::unix::AsyncFd` |
//!
//! [`Reactor::prepare_poll`]: crate::Reactor::prepare_poll
//! [`Reactor::turn`]: crate::Reactor::turn

#![doc(alias = "event loop")]
#![doc(alias = "GLib")]
#![doc(alias = "embed")]
#![doc(alias = "AsyncFd")]
