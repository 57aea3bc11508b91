//! What loops, pools and listeners have done, as the text that a Prometheus scraper reads.
//!
//! An [`Exposition`] writes the [text format](https://prometheus.io/docs/instrumenting/exposition_formats/)
//! in its version 0.0.4. It writes metrics of the program, and those of this crate: everything that is
//! [`Measures`].
//!
//! ```
//! use tripoll::Reactor;
//! use tripoll::metrics::{Exposition, Kind};
//!
//! let mut reactor = Reactor::new()?;
//! let mut text = Exposition::new();
//! text.add([([("loop", "0")], reactor.context().counters())]);
//! text.family("shop_orders_total", Kind::Counter, "Orders by their state.")
//!     .sample(&[("state", "paid")], 17)
//!     .sample(&[("state", "lost \"in\" the post")], 1);
//! let text = text.into_string();
//! assert!(text.contains("# TYPE tripoll_loop_turns_total counter\n"));
//! assert!(text.contains("tripoll_loop_turns_total{loop=\"0\"} 0\n"));
//! assert!(text.ends_with("shop_orders_total{state=\"lost \\\"in\\\" the post\"} 1\n"));
//! # std::io::Result::Ok(())
//! ```

mod exposition;
mod measures;
mod value;

pub use exposition::{CONTENT_TYPE, Exposition, Family};
pub use measures::{Measure, Measures};
pub use value::{Kind, Value};
