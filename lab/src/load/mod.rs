//! `tripoll load`: an open-loop load generator for servers of lines and of HTTP.
//!
//! Requests are due at fixed times, whatever the server does. The latency of an answer is counted
//! from the time at which its request was due, not from the time at which it could be sent. A server
//! that stalls for a second therefore shows in all requests that were due in this second, and not in
//! the one alone that happened to be under way. (Gil Tene calls the other way *coordinated omission*.)
//!
//! A connection has one request under way at a time. Others that are due on it wait. Connections that
//! are not active are open and silent.

mod answer;
mod client;
mod errors;
mod options;
mod outcome;
mod pace;
mod run;
mod schedule;
mod state;
mod tally;
mod text;

pub use answer::Ask;
pub use errors::Errors;
pub use options::Load;
pub use outcome::{Bucket, Outcome, Percentiles};
pub use state::Progress;
