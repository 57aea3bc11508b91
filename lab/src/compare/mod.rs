//! `tripoll compare`: which call is cheapest on this machine, and when, and the cost of a layer.
//!
//! A [`Plan`] has the points that are measured: how many descriptors are watched, and how many of
//! them are ready. At each point every [`Call`] is measured through one layer of tripoll (the
//! selector or the reactor) and as a raw loop over the C library.
//!
//! [`measure`] runs the whole plan several times. In each round every contender runs once at each
//! point, in random order, so that other load on the machine disturbs all contenders alike.
//!
//! A comparison is the ratio of two times from the same round. The result is the median of the
//! rounds, with its 90 % confidence interval ([`statistics`]). If that interval does not show which
//! call is cheaper, the result is "too close to call". Where two calls cost the same is found by
//! fitting their costs along a line of points ([`crossing`]).
//!
//! The figure is processor time, which other programs disturb less than wall-clock time.
//!
//! # How exact it is
//!
//! A program of 60 lines of C, which shares no code with this one, has measured bare loops of poll and
//! epoll at 69 points of `--preset crossover`, in turn with `compare`, on 29 November 2026. The machine
//! was a virtual one with two processors. Three runs of each at a load of 9 to 14, and three at 14 to 17:
//!
//! * Up to 256 watched and one ready, the medians of three runs differ by at most 3 % at all 36 points at
//!   the lower load.
//! * At all points, the medians differ by less than 10 % at 67 of 69 points, at the higher load at 66. The
//!   most is 17 %, with 1,000 watched. There the caches decide: single runs of either program differ by
//!   30 %.
//! * With one ready, C finds that the two calls cross at 3.1 or 3.2 watched in each run, and `compare` at
//!   3.0 to 3.2.
//! * Of 1,000 watched, C finds that they cross at 86 to 117 ready, and `compare` at 63 to 108. The ranges
//!   that it reports had C's place in three of three runs. They are wide, so no headline names the place.
//! * The first line of the report was the same in these runs but for its factor: 15 or 20.

mod advice;
mod baseline;
mod chart;
mod condition;
pub mod crossing;
mod export;
mod figure;
mod figures;
mod findings;
pub(crate) mod format;
mod machine;
mod page;
mod peer_chart;
mod peers;
mod picture;
mod plan;
mod point;
mod report;
mod runner;
mod sentences;
pub mod statistics;
mod table;

pub(crate) use chart::{axis, escaped, sparse};
pub(crate) use page::STYLE;
pub(crate) use picture::Picture;
pub(crate) use sentences::busy;

pub use baseline::{Baseline, Change, Changes};
pub use condition::{Condition, Judged};
pub use figure::Figure;
pub use findings::{Axis, Cost, Finding, Ratios};
pub use machine::Machine;
pub use peers::{PeerFinding, RatioAt};
pub use plan::{Call, LeftOut, Line, Load, Plan, Preset};
pub use point::{Active, Point, Style};
pub use report::{Config, Report};
pub use runner::{Cell, Measured, Progress, measure, measure_kinds};
