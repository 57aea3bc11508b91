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
