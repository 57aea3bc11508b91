//! Signals: a graceful end, and a reload.
//!
//! The problem: SIGTERM should let clients finish, a second one should end the program at once, and
//! SIGHUP should read the configuration again.
//!
//! [`Signals`] is a source: signals are events of the loop, and no signal handler runs. They must be
//! *blocked* before the first thread is started.
//!
//! ```
//! use std::time::Duration;
//! use tripoll::net::Listener;
//! use tripoll::reactor::sources::{Signal, Signals};
//! use tripoll::{Context, Reactor};
//!
//! #[derive(Default)]
//! struct App {
//!     reloads: u32,
//! }
//!
//! let all = [Signal::HUP, Signal::INT, Signal::TERM];
//! Signals::block(all)?; // first of all: threads inherit it
//! let worker = std::thread::spawn(|| println!("no signal comes here"));
//!
//! let mut reactor = Reactor::builder().build_with(App::default())?;
//! Signals::new(all)?.on(&mut reactor.context(), |signal, cx: &mut Context<App>| {
//!     println!("{} from process {:?}", signal.signal(), signal.pid());
//!     if signal.signal() == Signal::HUP {
//!         cx.state.reloads += 1; // read the configuration here
//!     } else if cx.is_shutting_down() {
//!         cx.stop(); // the second time: at once
//!     } else {
//!         cx.shutdown(Duration::from_secs(10)); // clients have ten seconds to finish
//!     }
//! })?;
//! let listener = Listener::bind("127.0.0.1:0")?;
//! listener.serve(&mut reactor.context(), |_, _| Ok(()))?;
//! # let script = format!("kill -HUP {0} && kill -TERM {0}", std::process::id());
//! # let mut command = std::process::Command::new("sh");
//! # assert!(command.args(["-c", &script]).status()?.success());
//! reactor.run()?; // until all sources have ended, or the ten seconds are over
//! worker.join().expect("no panic");
//! assert_eq!(reactor.state().reloads, 1);
//! # std::io::Result::Ok(())
//! ```
//!
//! # What to watch out for
//!
//! * A thread that does not block a signal receives it, and the process ends. [`Signals::new`] fails when
//!   it finds such a thread.
//! * A program that `Command` starts inherits the mask. [`Signals::unblock_in`] gives it the usual one.
//! * [`Context::shutdown`] tells each connection by
//!   [`shutting_down`](crate::net::Protocol::shutting_down), which closes it gracefully by default. The
//!   listener closes. A source that does not end is dropped after the grace.
//! * Several pending signals of one kind are one event.
//! * For the end of a child process, [`Child`](crate::reactor::sources::Child) is better than SIGCHLD.
//!
//! # In other libraries
//!
//! | library | its name |
//! |---|---|
//! | asyncio | `loop.add_signal_handler` |
//! | Netty | none; `Runtime.addShutdownHook`, `shutdownGracefully` |
//! | libevent | `evsignal_new`, `event_base_loopexit` |
//! | tokio | `tokio::signal::unix::signal` |
//!
//! [`Signals`]: crate::reactor::sources::Signals
//! [`Signals::new`]: crate::reactor::sources::Signals::new
//! [`Signals::unblock_in`]: crate::reactor::sources::Signals::unblock_in
//! [`Context::shutdown`]: crate::Context::shutdown

#![doc(alias = "SIGTERM")]
#![doc(alias = "SIGINT")]
#![doc(alias = "Ctrl-C")]
#![doc(alias = "graceful shutdown")]
#![doc(alias = "add_signal_handler")]
