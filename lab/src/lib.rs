//! The laboratory: select, poll and epoll measured on this machine, on real descriptors.
//!
//! This is the package behind the command `tripoll`. It is a library too, so that the benchmarks of
//! the crate drive the same [`workload`]s as `tripoll compare`.
//!
//! | module | what it knows |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`compare`] | what is measured, and what it means |
//! | [`workload`] | what is done, on which pipes, and by whom |

pub mod cli;
pub mod compare;
pub mod workload;
