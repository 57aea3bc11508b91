//! Measures select, poll and epoll on this machine, on real descriptors.
//!
//! This package has the command `tripoll`. It is also a library, so that the benchmarks drive the
//! same [`workload`]s as `tripoll compare`.
//!
//! | module | contents |
//! |---|---|
//! | [`balance`] | `tripoll balance`: how evenly several loops are loaded |
//! | [`check`] | `tripoll check`: exercises of the book that check themselves |
//! | [`cli`] | the command line |
//! | [`compare`] | `tripoll compare`: the plan, the measurement, the report |
//! | [`live`] | `tripoll lab`: a live reactor in the browser |
//! | [`load`] | `tripoll load`: an open-loop load generator |
//! | [`slides`] | `tripoll slides`: the twelve lessons of the book as slides |
//! | [`soak`] | `tripoll soak`: every kind of client at every kind of server |
//! | [`study`] | what `tripoll compare --workload` measures: reports of their own |
//! | [`workload`] | the two workloads, and the contenders that run them |

pub mod balance;
pub mod check;
pub mod cli;
pub mod compare;
pub mod live;
pub mod load;
pub mod slides;
pub mod soak;
pub mod study;
pub mod workload;
