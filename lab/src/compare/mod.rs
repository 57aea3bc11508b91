//! `tripoll compare`: which call is cheapest on this machine, when, and what our layer adds.
//!
//! A [`Plan`] says which points are measured: how many descriptors are watched, and how many of
//! them are ready. At each point every [`Call`] is measured through a layer of ours (the selector
//! or the reactor) and as a bare loop over the C library. [`measure`] goes round the whole plan
//! several times, at each point everybody once and in another order each time, so that whatever else
//! the machine does meets all alike. A comparison is a ratio taken within a round; of the rounds, the median counts, with the
//! interval in which it lies nine times out of ten ([`statistics`]). Where that interval leaves
//! open who is cheaper, the answer is "too close to call" ([`crossing`]).
//!
//! The figure is the time of the processor, which other programs disturb less than they disturb the
//! clock on the wall.

pub mod crossing;
mod findings;
mod machine;
mod plan;
mod report;
mod runner;
mod sentences;
pub mod statistics;
mod table;

pub use findings::{Axis, Cost, Line, Ratios};
pub use machine::Machine;
pub use plan::{Call, LeftOut, Plan, Point};
pub use report::{Config, Figure, Report};
pub use runner::{Cell, MeasureError, Progress, measure};
