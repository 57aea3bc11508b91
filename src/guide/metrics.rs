//! Metrics: what the loop does, for a monitoring system.
//!
//! The problem: a server is slow or busy, and its operator must see why.
//!
//! [`Context::counters`] counts what the loop has done, always and at almost no cost.
//! [`Context::sources`] lists its sources. [`Pool::counters`] and
//! [`Loops::counters`](crate::net::Loops::counters) count jobs and connections, and a
//! [meter](crate::net::Listener::meter) those of a listener. An
//! [`Exposition`](crate::metrics::Exposition) writes them in the text format of Prometheus:
//!
//! ```
//! use std::io;
//! use tripoll::metrics::{Exposition, Kind};
//! use tripoll::net::{Closed, Connection, Protocol, Stream, Wire};
//! use tripoll::pool::Pool;
//! use tripoll::{Context, Reactor};
//!
//! /// Answers each request with all figures.
//! struct Metrics;
//!
//! fn figures(cx: &Context<Pool>) -> String {
//!     let mut text = Exposition::new();
//!     text.add([([], cx.counters())]); // `tripoll_loop_idle_total` grows when a handler spins
//!     text.add([([], cx.state.counters())]);
//!     text.family("sources", Kind::Gauge, "Sources of the loop.").sample(&[], cx.len());
//!     text.into_string()
//! }
//!
//! impl Protocol<Pool> for Metrics {
//!     fn received(&mut self, wire: &mut Wire, data: &[u8], cx: &mut Context<Pool>) -> io::Result<usize> {
//!         if data.ends_with(b"\r\n\r\n") {
//!             wire.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\r\n");
//!             wire.send(figures(cx));
//!             wire.close();
//!         }
//!         Ok(0)
//!     }
//!
//!     fn closed(&mut self, _: &Closed, cx: &mut Context<Pool>) {
//!         cx.stop();
//!     }
//! }
//!
//! let mut reactor = Reactor::builder().build_with(Pool::new(1, 16)?)?;
//! let (here, mut client) = Stream::pair()?;
//! Connection::new(Metrics).max_unused(4_096).serve(here, &mut reactor.context())?;
//! io::Write::write_all(&mut client, b"GET /metrics HTTP/1.0\r\n\r\n")?;
//! client.shutdown(std::net::Shutdown::Write)?;
//! reactor.run()?;
//! assert!(io::read_to_string(&client)?.contains("\nsources 1\n"));
//! # io::Result::Ok(())
//! ```
//!
//! # What to watch out for
//!
//! * [`Counters::idle`](crate::reactor::Counters::idle) explains a busy processor: a handler returns
//!   without having done anything, and is called again.
//! * [`Counters::cut_off`](crate::reactor::Counters::cut_off) counts calls that the budget ended. If it
//!   grows fast, a few sources have most of the work.
//! * A [measured](crate::net::Connection::measured) connection knows its bytes and its age: its protocol
//!   writes the access log. The log of this crate has one line for each event with
//!   `RUST_LOG=tripoll=trace`.
//! * How long a handler takes is measured only by a [`Probe`](crate::reactor::Probe) that
//!   [asks for it](crate::reactor::Probe::measures_calls).
//! * Let the figures listen on an address of their own, which is not public.
//!
//! # In other libraries
//!
//! | library | its name |
//! |---|---|
//! | asyncio | `loop.slow_callback_duration`, debug mode |
//! | Netty | `EventExecutor.pendingTasks`, the Micrometer binders |
//! | libevent | `event_base_get_num_events`, `event_base_dump_events` |
//! | tokio | `RuntimeMetrics`, the crate `tokio-metrics` |
//!
//! [`Context::counters`]: crate::Context::counters
//! [`Context::sources`]: crate::Context::sources
//! [`Pool::counters`]: crate::pool::Pool::counters

#![doc(alias = "Prometheus")]
#![doc(alias = "monitoring")]
#![doc(alias = "statistics")]
#![doc(alias = "observability")]
